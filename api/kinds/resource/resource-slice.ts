import { at, isObject, objectOf, objectsOf, stringOf, withPath } from '#api/wire/json.ts';
import { noDevices } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { ageOfObject, nameOf, text } from '#api/table/object.ts';
import { validateSlice, validateSliceUpdate } from './slice-validation.ts';

/** Rules of ResourceSlices. */
export const resourceSliceRules: KindRules = {
  effect: noDevices,
  answersDeleteWithObject: true,
  refuseNode: ({ node, operation, object = {} }) =>
    operation === 'create' && at(object, 'spec.nodeName') !== node
      ? 'can only create ResourceSlice with the same NodeName as the requesting node'
      : undefined,
  prepareCreate: withoutWhatIsOff,
  prepareUpdate: (_old, slice) => withoutWhatIsOff(slice),
  validate: validateSlice,
  validateUpdate: validateSliceUpdate,
  validatesAll: true,
  warnings: driverWarnings,
  selectableFields: ['spec.nodeName', 'spec.driver'],
  cells: (slice, now) => [
    nameOf(slice),
    text(slice, 'spec.nodeName', at(slice, 'spec.allNodes') === true ? '<all>' : ''),
    text(slice, 'spec.driver', ''),
    text(slice, 'spec.pool.name', ''),
    ageOfObject(slice, now),
  ],
};

/** Fields of features that are off in a 1.36 (DRAListTypeAttributes, DRANodeAllocatableResources) are not taken. */
function withoutWhatIsOff(slice: JsonObject): JsonObject {
  const devices = at(slice, 'spec.devices');
  if (devices === undefined) return slice;
  const kept = objectsOf(devices).map((device) => {
    const { nodeAllocatableResourceMappings: _mappings, ...rest } = device;
    const { attributes } = rest;
    return isObject(attributes) ? { ...rest, attributes: withoutLists(attributes) } : rest;
  });
  return withPath(slice, 'spec.devices', kept);
}

function withoutLists(attributes: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(attributes).map(([name, attribute]) => {
      const { bools: _b, ints: _i, strings: _s, versions: _v, ...one } = objectOf(attribute);
      return [name, one];
    }),
  );
}

function driverWarnings(slice: JsonObject): readonly string[] {
  const driver = stringOf(at(slice, 'spec.driver'));
  return driver === driver.toLowerCase()
    ? []
    : [
        `spec.driver: driver names should be lowercase; ${JSON.stringify(driver)} contains uppercase characters`,
      ];
}
