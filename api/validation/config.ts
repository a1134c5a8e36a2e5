import {
  duplicateField,
  forbiddenField,
  invalidField,
  requiredField,
  tooLongField,
  noField,
  type FieldError,
} from '#api/errors/field-error.ts';
import { at, equalJson, isObject, objectOf, stringOf } from '#api/wire/json.ts';
import { parseJsonStrict } from '#api/wire/parse-json.ts';
import { PodwrightError } from '#base/errors.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { configKey, formatErrors } from './format.ts';

/** All values of a ConfigMap or Secret together. */
export const dataByteCountMax = 1_048_576;

const immutableText = 'field is immutable when `immutable` is set';

/** Complaints about a ConfigMap. */
export function validateConfigMap(map: JsonObject): readonly FieldError[] {
  const data = objectOf(map['data']);
  const binary = objectOf(map['binaryData']);
  const size = sizeOf(Object.values(data), Buffer.byteLength) + sizeOf(Object.values(binary), decodedLength);
  return [
    ...keyErrors(data, 'data'),
    ...Object.keys(data)
      .filter((key) => Object.hasOwn(binary, key))
      .map((key) => duplicateField(`data[${key}]`, key)),
    ...keyErrors(binary, 'binaryData'),
    ...(size > dataByteCountMax ? [tooLongField(noField, dataByteCountMax)] : []),
  ];
}

/** Complaints about an update of a ConfigMap. */
export function validateConfigMapUpdate(old: JsonObject, map: JsonObject): readonly FieldError[] {
  return immutableErrors(old, map, ['data', 'binaryData']);
}

/** Keys that a Secret of a type must have. */
const requiredKeys: Readonly<Record<string, readonly string[]>> = {
  'kubernetes.io/dockercfg': ['.dockercfg'],
  'kubernetes.io/dockerconfigjson': ['.dockerconfigjson'],
  'kubernetes.io/tls': ['tls.crt', 'tls.key'],
};

/** Complaints about a Secret. `%s` is in the names of fields as kube-apiserver has them. */
export function validateSecret(secret: JsonObject): readonly FieldError[] {
  const data = objectOf(secret['data']);
  const type = stringOf(secret['type']);
  const size = sizeOf(Object.values(data), decodedLength);
  return [
    ...keyErrors(data, 'data'),
    ...(size > dataByteCountMax ? [tooLongField('data', dataByteCountMax)] : []),
    ...(requiredKeys[type] ?? [])
      .filter((key) => !Object.hasOwn(data, key))
      .map((key) => requiredField(`data[${key}]`)),
    ...(type === 'kubernetes.io/ssh-auth' && stringOf(data['ssh-privatekey']) === ''
      ? [requiredField('data[%s][ssh-privatekey]')]
      : []),
    ...jsonKeyErrors(data, type),
    ...accountErrors(secret, type),
    ...(type === 'kubernetes.io/basic-auth' &&
    !Object.hasOwn(data, 'username') &&
    !Object.hasOwn(data, 'password')
      ? [requiredField('data[%s][username]'), requiredField('data[%s][password]')]
      : []),
  ];
}

/** Complaints about an update of a Secret. */
export function validateSecretUpdate(old: JsonObject, secret: JsonObject): readonly FieldError[] {
  const type =
    stringOf(old['type']) === stringOf(secret['type'])
      ? []
      : [invalidField('type', secret['type'], 'field is immutable')];
  return [...type, ...immutableErrors(old, secret, ['data'])];
}

function keyErrors(data: JsonObject, field: string): readonly FieldError[] {
  return Object.keys(data).flatMap((key) => formatErrors(`${field}[${key}]`, key, configKey));
}

/** Once set, immutable stays, and so do the data. */
function immutableErrors(
  old: JsonObject,
  object: JsonObject,
  fields: readonly string[],
): readonly FieldError[] {
  if (old['immutable'] !== true) return [];
  const errors = object['immutable'] === true ? [] : [forbiddenField('immutable', immutableText)];
  return errors.concat(
    fields
      .filter((field) => !equalJson(objectOf(old[field]), objectOf(object[field])))
      .map((field) => forbiddenField(field, immutableText)),
  );
}

function jsonKeyErrors(data: JsonObject, type: string): readonly FieldError[] {
  if (type !== 'kubernetes.io/dockercfg' && type !== 'kubernetes.io/dockerconfigjson') return [];
  return (requiredKeys[type] ?? [])
    .filter((key) => Object.hasOwn(data, key))
    .flatMap((key) => {
      const fault = jsonFault(stringOf(data[key]));
      return fault === undefined ? [] : [invalidField(`data[${key}]`, '<secret contents redacted>', fault)];
    });
}

function accountErrors(secret: JsonObject, type: string): readonly FieldError[] {
  const name = 'kubernetes.io/service-account.name';
  if (type !== 'kubernetes.io/service-account-token') return [];
  return stringOf(at(secret, ['metadata', 'annotations', name])) === ''
    ? [requiredField(`metadata.annotations[${name}]`)]
    : [];
}

/** Why Go reads no map from the text; what is null is an empty one. */
function jsonFault(base64: string): string | undefined {
  try {
    const { value } = parseJsonStrict(Buffer.from(base64, 'base64').toString('utf8'));
    if (value === null || isObject(value)) return undefined;
    const kind = Array.isArray(value) ? 'array' : typeof value === 'boolean' ? 'bool' : typeof value;
    return `json: cannot unmarshal ${kind} into Go value of type map[string]interface {}`;
  } catch (error) {
    if (error instanceof PodwrightError && error.code === 'E_INVALID') return error.message;
    throw error;
  }
}

function sizeOf(values: readonly unknown[], length: (text: string) => number): number {
  return values.reduce<number>((sum, value) => sum + length(stringOf(value)), 0);
}

function decodedLength(base64: string): number {
  return Buffer.byteLength(base64, 'base64');
}
