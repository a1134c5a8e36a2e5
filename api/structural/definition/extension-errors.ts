import {
  forbiddenField,
  invalidField,
  notSupportedField,
  requiredField,
  type FieldError,
} from '#api/errors/field-error.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { when } from '#api/validation/field.ts';
import { isObject, listOf, objectOf, stringOf } from '#api/wire/json.ts';
import type { SchemaPart } from './json-schema.ts';

/** What an update does not ask of what was there before. */
export interface ListLeniency {
  /** Items of sets may be objects that are no atoms. */
  readonly allowsGranularSets: boolean;
  /** Keys of maps may be absent, and items null. */
  readonly allowsMissingKeys: boolean;
}

const extensions = [
  'x-kubernetes-preserve-unknown-fields',
  'x-kubernetes-map-type',
  'x-kubernetes-list-type',
  'x-kubernetes-list-map-keys',
];

/** Complaints about `x-kubernetes-list-type`, `-list-map-keys`, `-map-type` and `-preserve-unknown-fields`. */
export function extensionErrors(part: SchemaPart, leniency: ListLeniency): readonly FieldError[] {
  const { json, path } = part;
  if (!extensions.some((name) => json[name] !== undefined)) return [];
  const preserve = json['x-kubernetes-preserve-unknown-fields'];
  return [
    ...when(preserve === false, () =>
      invalidField(`${path}.x-kubernetes-preserve-unknown-fields`, preserve, 'must be true or undefined'),
    ),
    ...mapTypeErrors(part),
    ...listTypeErrors(part, leniency),
    ...listMapErrors(part),
    ...(leniency.allowsMissingKeys ? [] : keyErrors(part)),
  ];
}

function mapTypeErrors({ json, path }: SchemaPart): readonly FieldError[] {
  const mapType = textOf(json, 'x-kubernetes-map-type');
  if (mapType === undefined) return [];
  return [
    ...typeErrors({ json, path }, 'object', 'must be object if x-kubernetes-map-type is specified'),
    ...when(mapType !== 'atomic' && mapType !== 'granular', () =>
      notSupportedField(`${path}.x-kubernetes-map-type`, mapType, ['atomic', 'granular']),
    ),
  ];
}

function typeErrors({ json, path }: SchemaPart, wanted: string, detail: string): readonly FieldError[] {
  const type = stringOf(json['type']);
  if (type === wanted) return [];
  return [type === '' ? requiredField(`${path}.type`, detail) : invalidField(`${path}.type`, type, detail)];
}

const listTypes = ['atomic', 'set', 'map'];

function listTypeErrors(part: SchemaPart, { allowsGranularSets }: ListLeniency): readonly FieldError[] {
  const { json, path } = part;
  const listType = textOf(json, 'x-kubernetes-list-type');
  const keys = listOf(json['x-kubernetes-list-map-keys']);
  const field = `${path}.x-kubernetes-list-type`;
  const keysText = 'must be map if x-kubernetes-list-map-keys is non-empty';
  if (listType === undefined) return when(keys.length > 0, () => requiredField(field, keysText));
  const type = typeErrors(part, 'array', 'must be array if x-kubernetes-list-type is specified');
  return [
    ...type,
    ...(type.length === 0 && listType === 'set' && !allowsGranularSets ? setItemErrors(part) : []),
    ...when(!listTypes.includes(listType), () => notSupportedField(field, listType, listTypes)),
    ...when(keys.length > 0 && listType !== 'map', () => invalidField(field, listType, keysText)),
  ];
}

/** Items of a set are told apart as wholes. */
function setItemErrors({ json, path }: SchemaPart): readonly FieldError[] {
  const items = objectOf(json['items']);
  const detail = 'must be atomic as item of a list with x-kubernetes-list-type=set';
  const listType = textOf(items, 'x-kubernetes-list-type');
  if (items['type'] === 'array') {
    return when(listType !== undefined && listType !== 'atomic', () =>
      invalidField(`${path}.items.x-kubernetes-list-type`, listType, detail),
    );
  }
  // It names the type of a list, as kube-apiserver does.
  return when(items['type'] === 'object' && items['x-kubernetes-map-type'] !== 'atomic', () =>
    invalidField(`${path}.items.x-kubernetes-map-type`, listType ?? null, detail),
  );
}

