import { parseYaml } from '#api/wire/yaml.ts';
import { isObject } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { describeError, PodwrightError } from '#base/errors.ts';

/** What a member of a configuration file may be. */
export type Shape = 'string' | 'boolean' | 'number' | readonly [Shape] | { readonly [field: string]: Shape };

/** What a file is to be. */
export interface Configuration {
  readonly kind: string;
  /** The versions that are read; all have the same fields. */
  readonly apiVersions: readonly string[];
  readonly fields: { readonly [field: string]: Shape };
}

/** A file that somebody writes by hand is small. */
const bytesMax = 3 * 1024 * 1024;

/**
 * The document of a configuration file (YAML or JSON), of which every field is known and what it should be, so that a reader may take it by
 * its type. Null members are left out.
 * @throws {E_USAGE} with all that is wrong, without any value of the file
 */
export function readConfiguration(text: string, { kind, apiVersions, fields }: Configuration): JsonObject {
  if (text.trim() === '') throw refuse('it is empty');
  if (text.length > bytesMax) throw refuse(`it is longer than ${bytesMax} bytes`);
  const value = parse(text);
  if (!isObject(value)) throw refuse(`it is no object; begin with kind: ${kind}`);
  const { apiVersion, kind: given } = value;
  if (typeof apiVersion !== 'string' || apiVersion === '') throw refuse("'apiVersion' is not set");
  if (typeof given !== 'string' || given === '') throw refuse("'kind' is not set");
  if (given !== kind || !apiVersions.includes(apiVersion)) {
    throw refuse(
      `no kind ${JSON.stringify(given)} is known for version ${JSON.stringify(apiVersion)}; write kind ${kind}, version ${apiVersions.join(' or ')}`,
    );
  }
  const faults: string[] = [];
  const known = { apiVersion: 'string', kind: 'string', metadata: metadataShape, ...fields } as const;
  const taken = take(value, known, '', faults);
  if (faults.length > 0) throw refuse(`strict decoding error: ${faults.slice(0, faultsMax).join(', ')}`);
  return isObject(taken) ? taken : {};
}

const faultsMax = 20;
const metadataShape: Shape = { name: 'string', creationTimestamp: 'string' };

function parse(text: string): unknown {
  try {
    const { value, duplicateFields } = parseYaml(text);
    const [twice] = duplicateFields;
    if (twice !== undefined) throw refuse(`key ${JSON.stringify(twice)} is there twice`);
    return value;
  } catch (error) {
    // What a parser shows of the text may be a key: only the first line, which says where.
    throw refuse(describeError(error).split('\n', 1)[0] ?? '');
  }
}

function take(value: unknown, shape: Shape, path: string, faults: string[]): unknown {
  if (value === null || value === undefined) return undefined;
  if (typeof shape === 'string') {
    if (typeof value !== shape) faults.push(`${path} must be a ${shape}`);
    return value;
  }
  if (isList(shape)) {
    if (!Array.isArray(value)) {
      faults.push(`${path} must be a list`);
      return [];
    }
    return value.map(
      (item: unknown, index) => take(item, shape[0], `${path}[${index}]`, faults) ?? empty(shape[0]),
    );
  }
  if (!isObject(value)) {
    faults.push(`${path} must be an object`);
    return {};
  }
  const taken: Record<string, unknown> = {};
  for (const [name, member] of Object.entries(value)) {
    const at = path === '' ? name : `${path}.${name}`;
    const own = Object.hasOwn(shape, name) ? shape[name] : undefined;
    if (own === undefined) faults.push(`unknown field ${JSON.stringify(at)}`);
    else {
      const read = take(member, own, at, faults);
      if (read !== undefined) taken[name] = read;
    }
  }
  return taken;
}

function isList(shape: Exclude<Shape, string>): shape is readonly [Shape] {
  return Array.isArray(shape);
}

function empty(shape: Shape): unknown {
  return typeof shape === 'string'
    ? shape === 'string'
      ? ''
      : shape === 'number'
        ? 0
        : false
    : isList(shape)
      ? []
      : {};
}

function refuse(why: string): PodwrightError {
  return new PodwrightError('E_USAGE', why);
}
