import { invalidField, renderFieldError, type FieldError } from '#api/errors/field-error.ts';
import { equalJson, isObject } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { coerceEmbedded, embeddedErrors } from '#api/structural/embedded.ts';
import { pruneValue } from '#api/structural/prune.ts';
import {
  isEmbedded,
  type SchemaExtensions,
  type StructuralSchema,
} from '#api/structural/structural-schema.ts';
import { valueErrors } from '#api/structural/validate.ts';

/** Where a walk over defaults is. */
interface Place {
  readonly path: string;
  /** The whole object that the default would be part of, and how to it: undefined in what is no metadata. */
  readonly within?:
    | { readonly root: StructuralSchema; readonly way: readonly (string | number)[] }
    | undefined;
  /** From the nearest whole object. */
  readonly way: readonly (string | number)[];
}

const noExtensions: SchemaExtensions = {
  preservesUnknownFields: false,
  isEmbeddedResource: false,
  isIntOrString: false,
  listType: undefined,
  listMapKeys: [],
  mapType: undefined,
  rules: [],
};
const objectMembers: ReadonlySet<string> = new Set(['apiVersion', 'kind', 'metadata']);
const typeMeta = { apiVersion: 'validation/v1', kind: 'Validation' };

/** Complaints about defaults that are not valid themselves, or have fields that the schema does not know, unless those may be. */
export function defaultErrors(
  schema: StructuralSchema,
  path: string,
  mustBePruned: boolean,
): readonly FieldError[] {
  const root = {
    ...schema,
    extensions: { ...(schema.extensions ?? noExtensions), isEmbeddedResource: true },
  };
  return errorsBelow(root, { path, way: [] }, mustBePruned);
}

function errorsBelow(schema: StructuralSchema, place: Place, mustBePruned: boolean): readonly FieldError[] {
  const isWhole = isEmbedded(schema);
  const here: Place = isWhole ? { path: place.path, way: [] } : place;
  const { items, properties } = schema;
  return [
    ...(schema.default === undefined ? [] : oneErrors(schema, here, mustBePruned)),
    ...(items === undefined ? [] : errorsBelow(items, below(here, `${here.path}.items`, 0), mustBePruned)),
    ...[...(properties ?? [])].flatMap(([name, property]) => {
      const child = below(here, `${here.path}.properties[${name}]`, name);
      const isMeta = isWhole && objectMembers.has(name);
      const within = isMeta ? { root: schema, way: child.way } : child.within;
      return errorsBelow(property, { ...child, within }, mustBePruned);
    }),
  ];
}

function below(place: Place, path: string, part: string | number): Place {
  const { within } = place;
  return {
    ...place,
    path,
    way: [...place.way, part],
    within: within && { root: within.root, way: [...within.way, part] },
  };
}

function oneErrors(
  schema: StructuralSchema,
  { path, within }: Place,
  mustBePruned: boolean,
): readonly FieldError[] {
  const field = `${path}.default`;
  const value = schema.default;
  const own = (): readonly FieldError[] => valueErrors(schema, value).map((error) => ofDefault(error, field));
  if (within !== undefined) {
    const wrong = metadataProblem(within.root, wrap(value, within.way));
    return wrong === undefined
      ? own()
      : [invalidField(field, value, `must result in valid metadata: ${wrong}`)];
  }
  const unpruned = mustBePruned && !equalJson(pruneValue(schema, value), value);
  const unknown = unpruned ? [invalidField(field, value, 'must not have unknown fields')] : [];
  if (!isObject(value)) return [...unknown, ...own()];
  const coerced = coerceEmbedded(schema, value);
  if (coerced.fault !== undefined) return [...unknown, ofDefault(coerced.fault, field)];
  const embedded = embeddedErrors(schema, value).map((error) => ofDefault(error, field));
  return [...unknown, ...(embedded.length > 0 ? embedded : own())];
}

/** The error of a value, as one of the default that it is. */
function ofDefault(error: FieldError, field: string): FieldError {
  return { ...error, field: error.field === '<nil>' ? field : `${field}.${error.field}` };
}

function metadataProblem(root: StructuralSchema, object: JsonObject): string | undefined {
  const { fault } = coerceEmbedded(root, object);
  const [wrong] = fault === undefined ? embeddedErrors(root, object) : [fault];
  return wrong === undefined ? undefined : `${wrong.field}: ${renderFieldError(wrong)}`;
}

function wrap(value: unknown, way: readonly (string | number)[]): JsonObject {
  const wrapped = way.reduceRight<unknown>(
    (inner, part) => (typeof part === 'number' ? [inner] : { [part]: inner }),
    value,
  );
  return { ...typeMeta, ...(isObject(wrapped) ? wrapped : {}) };
}
