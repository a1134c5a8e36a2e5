/**
 * Files by which Kubernetes' servers are configured (`apiVersion`, `kind`, fields; YAML or JSON), read strictly: a field that nobody knows is
 * a mistake of who wrote it, never ignored. What the fields mean is their reader's.
 */
import { readFileSync } from 'node:fs';
import { parseDurationMs } from '#api/meta/duration.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { isObject, memberOf } from '#api/wire/json.ts';
import { parseYaml } from '#api/wire/yaml.ts';
import { describeError, PodwrightError } from '#base/errors.ts';

/** Of what a document is: its kind, the apiVersions it may have, and its fields beside these. */
export interface DocumentKind {
  readonly kind: string;
  readonly apiVersions: readonly string[];
  readonly fields: ObjectShape;
}

/** What a field holds. A duration is Go's (`1m30s`); a list is a shape in brackets; `any` is looked at by its reader. */
export type FieldShape =
  | 'string'
  | 'boolean'
  | 'integer'
  | 'duration'
  | 'stringMap'
  | 'any'
  | ObjectShape
  | readonly [FieldShape];
export interface ObjectShape {
  readonly [field: string]: FieldShape;
}

/** Larger than any that people write. */
const documentBytesMax = 1024 * 1024;

/**
 * Reads a file. `read` may throw what is wrong within.
 * @throws {E_INVALID} with the path and all that is wrong
 */
export function readConfigFile<T>(path: string, kind: DocumentKind, read: (document: JsonObject) => T): T {
  return readFileWith(path, (text) => read(parseConfigDocument(text, kind)));
}

/** Reads a file of which another says what is in it. @throws {E_INVALID} with the path and what is wrong */
export function readMappingFile(path: string): JsonObject {
  return readFileWith(path, (text) => {
    const { value, problems } = parseMapping(text);
    return checked(value, problems);
  });
}

function readFileWith<T>(path: string, read: (text: string) => T): T {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw invalid(`read ${path}: ${describeError(error)}`);
  }
  try {
    return read(text);
  } catch (error) {
    throw invalid(`read ${path}: ${describeError(error)}`);
  }
}

/** A document of that kind, every field of the shape that it should have. @throws {E_INVALID} with all that is wrong */
export function parseConfigDocument(text: string, kind: DocumentKind): JsonObject {
  const { value, problems } = parseMapping(text);
  return checked(value, [...problems, ...documentProblems(value, kind)]);
}

/** As `parseConfigDocument`, of what stands within another document. @throws {E_INVALID} with all that is wrong */
export function checkConfigDocument(value: JsonObject, kind: DocumentKind): JsonObject {
  return checked(value, documentProblems(value, kind));
}

function checked(value: JsonObject, problems: readonly string[]): JsonObject {
  if (problems.length > 0) throw invalid(problems.join('; '));
  return value;
}

function parseMapping(text: string): { readonly value: JsonObject; readonly problems: readonly string[] } {
  if (text.length > documentBytesMax) throw invalid(`longer than ${documentBytesMax} characters`);
  const { value, duplicateFields } = parseYaml(text);
  if (!isObject(value)) throw invalid('not a YAML or JSON mapping');
  return { value, problems: duplicateFields.map((field) => `${field}: given twice`) };
}

function documentProblems(value: JsonObject, { kind, apiVersions, fields }: DocumentKind): readonly string[] {
  return [
    ...(value['kind'] === kind
      ? []
      : [`kind: ${JSON.stringify(value['kind'])}, not ${JSON.stringify(kind)}`]),
    ...(apiVersions.some((version) => version === value['apiVersion'])
      ? []
      : [`apiVersion: ${JSON.stringify(value['apiVersion'])}, none of ${apiVersions.join(', ')}`]),
    ...shapeProblems(value, { ...fields, kind: 'any', apiVersion: 'any' }, ''),
  ];
}

/** What of a value is not of its shape, each with its path: null is as good as nothing. */
function shapeProblems(value: unknown, shape: FieldShape, path: string): readonly string[] {
  if (value === null || value === undefined || shape === 'any') return [];
  if (typeof shape === 'string') return scalars[shape](value) ? [] : [`${path}: not ${names[shape]}`];
  if (isList(shape)) {
    if (!Array.isArray(value)) return [`${path}: not a list`];
    const [element] = shape;
    return value.flatMap((item: unknown, index) => shapeProblems(item, element, `${path}[${index}]`));
  }
  if (!isObject(value)) return [`${path}: not a mapping`];
  return Object.entries(value).flatMap(([field, inner]) => {
    const at = path === '' ? field : `${path}.${field}`;
    const known = memberOf(shape, field);
    return known === undefined ? [`${at}: unknown field`] : shapeProblems(inner, known, at);
  });
}

type ScalarShape = Exclude<FieldShape, ObjectShape | readonly [FieldShape] | 'any'>;

const names: Readonly<Record<ScalarShape, string>> = {
  string: 'a string',
  boolean: 'true or false',
  integer: 'an integer',
  duration: 'a duration such as 30s',
  stringMap: 'a mapping of strings',
};

const scalars: Readonly<Record<ScalarShape, (value: unknown) => boolean>> = {
  string: isText,
  boolean: (value) => typeof value === 'boolean',
  integer: (value) => Number.isSafeInteger(value),
  duration: (value) => isText(value) && isDuration(value),
  stringMap: (value) => isObject(value) && Object.values(value).every(isText),
};

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

function isDuration(text: string): boolean {
  try {
    parseDurationMs(text);
    return true;
  } catch {
    return false;
  }
}

function isList(shape: ObjectShape | readonly [FieldShape]): shape is readonly [FieldShape] {
  return Array.isArray(shape);
}

function invalid(why: string): PodwrightError {
  return new PodwrightError('E_INVALID', why);
}
