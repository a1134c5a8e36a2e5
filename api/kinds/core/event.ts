import { at, stringOf, typed } from '#api/json.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import { eventCells } from '#api/table/core.ts';
import { validateCoreEvent } from '#api/validation/event.ts';

/** Rules of Events under their first name. */
export const eventRules: KindRules = {
  tracksGeneration: false,
  validate: validateCoreEvent,
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
