import {
  invalidField,
  notSupportedField,
  requiredField,
  tooLongField,
  type FieldError,
} from '#api/errors/field-error.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { isObject, listOf, numberOf, objectsOf, stringOf } from '#api/wire/json.ts';
import { tooManyErrors, when } from '#api/validation/field.ts';
import { dnsSubdomain, formatErrors, labelValue, qualifiedName } from '#api/validation/format.ts';
import {
  boundedErrors,
  boundedSetErrors,
  driverNameErrors,
  fullNameErrors,
  labelNameErrors,
  neededNameErrors,
  repeatedKeyErrors,
} from './device-names.ts';
import { selectorErrors } from './device-selector.ts';

/** Requests, constraints and configurations of a claim (kubernetes pkg/apis/resource). */
export const listCountMax = 32;
const alternativeCountMax = 8;
const tolerationCountMax = 16;
/** Bytes of what is for the driver alone. */
export const parameterBytesMax = 10_240;
const effects = ['NoExecute', 'NoSchedule', 'None'];
const unionText = 'exactly one of `exactly` or `firstAvailable` is required';
const referenceText =
  "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'";

/** The devices that a claim asks for (validateDeviceClaim). */
export function deviceClaimErrors(devices: JsonObject, path: string): readonly FieldError[] {
  const requests = objectsOf(devices['requests']);
  const names = requestNames(devices);
  const field = `${path}.requests`;
  return [
    ...boundedSetErrors(requests, { field, countMax: listCountMax, keyOf: nameOf }, requestErrors),
    ...boundedErrors(
      objectsOf(devices['constraints']),
      `${path}.constraints`,
      listCountMax,
      (constraint, place) => constraintErrors(constraint, place, names),
    ),
    ...boundedErrors(objectsOf(devices['config']), `${path}.config`, listCountMax, (config, place) => [
      ...referenceListErrors(config['requests'], `${place}.requests`, names),
      ...configurationErrors(config, place),
    ]),
  ];
}

/** What a claim calls its requests, and those among which one may be chosen: `a`, `a/b`. */
export function requestNames(devices: JsonObject): ReadonlySet<string> {
  return new Set(
    objectsOf(devices['requests']).flatMap((request) => {
      const name = stringOf(request['name']);
      return [name, ...objectsOf(request['firstAvailable']).map((sub) => `${name}/${nameOf(sub)}`)];
    }),
  );
}

/** A request, or one of its alternatives, by name. */
export function referenceErrors(
  name: string,
  field: string,
  names: ReadonlySet<string>,
): readonly FieldError[] {
  const segments = name.split('/');
  if (segments.length > 2) return [invalidField(field, name, referenceText)];
  return [
    ...segments.flatMap((segment) => labelNameErrors(segment, field)),
    ...when(!names.has(name), () => invalidField(field, name, referenceText)),
  ];
}

/** Requests by name, each once. */
export function referenceListErrors(
  list: unknown,
  field: string,
  names: ReadonlySet<string>,
): readonly FieldError[] {
  const given = listOf(list).map(stringOf);
  return boundedSetErrors(given, { field, countMax: listCountMax, keyOf: (name) => name }, (name, place) =>
    referenceErrors(name, place, names),
  );
}

/** What the driver is told; `stored`: its parameters are as they were, however long. */
export function configurationErrors(config: JsonObject, path: string, stored = false): readonly FieldError[] {
  const { opaque } = config;
  if (!isObject(opaque)) return [requiredField(`${path}.opaque`)];
  return [
    ...driverNameErrors(stringOf(opaque['driver']), `${path}.opaque.driver`),
    ...rawErrors(opaque['parameters'], `${path}.opaque.parameters`, stored),
  ];
}

/** What must be an object of JSON, not too long (validateRawExtension). */
export function rawErrors(value: unknown, field: string, stored = false): readonly FieldError[] {
  if (value === undefined || value === null) return [requiredField(field)];
  if (!stored && Buffer.byteLength(JSON.stringify(value)) > parameterBytesMax) {
    return [tooLongField(field, parameterBytesMax)];
  }
  return isObject(value) ? [] : [invalidField(field, '<value omitted>', 'must be a valid JSON object')];
}

/** What a request tolerates of devices (validateDeviceToleration). */
export function deviceTolerationErrors(list: unknown, field: string): readonly FieldError[] {
  const tolerations = objectsOf(list);
  return [
    ...tooManyErrors(field, tolerations.length, tolerationCountMax),
    ...tolerations.flatMap((toleration, index) => oneTolerationErrors(toleration, `${field}[${index}]`)),
  ];
}

/** The taints of a device (validateDeviceTaint). */
export function deviceTaintErrors(taint: JsonObject, path: string): readonly FieldError[] {
  const [value, effect] = [stringOf(taint['value']), stringOf(taint['effect'])];
  return [
    ...formatErrors(`${path}.key`, stringOf(taint['key']), qualifiedName),
    ...(value === '' ? [] : formatErrors(`${path}.value`, value, labelValue)),
    ...(effect === '' ? [requiredField(`${path}.effect`)] : effectErrors(effect, `${path}.effect`)),
  ];
}

