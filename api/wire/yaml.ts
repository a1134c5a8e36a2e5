import { isObject } from './json.ts';
import { describeError, PodwrightError } from '#base/errors.ts';
import {
  defineScalarTag,
  dump,
  load,
  mapTag,
  mergeTag,
  NOT_RESOLVED,
  nullYaml11Tag,
  SCALAR_STYLE_DOUBLE_QUOTED,
  Schema,
  seqTag,
  strTag,
  visit,
  YAMLException,
  type Document,
} from 'js-yaml';
import type { StrictJson } from './parse-json.ts';
import { tooManyValues, valueCountMax } from './value-count.ts';

/**
 * Signs of which each value of a YAML document but the first needs one before it. (Text may have them, too: one of a megabyte in as many
 * lines is sent as JSON.) Counted first, for the library has no limit of its own.
 */
const valueSigns = /[\n,[{:]/g;

/** What go-yaml v2 reads: the booleans and octal numbers of YAML 1.1, but no times and no base-60 numbers. */
const boolTag = defineScalarTag<boolean>('tag:yaml.org,2002:bool', {
  implicit: true,
  resolve: (source) =>
    /^(y|Y|yes|Yes|YES|true|True|TRUE|on|On|ON)$/.test(source)
      ? true
      : /^(n|N|no|No|NO|false|False|FALSE|off|Off|OFF)$/.test(source)
        ? false
        : NOT_RESOLVED,
  identify: (value) => typeof value === 'boolean',
});

const intTag = defineScalarTag<number>('tag:yaml.org,2002:int', {
  implicit: true,
  resolve: (source) => resolveInteger(source) ?? NOT_RESOLVED,
  identify: (value) => Number.isInteger(value),
});

const floatTag = defineScalarTag<number>('tag:yaml.org,2002:float', {
  implicit: true,
  resolve: (source) => {
    const value = /^[-+]?(\.\d+|\d+(\.\d*)?)([eE][-+]?\d+)?$/.test(source) ? Number(source) : Number.NaN;
    return Number.isFinite(value) ? value : NOT_RESOLVED; // What is too large for a double stays text.
  },
  identify: (value) => typeof value === 'number',
});

const kubernetesSchema = new Schema([
  strTag,
  seqTag,
  mapTag,
  mergeTag,
  nullYaml11Tag,
  boolTag,
  intTag,
  floatTag,
]);

/** As of JSON, with the line, from 1, of what was said twice. */
export interface YamlDocument extends StrictJson {
  readonly duplicateLine?: number;
}

/**
 * YAML as Kubernetes reads it (sigs.k8s.io/yaml). An empty document is null; of duplicate keys the last counts.
 * @throws {E_API} 413 for more values than `valueCountMax`
 * @throws {E_INVALID}
 */
export function parseYaml(text: string): YamlDocument {
  checkSigns(text);
  const first = tryLoad(text, false);
  if (first.error === undefined) return { value: valueOf(first.value, text), duplicateFields: [] };
  if (!first.error.reason.includes('duplicated mapping key')) throw notYaml(first.error);
  const second = tryLoad(text, true);
  if (second.error !== undefined) throw notYaml(second.error);
  const line = text.split('\n')[first.error.mark?.line ?? 0] ?? '';
  const key = /^[\s-]*["']?([^"':\s]+)/.exec(line)?.[1] ?? '';
  return {
    value: valueOf(second.value, text),
    duplicateFields: [key],
    duplicateLine: (first.error.mark?.line ?? 0) + 1,
  };
}

function valueOf(loaded: unknown, text: string): unknown {
  const value = jsonOf(loaded);
  return text.includes('\\u') || text.includes('\\U') ? wellFormed(value) : value;
}

/** The value as go-yaml writes it: keys in sorted order, lists not indented below their key. */
export function encodeYaml(value: unknown): string {
  return dump(value, {
    sortKeys: true,
    seqNoIndent: true,
    noRefs: true,
    lineWidth: -1,
    quoteStyle: 'double',
    transform: quoteIntegers,
  });
}

/** Texts that are numbers to go-yaml and none to the library: `+0o7`. */
function quoteIntegers(documents: Document[]): void {
  visit(documents, (node) => {
    if (node.kind === 'scalar' && node.tag === strTag.tagName && resolveInteger(node.value) !== undefined)
      node.style = SCALAR_STYLE_DOUBLE_QUOTED;
  });
}

function checkSigns(text: string): void {
  if (text.length <= valueCountMax) return;
  let left = 2 * valueCountMax; // A member has two: its colon, and a line or a comma.
  for (let found = valueSigns.exec(text); found !== null; found = valueSigns.exec(text)) {
    if (--left >= 0) continue;
    valueSigns.lastIndex = 0;
    throw tooManyValues();
  }
}

function tryLoad(
  text: string,
  json: boolean,
): { readonly value: unknown; readonly error?: undefined } | { readonly error: YAMLException } {
  try {
    return { value: text.trim() === '' ? null : load(text, { schema: kubernetesSchema, json }) };
  } catch (error) {
    if (error instanceof YAMLException) return { error };
    throw error;
  }
}

function notYaml(error: unknown): PodwrightError {
  const [reason = ''] = describeError(error).split('\n');
  return new PodwrightError('E_INVALID', `error converting YAML to JSON: yaml: ${reason}`, { cause: error });
}

/** Underscores may separate digits. */
function resolveInteger(source: string): number | undefined {
  const match = /^([-+]?)(0b[01_]+|0x[0-9a-fA-F_]+|0o[0-7_]+|0[0-7_]*|[1-9][\d_]*)$/.exec(source);
  if (match === null) return undefined;
  const sign = match[1] === '-' ? -1 : 1;
  const digits = (match[2] ?? '').replaceAll('_', '');
  const value = /^0\d/.test(digits) ? Number.parseInt(digits, 8) : Number(digits);
  return Number.isNaN(value) ? undefined : sign * value;
}

/** Refuses what JSON cannot hold, and documents whose aliases blow up or run in circles. */
function jsonOf(value: unknown): unknown {
  const sizes = new Map<object, number>(); // 0: being counted
  const sizeOf = (node: unknown): number => {
    if (typeof node !== 'object' || node === null) return 1;
    const known = sizes.get(node);
    if (known === 0)
      throw new PodwrightError('E_INVALID', 'error converting YAML to JSON: yaml: anchor contains itself');
    if (known !== undefined) return known;
    sizes.set(node, 0);
    let size = 1;
    for (const child of Object.values(node)) size += sizeOf(child);
    sizes.set(node, size);
    if (size > valueCountMax) {
      throw new PodwrightError(
        'E_INVALID',
        'error converting YAML to JSON: yaml: document contains excessive aliasing',
      );
    }
    return size;
  };
  sizeOf(value);
  return value;
}

/** Escapes may name half a pair of UTF-16, which is no character: U+FFFD, as Go's decoder makes of it. */
function wellFormed(value: unknown): unknown {
  if (typeof value === 'string') return value.toWellFormed();
  if (Array.isArray(value)) return value.map(wellFormed);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key.toWellFormed(), wellFormed(item)]),
  );
}
