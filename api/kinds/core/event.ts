import { at, stringOf, typed } from '#api/wire/json.ts';
import { inert } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import { eventCells } from '#api/table/core.ts';
import { validateCoreEvent } from '#api/validation/event.ts';

/** As kube-apiserver's --event-ttl. */
export const eventLifeSeconds = 3600;

/** Rules of Events under their first name. */
export const eventRules: KindRules = {
  effect: inert('a record for people'),
  tracksGeneration: false,
  validate: validateCoreEvent,
  createdByUpdate: true,
  propagation: { unsaid: 'none' },
  lifeSeconds: eventLifeSeconds,
  selectableFields: [
    ...['kind', 'namespace', 'name', 'uid', 'apiVersion', 'resourceVersion', 'fieldPath'].map(
      (field) => `involvedObject.${field}`,
    ),
    'reason',
    'reportingComponent',
    ['source', (event) => stringOf(at(event, 'source.component')) || stringOf(event['reportingComponent'])],
    'type',
  ],
  cells: (object, now) => eventCells(typed(object), now),
};