function oneTolerationErrors(toleration: JsonObject, path: string): readonly FieldError[] {
  const [key, value, effect] = ['key', 'value', 'effect'].map((name) => stringOf(toleration[name]));
  return [
    ...(key === '' ? [] : formatErrors(`${path}.key`, key ?? '', qualifiedName)),
    ...operatorErrors(toleration, value ?? '', path),
    ...(effect === '' ? [] : effectErrors(effect ?? '', `${path}.effect`)),
  ];
}

function operatorErrors({ operator }: JsonObject, value: string, path: string): readonly FieldError[] {
  switch (operator) {
    case 'Exists':
      return when(value !== '', () =>
        invalidField(`${path}.value`, value, 'must be empty for operator `Exists`'),
      );
    case 'Equal':
      return formatErrors(`${path}.value`, value, labelValue);
    default:
      return stringOf(operator) === ''
        ? [requiredField(`${path}.operator`)]
        : [notSupportedField(`${path}.operator`, operator, ['Equal', 'Exists'])];
  }
}

function effectErrors(effect: string, field: string): readonly FieldError[] {
  return effects.includes(effect) ? [] : [notSupportedField(field, effect, effects)];
}

function nameOf(item: JsonObject): string {
  return stringOf(item['name']);
}

function requestErrors(request: JsonObject, path: string): readonly FieldError[] {
  const alternatives = objectsOf(request['firstAvailable']);
  const { exactly } = request;
  const name = labelNameErrors(stringOf(request['name']), `${path}.name`);
  if (isObject(exactly) && alternatives.length > 0) {
    return [...name, invalidField(path, null, `${unionText}, but multiple fields are set`)];
  }
  if (isObject(exactly)) return [...name, ...askedErrors(exactly, `${path}.exactly`)];
  if (alternatives.length === 0) return [...name, requiredField(path, unionText)];
  const field = `${path}.firstAvailable`;
  return [
    ...name,
    ...boundedSetErrors(
      alternatives,
      { field, countMax: alternativeCountMax, keyOf: nameOf },
      (sub, place) => [...labelNameErrors(nameOf(sub), `${place}.name`), ...askedErrors(sub, place)],
    ),
  ];
}

/** Of which class, by which conditions, and how many. */
function askedErrors(request: JsonObject, path: string): readonly FieldError[] {
  return [
    ...neededNameErrors(stringOf(request['deviceClassName']), `${path}.deviceClassName`, dnsSubdomain),
    ...selectorErrors(request['selectors'], `${path}.selectors`),
    ...countErrors(request, path),
    ...deviceTolerationErrors(request['tolerations'], `${path}.tolerations`),
  ];
}

function countErrors({ allocationMode: mode, count }: JsonObject, path: string): readonly FieldError[] {
  const number = numberOf(count);
  switch (mode) {
    case 'All':
      return when(number !== 0, () =>
        invalidField(`${path}.count`, number, "must not be specified when allocationMode is 'All'"),
      );
    case 'ExactCount':
      return when(number <= 0, () => invalidField(`${path}.count`, number, 'must be greater than zero'));
    default:
      return [notSupportedField(`${path}.allocationMode`, mode ?? '', ['All', 'ExactCount'])];
  }
}

function constraintErrors(
  constraint: JsonObject,
  path: string,
  names: ReadonlySet<string>,
): readonly FieldError[] {
  const { matchAttribute: same, distinctAttribute: different } = constraint;
  const union =
    'exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields are set';
  const attribute = (): readonly FieldError[] => {
    if (same !== undefined) return fullNameErrors(stringOf(same), `${path}.matchAttribute`);
    if (different !== undefined) return fullNameErrors(stringOf(different), `${path}.distinctAttribute`);
    return [requiredField(path, union)];
  };
  return [...referenceListErrors(constraint['requests'], `${path}.requests`, names), ...attribute()];
}

/** Conditions of a device that its pod waits for, and those that end the wait (validateDeviceBindingParameters). */
export function bindingConditionErrors(device: JsonObject, path: string): readonly FieldError[] {
  const waits = listOf(device['bindingConditions']).map(stringOf);
  const ends = listOf(device['bindingFailureConditions']).map(stringOf);
  const [wait, end] = ['bindingConditions', 'bindingFailureConditions'].map((name) => `${path}.${name}`);
  const overlap = 'bindingFailureConditions must not overlap with bindingConditions';
  const check = (type: string, place: string): readonly FieldError[] =>
    formatErrors(place, type, qualifiedName);
  return [
    ...boundedErrors(waits, wait ?? '', 4, check),
    ...boundedErrors(ends, end ?? '', 4, check),
    ...repeatedKeyErrors(waits, wait ?? ''),
    ...repeatedKeyErrors(ends, end ?? ''),
    ...ends.flatMap((type, index) =>
      when(waits.includes(type), () => invalidField(`${end}[${index}]`, type, overlap)),
    ),
    ...when(waits.length === 0 && ends.length > 0, () =>
      invalidField(wait ?? '', null, 'bindingConditions are required to use bindingFailureConditions'),
    ),
    ...when(ends.length === 0 && waits.length > 0, () =>
      invalidField(end ?? '', null, 'bindingFailureConditions are required to use bindingConditions'),
    ),
  ];
}
