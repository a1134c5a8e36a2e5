import { invalidField, requiredField, type FieldError } from '#api/errors/field-error.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { builtInTypes } from '#api/schema/built-in-types.ts';
import { dns1035Label, dnsLabel, formatErrors, pathSegment, qualifiedName } from '#api/validation/format.ts';
import { annotationErrors, labelErrors } from '#api/validation/labels.ts';
import type { NumberLiterals, TypeRef } from '#api/schema/type-source.ts';
import { decodeObject } from '#api/wire/decode.ts';
import { isObject, listOf, setOwn, stringOf, type Draft } from '#api/wire/json.ts';
import { isPodwrightError } from '#base/errors.ts';
import { formatPath, memberPart, type Path } from './path.ts';
import { childSchemas, isEmbedded, schemaOfMember, type StructuralSchema } from './structural-schema.ts';

/** The type of metadata. */
export const objectMetaType: TypeRef = { schema: builtInTypes, typeName: 'meta.v1.ObjectMeta' };

/** What became of the metadata of embedded resources. */
export interface Coerced {
  /** The same object where nothing changed. */
  readonly object: JsonObject;
  /** `spec.template.metadata.foo` */
  readonly unknownFields: readonly string[];
  /** The first thing that is of another type than it must be; with it the object is as it came. */
  readonly fault?: FieldError;
}

/** Which schemas have embedded resources somewhere below: nearly none has. */
const withEmbedded = new WeakMap<StructuralSchema, boolean>();

/** Whether an embedded resource may be in a value of the schema. */
export function hasEmbedded(schema: StructuralSchema): boolean {
  const known = withEmbedded.get(schema);
  if (known !== undefined) return known;
  const found = isEmbedded(schema) || childSchemas(schema).some(hasEmbedded);
  withEmbedded.set(schema, found);
  return found;
}

interface Walk {
  readonly path: Path;
  readonly unknownFields: string[];
  fault: FieldError | undefined;
  /** What is of the wrong type is dropped: of stored objects, which nobody can be told of. */
  readonly drops: boolean;
}

/** Brings the metadata of embedded resources into the shape of all metadata, without the fields that it does not have. */
export function coerceEmbedded(schema: StructuralSchema, object: JsonObject, drops = false): Coerced {
  if (!hasEmbedded(schema)) return { object, unknownFields: [] };
  const walk: Walk = { path: [], unknownFields: [], fault: undefined, drops };
  const coerced = coerce(schema, object, walk) as JsonObject;
  const { unknownFields, fault } = walk;
  return fault === undefined ? { object: coerced, unknownFields } : { object, unknownFields, fault };
}

function coerce(schema: StructuralSchema | undefined, value: unknown, walk: Walk): unknown {
  if (schema === undefined || walk.fault !== undefined || !hasEmbedded(schema)) return value;
  if (Array.isArray(value)) {
    return mapItems(value, (item, index) => within(walk, index, () => coerce(schema.items, item, walk)));
  }
  if (!isObject(value)) return value;
  const resource = isEmbedded(schema) ? coerceResource(value, walk) : value;
  let copy: Draft | undefined;
  for (const key of Object.keys(resource)) {
    const member = schemaOfMember(schema, key);
    const coerced = within(walk, memberPart(schema, key), () => coerce(member, resource[key], walk));
    if (coerced === resource[key]) continue;
    copy ??= { ...resource };
    setOwn(copy, key, coerced);
  }
  return copy ?? resource;
}

function mapItems(
  list: readonly unknown[],
  change: (item: unknown, index: number) => unknown,
): readonly unknown[] {
  const changed = list.map(change);
  return changed.every((item, index) => item === list[index]) ? list : changed;
}

function within<T>(walk: Walk, part: string | number, work: () => T): T {
  walk.path.push(part);
  const result = work();
  walk.path.pop();
  return result;
}

function coerceResource(resource: JsonObject, walk: Walk): JsonObject {
  const copy: Draft = { ...resource };
  for (const name of ['apiVersion', 'kind']) {
    if (!Object.hasOwn(resource, name) || typeof resource[name] === 'string') continue;
    if (walk.drops) delete copy[name];
    else walk.fault ??= invalidField(formatPath([...walk.path, name]), resource[name], 'must be a string');
  }
  if (Object.hasOwn(resource, 'metadata')) {
    const read = readMetadata(resource['metadata']);
    const path = formatPath([...walk.path, 'metadata']);
    if (read.object !== undefined) {
      copy['metadata'] = read.object;
      walk.unknownFields.push(...read.unknownFields.map((field) => `${path}.${field}`));
    } else if (!walk.drops) walk.fault ??= invalidField(path, resource['metadata'], read.message);
    else if (isObject(resource['metadata'])) copy['metadata'] = withoutMalformed(resource['metadata']);
  }
  return copy;
}

