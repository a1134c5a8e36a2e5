import { invalidField, requiredField, type FieldError } from '#api/errors/field-error.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { equalJson, isObject, objectOf, objectsOf, stringOf } from '#api/wire/json.ts';
import { tooLongErrors, when } from '#api/validation/field.ts';
import { dnsLabel, dnsSubdomain, formatErrors } from '#api/validation/format.ts';
import { nodeSelectorErrors } from '#api/validation/pod/affinity.ts';
import { capacityErrors } from './device-capacity.ts';
import { bindingConditionErrors, deviceTaintErrors } from './device-claim-validation.ts';
import { counterErrors } from './device-counters.ts';
import {
  boundedErrors,
  boundedSetErrors,
  labelNameErrors,
  neededNameErrors,
  qualifiedNameErrors,
} from './device-names.ts';

const attributeCountMax = 32;
const taintCountMax = 16;
const consumptionCountMax = 2;
const valueLengthMax = 64;
const ownNodes =
  'exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to true in the ResourceSlice spec';
const noNodes =
  '`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the ResourceSlice spec';

/** What a device is looked at with: how it was before, and whether each says its nodes itself. */
interface DeviceContext {
  readonly old: JsonObject | undefined;
  readonly hasOwnNodes: boolean;
}

/** Complaints about a device of a ResourceSlice (validateDevice). */
export function deviceErrors(
  device: JsonObject,
  path: string,
  { old, hasOwnNodes }: DeviceContext,
): readonly FieldError[] {
  const attributes = Object.entries(objectOf(device['attributes']));
  const capacities = Object.entries(objectOf(device['capacity']));
  const count = attributes.length + capacities.length;
  // What it had may stay as it was.
  const isNew = (name: string): boolean => old === undefined || !equalJson(old[name], device[name]);
  return [
    ...labelNameErrors(stringOf(device['name']), `${path}.name`),
    ...when(count > attributeCountMax, () =>
      invalidField(
        path,
        count,
        `the total number of attributes and capacities must not exceed ${attributeCountMax}`,
      ),
    ),
    ...attributes.flatMap(([name, attribute]) => [
      ...qualifiedNameErrors(name, `${path}.attributes`),
      ...attributeErrors(objectOf(attribute), `${path}.attributes[${name}]`),
    ]),
    ...(isNew('capacity') ? capacities : []).flatMap(([name, capacity]) => [
      ...qualifiedNameErrors(name, `${path}.capacity`),
      ...capacityErrors(
        objectOf(capacity),
        `${path}.capacity[${name}]`,
        device['allowMultipleAllocations'] === true,
      ),
    ]),
    ...(isNew('taints')
      ? boundedErrors(objectsOf(device['taints']), `${path}.taints`, taintCountMax, deviceTaintErrors)
      : []),
    ...consumptionErrors(device, `${path}.consumesCounters`),
    ...(hasOwnNodes ? ownNodeErrors(device, path) : noNodeErrors(device, path)),
    ...bindingConditionErrors(device, path),
  ];
}

const number = String.raw`(0|[1-9]\d*)`;
const part = String.raw`(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)`;
const build = '[0-9a-zA-Z-]+';
const isVersion = new RegExp(
  String.raw`^${number}\.${number}\.${number}(-${part}(\.${part})*)?(\+${build}(\.${build})*)?$`,
);

/** One value; a version is one by semver.org 2.0.0. */
function attributeErrors(attribute: JsonObject, path: string): readonly FieldError[] {
  const { string, version } = attribute;
  const set = ['bool', 'int', 'string', 'version'].filter((name) => attribute[name] !== undefined);
  const text = stringOf(version);
  return [
    ...(string === undefined ? [] : tooLongErrors(`${path}.string`, stringOf(string), valueLengthMax)),
    ...when(version !== undefined && text.length <= 1024 && !isVersion.test(text), () =>
      invalidField(`${path}.version`, text, 'must be a string compatible with semver.org spec 2.0.0'),
    ),
    ...(version === undefined ? [] : tooLongErrors(`${path}.version`, text, valueLengthMax)),
    ...when(set.length !== 1, () =>
      invalidField(path, set.length === 0 ? '' : attribute, 'exactly one value must be specified'),
    ),
  ];
}

function consumptionErrors(device: JsonObject, field: string): readonly FieldError[] {
  const keyOf = (consumption: JsonObject): string => stringOf(consumption['counterSet']);
  return boundedSetErrors(
    objectsOf(device['consumesCounters']),
    { field, countMax: consumptionCountMax, keyOf },
    (consumption, path) => [
      ...neededNameErrors(keyOf(consumption), `${path}.counterSet`, dnsLabel),
      ...counterErrors(consumption['counters'], `${path}.counters`),
    ],
  );
}

function ownNodeErrors(device: JsonObject, path: string): readonly FieldError[] {
  const { nodeName: name, nodeSelector: selector, allNodes } = device;
  const said = [
    ...(stringOf(name) === '' ? [] : ['`nodeName`']),
    ...(isObject(selector) ? ['`nodeSelector`'] : []),
    ...(allNodes === true ? ['`allNodes`'] : []),
  ];
  return [
    ...when(name === '', () => invalidField(`${path}.nodeName`, '', 'must not be empty')),
    ...(stringOf(name) === '' ? [] : formatErrors(`${path}.nodeName`, stringOf(name), dnsSubdomain)),
    ...(isObject(selector) ? nodeSelectorErrors(selector, `${path}.nodeSelector`) : []),
    ...when(allNodes === false, () =>
      invalidField(`${path}.allNodes`, false, 'must be either unset or set to true'),
    ),
    ...when(said.length === 0, () => requiredField(path, ownNodes)),
    ...when(said.length > 1, () => invalidField(path, `{${said.join(', ')}}`, ownNodes)),
  ];
}

function noNodeErrors(device: JsonObject, path: string): readonly FieldError[] {
  const isSaid = ['nodeName', 'nodeSelector', 'allNodes'].some((name) => device[name] !== undefined);
  return isSaid ? [invalidField(path, null, noNodes)] : [];
}
