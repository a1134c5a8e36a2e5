import type { StructuralSchema } from '#api/structural/structural-schema.ts';
import {
  duplicateField,
  invalidField,
  requiredField,
  tooManyField,
  type FieldError,
} from '#api/errors/field-error.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { expressionsOf, ruleErrors } from '#api/cel/rules/rule-errors.ts';
import { resolveFieldPath } from '#api/structural/definition/field-path.ts';
import { leniencyOf, schemaErrors, strict } from '#api/structural/definition/schema-errors.ts';
import { parseSchema } from '#api/structural/parse.ts';
import { when } from '#api/validation/field.ts';
import { at, equalJson, isObject, objectOf, objectsOf, stringOf } from '#api/wire/json.ts';

/** What a version has that all versions may have alike. */
export type VersionPart = 'schema' | 'subresources' | 'additionalPrinterColumns' | 'selectableFields';

const columnTypes = ['boolean', 'date', 'integer', 'number', 'string'];
const columnFormats = ['byte', 'date', 'date-time', 'double', 'float', 'int32', 'int64', 'password'];
/** Fields of a version that selectors may know. */
const selectableFieldCountMax = 8;

/** What all versions have alike, which kube-apiserver keeps apart from them; undefined: they differ, or have none. */
export function sharedPart(versions: readonly JsonObject[], part: VersionPart): unknown {
  const [first] = versions;
  const value = first?.[part];
  return value !== undefined && versions.every((version) => equalJson(version[part], value))
    ? value
    : undefined;
}

/** Complaints about the parts that only this version has. */
export function ownPartErrors({
  versions,
  index,
  path,
  old,
}: {
  readonly versions: readonly JsonObject[];
  readonly index: number;
  readonly path: string;
  readonly old: readonly JsonObject[];
}): readonly FieldError[] {
  const version = versions[index] ?? {};
  const own = (part: VersionPart): unknown =>
    sharedPart(versions, part) === undefined ? version[part] : undefined;
  const hasStatus = isObject(at(version, 'subresources.status'));
  const schema = own('schema');
  return [
    ...versionSchemaErrors(schema, `${path}.schema`, { hasStatus, old, names: [version['name']] }),
    ...subresourceErrors(own('subresources'), `${path}.subresources`),
    ...columnErrors(own('additionalPrinterColumns'), `${path}.additionalPrinterColumns`),
    ...selectableErrors(own('selectableFields'), `${path}.selectableFields`, version['schema']),
  ];
}

/** Complaints about the parts that all versions have alike. */
export function sharedPartErrors(
  versions: readonly JsonObject[],
  old: readonly JsonObject[],
): readonly FieldError[] {
  const shared = (part: VersionPart): unknown => sharedPart(versions, part);
  const hasStatus = versions.some((version) => isObject(at(version, 'subresources.status')));
  return [
    ...versionSchemaErrors(shared('schema'), 'spec.validation', {
      hasStatus,
      old,
      names: versions.map(({ name }) => name),
    }),
    ...subresourceErrors(shared('subresources'), 'spec.subresources'),
    ...columnErrors(shared('additionalPrinterColumns'), 'spec.additionalPrinterColumns'),
    ...selectableErrors(shared('selectableFields'), 'spec.selectableFields', versions[0]?.['schema']),
  ];
}

interface SchemaPlace {
  readonly hasStatus: boolean;
  readonly old: readonly JsonObject[];
  /** Of the versions that have the schema. */
  readonly names: readonly unknown[];
}

function versionSchemaErrors(
  schema: unknown,
  path: string,
  { hasStatus, old, names }: SchemaPlace,
): readonly FieldError[] {
  const json = objectOf(schema)['openAPIV3Schema'];
  if (!isObject(json)) return [];
  const before = old.map((version) => at(version, 'schema.openAPIV3Schema')).filter(isObject);
  const leniency = before.length === 0 ? strict : leniencyOf(before);
  // What is stored was compiled once, perhaps by a server that reckoned otherwise: it may stay.
  const isSame = names.every((name) =>
    old.some((each) => each['name'] === name && equalJson(at(each, 'schema.openAPIV3Schema'), json)),
  );
  const stored = new Set(before.flatMap((each) => [...expressionsOf(parseSchema(each))]));
  const checkRules = isSame
    ? undefined
    : (whole: StructuralSchema, place: string): readonly FieldError[] => ruleErrors(whole, place, stored);
  return schemaErrors(json, `${path}.openAPIV3Schema`, { leniency, hasStatus, checkRules });
}

