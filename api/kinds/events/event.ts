import { typed } from '#api/wire/json.ts';
import { eventLifeSeconds } from '#api/kinds/core/event.ts';
import { inert } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { eventCells } from '#api/table/core.ts';
import { validateEvent, validateEventUpdate, validateNewEvent } from '#api/validation/event.ts';

/** Rules of Events under their second name. */
export const eventV1Rules: KindRules = {
  effect: inert('a record for people'),
  tracksGeneration: false,
  validate: validateEvent,
  validateCreate: validateNewEvent,
  validateUpdate: validateEventUpdate,
  createdByUpdate: true,
  propagation: { unsaid: 'none' },
  lifeSeconds: eventLifeSeconds,
  selectableFields: [
    ...['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath'].map(
      (field) => `regarding.${field}`,
    ),
    'reason',
    'reportingController',
    'type',
  ],
  cells: (object, now) => eventCells(typed(coreEventOf(object)), now),
};

/** An events.k8s.io Event under the names of the core one. */
function coreEventOf(event: JsonObject): JsonObject {
  return {
    ...event,
    involvedObject: event['regarding'] ?? {},
    message: event['note'],
    source: event['deprecatedSource'],
    firstTimestamp: event['deprecatedFirstTimestamp'],
    lastTimestamp: event['deprecatedLastTimestamp'],
    count: event['deprecatedCount'],
    reportingComponent: event['reportingController'],
  };
}
