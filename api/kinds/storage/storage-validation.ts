import {
  duplicateField,
  forbiddenField,
  invalidField,
  notSupportedField,
  requiredField,
  tooLongField,
  type FieldError,
} from '#api/errors/field-error.ts';
import { equalJson, goJson, listOf, objectOf, objectsOf, stringMapOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { givenChoiceErrors, immutable } from '#api/validation/field.ts';
import { formatErrors, qualifiedName } from '#api/validation/format.ts';

/** Of the parameters of a class: how many, and bytes of all (kubernetes pkg/apis/storage/validation). */
const parameterCountMax = 512;
const parameterByteCountMax = 262_144;
const reclaimPolicies = ['Delete', 'Retain'];
const bindingModes = ['Immediate', 'WaitForFirstConsumer'];
const groupPolicies = ['File', 'None', 'ReadWriteOnceWithFSType'];
const lifecycleModes = ['Persistent', 'Ephemeral'];
const updateSecondsMin = 10;
const tokenSecondsMin = 600;
const tokenSecondsMax = 2 ** 32;

/** Complaints about a StorageClass. */
export function validateStorageClass(storageClass: JsonObject): readonly FieldError[] {
  const policy = stringOf(storageClass['reclaimPolicy']);
  return [
    ...driverErrors(storageClass, 'provisioner'),
    ...parameterErrors(stringMapOf(storageClass['parameters'])),
    ...(policy === '' || reclaimPolicies.includes(policy)
      ? []
      : [notSupportedField('reclaimPolicy', policy, reclaimPolicies)]),
    ...givenChoiceErrors('volumeBindingMode', storageClass['volumeBindingMode'], bindingModes),
    ...topologyErrors(objectsOf(storageClass['allowedTopologies'])),
  ];
}

/** Complaints about a VolumeAttributesClass. */
export function validateVolumeAttributesClass(attributes: JsonObject): readonly FieldError[] {
  const parameters = stringMapOf(attributes['parameters']);
  return [
    ...driverErrors(attributes, 'driverName'),
    ...parameterErrors(parameters),
    ...(Object.keys(parameters).length === 0
      ? [requiredField('parameters', 'must contain at least one key/value pair')]
      : []),
  ];
}

/** Complaints about a CSIDriver. */
export function validateCsiDriver(driver: JsonObject): readonly FieldError[] {
  const spec = objectOf(driver['spec']);
  const { fsGroupPolicy, nodeAllocatableUpdatePeriodSeconds: period } = spec;
  return [
    ...(fsGroupPolicy === undefined || groupPolicies.includes(stringOf(fsGroupPolicy))
      ? []
      : [notSupportedField('spec.fsGroupPolicy', fsGroupPolicy, groupPolicies)]),
    ...tokenRequestErrors(objectsOf(spec['tokenRequests']), 'spec.tokenRequests'),
    ...listOf(spec['volumeLifecycleModes'])
      .filter((mode) => !lifecycleModes.includes(stringOf(mode)))
      .map((mode) => notSupportedField('spec.volumeLifecycleModes', mode, lifecycleModes)),
    ...(typeof period === 'number' && period < updateSecondsMin
      ? [
          invalidField(
            'spec.nodeAllocatableUpdatePeriodSeconds',
            period,
            `must be greater than or equal to ${updateSecondsMin} seconds`,
          ),
        ]
      : []),
  ];
}

/** Complaints about what an update of a CSIDriver changes. */
export function validateCsiDriverUpdate(old: JsonObject, driver: JsonObject): readonly FieldError[] {
  return [
    // Called so by kube-apiserver, which misspells it.
    ...immutable('spec.attachRequired')(old, driver).map((error) => ({
      ...error,
      field: 'spec.attachedRequired',
    })),
    ...immutable('spec.volumeLifecycleModes')(old, driver),
  ];
}

function tokenRequestErrors(requests: readonly JsonObject[], path: string): readonly FieldError[] {
  const audiences = new Set<string>();
  return requests.flatMap((request, index) => {
    const audience = stringOf(request['audience']);
    if (audiences.has(audience)) return [duplicateField(`${path}[${index}].audience`, audience)];
    audiences.add(audience);
    const seconds = request['expirationSeconds'];
    if (typeof seconds !== 'number') return [];
    const field = `${path}[${index}].expirationSeconds`;
    if (seconds < tokenSecondsMin) {
      return [invalidField(field, seconds, 'may not specify a duration less than 10 minutes')];
    }
    return seconds > tokenSecondsMax
      ? [invalidField(field, seconds, 'may not specify a duration larger than 2^32 seconds')]
      : [];
  });
}

/** Complaints about those of the fields that an update changes. */
export function changeErrors(
  old: JsonObject,
  object: JsonObject,
  fields: readonly string[],
): readonly FieldError[] {
  return fields
    .filter((field) => !equalJson(old[field], object[field]))
    .map((field) => forbiddenField(field, `updates to ${field} are forbidden.`));
}

function driverErrors(object: JsonObject, field: string): readonly FieldError[] {
  const name = stringOf(object[field]);
  return name === '' ? [requiredField(field)] : formatErrors(field, name.toLowerCase(), qualifiedName);
}

function parameterErrors(parameters: Readonly<Record<string, string>>): readonly FieldError[] {
  const entries = Object.entries(parameters);
  if (entries.length > parameterCountMax) return [tooLongField('parameters', parameterCountMax)];
  const size = Buffer.byteLength(entries.flat().join(''));
  return [
    ...(Object.hasOwn(parameters, '') ? [invalidField('parameters', '', 'field can not be empty.')] : []),
    ...(size > parameterByteCountMax ? [tooLongField('parameters', parameterByteCountMax)] : []),
  ];
}

/** No two terms may ask for the same. */
function topologyErrors(terms: readonly JsonObject[]): readonly FieldError[] {
  const seen = new Set<string>();
  return terms.flatMap((term, index) => {
    const path = `allowedTopologies[${index}].matchLabelExpressions`;
    const expressions = objectsOf(term['matchLabelExpressions']);
    const values = expressions.map(({ key, values: own }) => [stringOf(key), listOf(own).toSorted()]);
    const asked = goJson(Object.fromEntries(values));
    const errors = requirementErrors(expressions, path);
    const repeated = seen.has(asked) ? [duplicateField(path, '')] : [];
    seen.add(asked);
    return [...errors, ...repeated];
  });
}

function requirementErrors(expressions: readonly JsonObject[], path: string): readonly FieldError[] {
  const keys = new Set<string>();
  return expressions.flatMap((expression, index) => {
    const at = `${path}[${index}]`;
    const key = stringOf(expression['key']);
    const values = listOf(expression['values']);
    const errors = [
      ...(values.length === 0 ? [requiredField(`${at}.values`)] : []),
      ...repeatedIn(values).map((position) => duplicateField(`${at}.values[${position}]`, values[position])),
      ...formatErrors(`${at}.key`, key, qualifiedName),
      ...(keys.has(key) ? [duplicateField(`${at}.key`, key)] : []),
    ];
    keys.add(key);
    return errors;
  });
}

/** Where in the list something is that was in it before. */
function repeatedIn(values: readonly unknown[]): readonly number[] {
  const seen = new Set<unknown>();
  return [...values.keys()].filter((position) => {
    const isRepeated = seen.has(values[position]);
    seen.add(values[position]);
    return isRepeated;
  });
}
