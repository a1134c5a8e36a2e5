import { invalidField, invalidStruct, requiredField, type FieldError } from '#api/errors/field-error.ts';
import { goValue } from '#api/errors/go-value.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { at, isObject, listOf, numberOf, objectOf, objectsOf, stringOf } from '#api/wire/json.ts';
import { immutable, when } from '#api/validation/field.ts';
import { dnsLabel, dnsSubdomain, formatErrors } from '#api/validation/format.ts';
import { nodeSelectorErrors } from '#api/validation/pod/affinity.ts';
import { deviceErrors } from './device-validation.ts';
import { boundedSetErrors, driverNameErrors, neededNameErrors, poolNameErrors } from './device-names.ts';
import { counterErrors } from './device-counters.ts';

const deviceCountMax = 128;
/** Of devices that share counters, or have taints or lists. */
const heavyDeviceCountMax = 64;
const counterSetCountMax = 8;
const where = 'exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required';

/** Complaints about a ResourceSlice (kubernetes pkg/apis/resource/validation). */
export function validateSlice(slice: JsonObject, old?: JsonObject): readonly FieldError[] {
  const spec = objectOf(slice['spec']);
  const pool = objectOf(spec['pool']);
  const devices = objectsOf(spec['devices']);
  const nameOf = (item: JsonObject): string => stringOf(item['name']);
  const before = new Map(objectsOf(at(old, 'spec.devices')).map((device) => [nameOf(device), device]));
  const hasOwnNodes = spec['perDeviceNodeSelection'] === true;
  return [
    ...driverNameErrors(stringOf(spec['driver']), 'spec.driver'),
    ...poolErrors(pool),
    ...(old === undefined ? [] : stayingErrors(old, slice)),
    ...nodeErrors(spec),
    ...when(spec['sharedCounters'] !== undefined && spec['devices'] !== undefined, () =>
      invalidField('spec', '', 'only one of `sharedCounters` or `devices` is allowed'),
    ),
    ...boundedSetErrors(
      devices,
      {
        field: 'spec.devices',
        countMax: devices.some(isHeavy) ? heavyDeviceCountMax : deviceCountMax,
        keyOf: nameOf,
      },
      (device, path) => deviceErrors(device, path, { old: before.get(nameOf(device)), hasOwnNodes }),
    ),
    ...boundedSetErrors(
      objectsOf(spec['sharedCounters']),
      { field: 'spec.sharedCounters', countMax: counterSetCountMax, keyOf: nameOf },
      (set, path) => [
        ...neededNameErrors(nameOf(set), `${path}.name`, dnsLabel),
        ...counterErrors(set['counters'], `${path}.counters`),
      ],
    ),
  ];
}

/** Whose devices they are stays. */
function stayingErrors(old: JsonObject, slice: JsonObject): readonly FieldError[] {
  return ['spec.pool.name', 'spec.driver', 'spec.nodeName'].flatMap((path) => immutable(path)(old, slice));
}

function poolErrors(pool: JsonObject): readonly FieldError[] {
  const [count, generation] = [numberOf(pool['resourceSliceCount']), numberOf(pool['generation'])];
  return [
    ...poolNameErrors(stringOf(pool['name']), 'spec.pool.name'),
    ...when(count <= 0, () =>
      invalidField('spec.pool.resourceSliceCount', count, 'must be greater than zero'),
    ),
    ...when(generation < 0, () =>
      invalidField('spec.pool.generation', generation, 'must be greater than or equal to zero'),
    ),
  ];
}

/** From which nodes they can be used: said in one of four ways. */
function nodeErrors(spec: JsonObject): readonly FieldError[] {
  const { nodeName: name, nodeSelector: selector } = spec;
  const flags = ['allNodes', 'perDeviceNodeSelection'];
  const said = [
    ...(stringOf(name) === '' ? [] : ['`nodeName`']),
    ...(isObject(selector) ? ['`nodeSelector`'] : []),
    ...flags.filter((flag) => spec[flag] === true).map((flag) => `\`${flag}\``),
  ];
  return [
    ...(name === ''
      ? [invalidField('spec.nodeName', '', 'must be either unset or set to a non-empty string')]
      : []),
    ...(stringOf(name) === '' ? [] : formatErrors('spec.nodeName', stringOf(name), dnsSubdomain)),
    ...(isObject(selector) ? selectorErrors(selector) : []),
    ...flags.flatMap((flag) =>
      when(spec[flag] === false, () =>
        invalidField(`spec.${flag}`, false, 'must be either unset or set to true'),
      ),
    ),
    ...when(said.length === 0, () => requiredField('spec', where)),
    ...when(said.length > 1, () =>
      invalidField('spec', `{${said.join(', ')}}`, `${where}, but multiple fields are set`),
    ),
  ];
}

function selectorErrors(selector: JsonObject): readonly FieldError[] {
  const field = 'spec.nodeSelector';
  const terms = listOf(selector['nodeSelectorTerms']);
  return [
    ...nodeSelectorErrors(selector, field),
    ...when(terms.length !== 1, () =>
      invalidStruct(
        `${field}.nodeSelectorTerms`,
        goValue('[]core.v1.NodeSelectorTerm', terms),
        'must have exactly one node selector term',
      ),
    ),
  ];
}

function isHeavy(device: JsonObject): boolean {
  return listOf(device['taints']).length > 0 || listOf(device['consumesCounters']).length > 0;
}