function subresourceErrors(subresources: unknown, path: string): readonly FieldError[] {
  const scale = objectOf(subresources)['scale'];
  if (!isObject(scale)) return [];
  const optional = stringOf(scale['labelSelectorPath']);
  return [
    ...scalePathErrors(scale, 'specReplicasPath', ['.spec.'], path),
    ...scalePathErrors(scale, 'statusReplicasPath', ['.status.'], path),
    ...(optional === '' ? [] : scalePathErrors(scale, 'labelSelectorPath', ['.spec.', '.status.'], path)),
  ];
}

function scalePathErrors(
  scale: JsonObject,
  name: string,
  starts: readonly string[],
  path: string,
): readonly FieldError[] {
  const field = `${path}.scale.${name}`;
  const value = stringOf(scale[name]);
  if (value === '') return [requiredField(field)];
  const simple = simplePathErrors(value, field);
  if (simple.length > 0) return simple;
  const under = starts.map((start) => start.slice(0, -1)).join(' or ');
  const detail = `should be a json path under ${starts.length > 1 ? 'either ' : ''}${under}`;
  return when(!starts.some((start) => value.startsWith(start)), () => invalidField(field, value, detail));
}

function simplePathErrors(path: string, field: string): readonly FieldError[] {
  return when(!path.startsWith('.'), () =>
    invalidField(field, path, 'must be a simple json path starting with .'),
  );
}

function columnErrors(columns: unknown, path: string): readonly FieldError[] {
  return objectsOf(columns).flatMap((column, index) => oneColumnErrors(column, `${path}[${index}]`));
}

function oneColumnErrors(column: JsonObject, path: string): readonly FieldError[] {
  const [type, format] = [stringOf(column['type']), stringOf(column['format'])];
  const jsonPath = stringOf(column['jsonPath']);
  const typeText = `must be one of ${columnTypes.join(',')}`;
  return [
    ...when(stringOf(column['name']) === '', () => requiredField(`${path}.name`)),
    ...when(type === '', () => requiredField(`${path}.type`, typeText)),
    ...when(type !== '' && !columnTypes.includes(type), () => invalidField(`${path}.type`, type, typeText)),
    ...when(format !== '' && !columnFormats.includes(format), () =>
      invalidField(`${path}.format`, format, `must be one of ${columnFormats.join(',')}`),
    ),
    ...(jsonPath === ''
      ? [requiredField(`${path}.JSONPath`)]
      : simplePathErrors(jsonPath, `${path}.JSONPath`)),
  ];
}

const selectableTypes: ReadonlySet<string> = new Set(['string', 'boolean', 'integer']);

function selectableErrors(fields: unknown, path: string, schema: unknown): readonly FieldError[] {
  const list = objectsOf(fields);
  if (list.length === 0) return [];
  const parsed = parseSchema(objectOf(schema)['openAPIV3Schema']);
  const seen = new Set<string>();
  const errors = list.flatMap((each, index) => {
    const field = `${path}[${index}].jsonPath`;
    const jsonPath = stringOf(each['jsonPath']);
    if (jsonPath === '') return [requiredField(field)];
    const found = resolveFieldPath(jsonPath, parsed);
    if ('problem' in found) return [invalidField(field, jsonPath, `is an invalid path: ${found.problem}`)];
    const key = JSON.stringify(found.parts);
    const isRepeated = seen.has(key);
    seen.add(key);
    return [
      ...when(found.parts[0] === 'metadata', () =>
        invalidField(field, jsonPath, 'must not point to fields in metadata'),
      ),
      ...when(!selectableTypes.has(found.schema.type), () =>
        invalidField(
          field,
          jsonPath,
          'must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.',
        ),
      ),
      ...when(isRepeated, () => duplicateField(field, jsonPath)),
    ];
  });
  return [
    ...errors,
    ...when(seen.size > selectableFieldCountMax, () =>
      tooManyField(path, seen.size, selectableFieldCountMax),
    ),
  ];
}