type ReadMetadata =
  | { readonly object: JsonObject; readonly unknownFields: readonly string[] }
  | { readonly object: undefined; readonly message: string };

/** Metadata in its shape, or Go's words for what is wrong with it. */
export function readMetadata(value: unknown, literals?: NumberLiterals): ReadMetadata {
  try {
    return decodeObject(objectMetaType, value ?? {}, literals);
  } catch (error) {
    if (isPodwrightError(error, 'E_INVALID')) return { object: undefined, message: error.message };
    throw error;
  }
}

/** The members that can be read, each by itself. */
function withoutMalformed(metadata: JsonObject): JsonObject {
  const read = Object.keys(metadata).map((name) => readMetadata({ [name]: metadata[name] }).object ?? {});
  return Object.assign({}, ...read) as JsonObject;
}

/** Complaints about embedded resources: that they say what they are, and that their metadata is well-formed. */
export function embeddedErrors(schema: StructuralSchema, object: JsonObject): readonly FieldError[] {
  return hasEmbedded(schema) ? errorsWithin(schema, object, []) : [];
}

function errorsWithin(
  schema: StructuralSchema | undefined,
  value: unknown,
  path: Path,
): readonly FieldError[] {
  if (schema === undefined || !hasEmbedded(schema)) return [];
  if (Array.isArray(value)) {
    return value.flatMap((item, index) => errorsWithin(schema.items, item, [...path, index]));
  }
  if (!isObject(value)) return [];
  return [
    ...(isEmbedded(schema) ? resourceErrors(value, formatPath(path)) : []),
    ...Object.keys(value).flatMap((key) =>
      errorsWithin(schemaOfMember(schema, key), value[key], [...path, memberPart(schema, key)]),
    ),
  ];
}

function resourceErrors(resource: JsonObject, path: string): readonly FieldError[] {
  const [version, kind] = [resource['apiVersion'], resource['kind']];
  return [
    ...textErrors(`${path}.apiVersion`, version, (text) =>
      text.split('/').length > 2 ? [`unexpected GroupVersion string: ${text}`] : [],
    ),
    ...textErrors(`${path}.kind`, kind, (text) => {
      const wrong = dns1035Label(text.toLowerCase());
      return wrong.length === 0
        ? []
        : [`may have mixed case, but should otherwise match: ${wrong.join(',')}`];
    }),
    ...(Object.hasOwn(resource, 'metadata') ? metadataErrors(resource['metadata'], `${path}.metadata`) : []),
  ];
}

/** Names are whatever can be in a path: nobody knows what kinds are embedded. */
function metadataErrors(value: unknown, path: string): readonly FieldError[] {
  const read = readMetadata(value);
  if (read.object === undefined) return [invalidField(path, value, read.message)];
  const { labels, annotations, finalizers } = read.object;
  const text = (name: string): string => stringOf(read.object?.[name]);
  const prefix = text('generateName');
  return [
    ...(prefix === '' ? [] : formatErrors(`${path}.generateName`, prefix, pathSegment)),
    ...formatErrors(`${path}.name`, text('name'), pathSegment),
    ...(text('namespace') === '' ? [] : formatErrors(`${path}.namespace`, text('namespace'), dnsLabel)),
    ...labelErrors(labels, `${path}.labels`),
    ...annotationErrors(annotations, `${path}.annotations`),
    ...listOf(finalizers).flatMap((finalizer) =>
      formatErrors(`${path}.finalizers`, stringOf(finalizer), qualifiedName),
    ),
  ];
}

function textErrors(
  field: string,
  value: unknown,
  wrong: (text: string) => readonly string[],
): readonly FieldError[] {
  if (value === undefined || value === '') return [requiredField(field)];
  if (typeof value !== 'string') return [invalidField(field, value, 'must be a string')];
  return wrong(value).map((text) => invalidField(field, value, text));
}
