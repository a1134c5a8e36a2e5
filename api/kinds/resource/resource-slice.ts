import { at } from '#api/wire/json.ts';
import { noDevices } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import { ageOfObject, nameOf, text } from '#api/table/object.ts';

/** Rules of ResourceSlices. */
export const resourceSliceRules: KindRules = {
  effect: noDevices,
  answersDeleteWithObject: true,
  refuseNode: ({ node, operation, object = {} }) =>
    operation === 'create' && at(object, 'spec.nodeName') !== node
      ? 'can only create ResourceSlice with the same NodeName as the requesting node'
      : undefined,
  selectableFields: ['spec.nodeName', 'spec.driver'],
  cells: (slice, now) => [
    nameOf(slice),
    text(slice, 'spec.nodeName', at(slice, 'spec.allNodes') === true ? '<all>' : ''),
    text(slice, 'spec.driver', ''),
    text(slice, 'spec.pool.name', ''),
    ageOfObject(slice, now),
  ],
};