function listMapErrors({ json, path }: SchemaPart): readonly FieldError[] {
  if (json['x-kubernetes-list-type'] !== 'map') return [];
  const keys = listOf(json['x-kubernetes-list-map-keys']);
  const field = `${path}.x-kubernetes-list-map-keys`;
  const { items } = json;
  const type = stringOf(objectOf(items)['type']);
  return [
    ...when(keys.length === 0, () =>
      requiredField(field, 'must not be empty if x-kubernetes-list-type is map'),
    ),
    ...when(items === undefined, () =>
      requiredField(`${path}.items`, 'must have a schema if x-kubernetes-list-type is map'),
    ),
    ...when(Array.isArray(items), () =>
      invalidField(`${path}.items`, items, 'must only have a single schema if x-kubernetes-list-type is map'),
    ),
    ...when(isObject(items) && type !== 'object', () =>
      invalidField(
        `${path}.items.type`,
        type,
        "must be object if parent array's x-kubernetes-list-type is map",
      ),
    ),
    ...(type === 'object' ? keyNameErrors({ json, path }, keys) : []),
  ];
}

function keyNameErrors({ json, path }: SchemaPart, keys: readonly unknown[]): readonly FieldError[] {
  const field = `${path}.x-kubernetes-list-map-keys`;
  const properties = objectOf(objectOf(json['items'])['properties']);
  return keys.flatMap((key, index) => {
    const name = stringOf(key);
    const property = Object.hasOwn(properties, name) ? objectOf(properties[name]) : undefined;
    const isWhole = property?.['type'] === 'array' || property?.['type'] === 'object';
    return [
      ...when(isWhole, () =>
        invalidField(
          `${path}.items.properties[${name}].type`,
          'object',
          "must be a scalar type if parent array's x-kubernetes-list-type is map",
        ),
      ),
      ...when(property === undefined, () =>
        invalidField(field, keys, 'entries must all be names of item properties'),
      ),
      ...when(keys.indexOf(key) < index, () =>
        invalidField(field, keys, 'must not contain duplicate entries'),
      ),
    ];
  });
}

/** Whatever tells items of a map apart is there, and so are the items. */
function keyErrors({ json, path }: SchemaPart): readonly FieldError[] {
  const { items } = json;
  const listType = stringOf(json['x-kubernetes-list-type']);
  if (!isObject(items) || (listType !== 'set' && listType !== 'map')) return [];
  const properties = objectOf(items['properties']);
  const keys = listType === 'map' ? listOf(json['x-kubernetes-list-map-keys']).map(stringOf) : [];
  return [
    ...when(items['nullable'] === true, () =>
      forbiddenField(
        `${path}.items.nullable`,
        `cannot be nullable when x-kubernetes-list-type is ${listType}`,
      ),
    ),
    ...keys
      .filter((key) => Object.hasOwn(properties, key))
      .flatMap((key) => {
        const property = objectOf(properties[key]);
        const place = `${path}.items.properties[${key}]`;
        const isThere = listOf(items['required']).includes(key) || (property['default'] ?? null) !== null;
        return [
          ...when(!isThere, () =>
            requiredField(
              `${place}.default`,
              'this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property',
            ),
          ),
          ...when(property['nullable'] === true, () =>
            forbiddenField(
              `${place}.nullable`,
              'this property is in x-kubernetes-list-map-keys, so it cannot be nullable',
            ),
          ),
        ];
      }),
  ];
}

function textOf(json: JsonObject, name: string): string | undefined {
  const value = json[name];
  return typeof value === 'string' ? value : undefined;
}
