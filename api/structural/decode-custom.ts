import type { DecodedObject, NumberLiterals } from '#api/schema/type-source.ts';
import { renderFieldError } from '#api/errors/field-error.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { cloneJson, type Draft } from '#api/wire/json.ts';
import { PodwrightError } from '#base/errors.ts';
import { coerceEmbedded, readMetadata } from './embedded.ts';
import { pruneObject } from './prune.ts';
import type { StructuralSchema } from './structural-schema.ts';

/**
 * Reads an object of a custom kind: metadata as all kinds have it, the rest as far as the schema knows it. Unknown fields are told in
 * kube-apiserver's order: of the metadata, of the object by their paths, of the metadata of embedded resources.
 * @throws {E_INVALID} for metadata of another shape, with Go's text
 */
export function decodeCustom(
  schema: StructuralSchema,
  input: JsonObject,
  literals?: NumberLiterals,
): DecodedObject {
  const { metadata, ...rest } = input;
  const read = readMetadata(metadata ?? {}, literals);
  if (read.object === undefined) throw new PodwrightError('E_INVALID', read.message);
  const pruned = pruneObject(schema, cloneJson(rest) as JsonObject);
  const coerced = coerceEmbedded(schema, pruned.object);
  if (coerced.fault !== undefined) {
    const { fault } = coerced;
    throw new PodwrightError('E_INVALID', `${fault.field}: ${renderFieldError(fault)}`);
  }
  const object: Draft = { ...coerced.object, metadata: read.object };
  return {
    object,
    unknownFields: [
      ...read.unknownFields.map((field) => `metadata.${field}`),
      ...pruned.unknownFields,
      ...coerced.unknownFields,
    ],
  };
}
