import { formatTime } from '#api/meta/time.ts';
import { at, equalJson, isObject, objectOf, objectsOf, stringOf, withPath } from '#api/wire/json.ts';
import { devicesGiven } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { ageOfObject, nameOf, text } from '#api/table/object.ts';
import { validateSlice } from './slice-validation.ts';

/** Rules of ResourceSlices. */
export const resourceSliceRules: KindRules = {
  effect: devicesGiven,
  answersDeleteWithObject: true,
  refuseNode: ({ node, operation, object = {} }) =>
    operation === 'create' && at(object, 'spec.nodeName') !== node
      ? 'can only create ResourceSlice with the same NodeName as the requesting node'
      : undefined,
  prepareCreate: (slice, { now }) => datedTaints(undefined, withoutWhatIsOff(slice), now),
  prepareUpdate: (_old, slice) => withoutWhatIsOff(slice),
  dateUpdate: datedTaints,
  validate: validateSlice,
  updateChecks: ['metadata changes', 'object'],
  validatesAll: true,
  warnings: driverWarnings,
  selectableFields: ['spec.nodeName', 'spec.driver'],
  cells: (slice, now) => [
    nameOf(slice),
    text(slice, 'spec.nodeName', ''),
    text(slice, 'spec.driver', ''),
    text(slice, 'spec.pool.name', ''),
    ageOfObject(slice, now),
  ],
};

/** A taint that does not say since when is there since now, or since it was first said. */
function datedTaints(old: JsonObject | undefined, slice: JsonObject, now: number): JsonObject {
  const devices = objectsOf(at(slice, 'spec.devices'));
  if (!devices.some((device) => objectsOf(device['taints']).some(isUndated))) return slice;
  const before = new Map(objectsOf(at(old, 'spec.devices')).map((device) => [device['name'], device]));
  const dated = devices.map((device) => {
    if (device['taints'] === undefined) return device;
    const known = objectsOf(before.get(device['name'])?.['taints']);
    const taints = objectsOf(device['taints']).map((taint) => {
      if (!isUndated(taint)) return taint;
      const same = known.find(({ timeAdded: _since, ...rest }) => equalJson(rest, taint));
      return { ...taint, timeAdded: same?.['timeAdded'] ?? formatTime(now) };
    });
    return { ...device, taints };
  });
  return withPath(slice, 'spec.devices', dated);
}

function isUndated(taint: JsonObject): boolean {
  return taint['timeAdded'] === undefined;
}

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
