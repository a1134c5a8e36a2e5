/** Documents against a description of theirs: what a member is, or why it is refused. Pure. */
import { PodwrightError } from '#base/errors.ts';

/** `refuse`: nothing may be there but what says nothing (false, 0 characters, no members). */
export type Shape =
  | { readonly kind: 'string' | 'boolean' | 'number' | 'any' }
  | { readonly kind: 'words'; readonly words: readonly string[] }
  | { readonly kind: 'refuse'; readonly why: string }
  | { readonly kind: 'list' | 'map'; readonly of: Shape }
  | {
      readonly kind: 'fields';
      readonly fields: Readonly<Record<string, Shape>>;
      readonly needed: readonly string[];
    };

export const string: Shape = { kind: 'string' };
export const boolean: Shape = { kind: 'boolean' };
/** Whole numbers, which may be larger than a double has exactly. */
export const integer: Shape = { kind: 'number' };
export const any: Shape = { kind: 'any' };
export const words = (...list: readonly string[]): Shape => ({ kind: 'words', words: list });
export const refuse = (why: string): Shape => ({ kind: 'refuse', why });
export const list = (of: Shape): Shape => ({ kind: 'list', of });
export const map = (of: Shape): Shape => ({ kind: 'map', of });
/** Names that end with `!` have to be there. */
export const fields = (table: Readonly<Record<string, Shape>>): Shape => ({
  kind: 'fields',
  fields: Object.fromEntries(Object.entries(table).map(([name, of]) => [name.replace(/!$/, ''), of])),
  needed: Object.keys(table)
    .filter((name) => name.endsWith('!'))
    .map((name) => name.slice(0, -1)),
});

/**
 * @param unknown told of members that no field is of: specifications grow, and ask that these be no errors
 * @throws {E_INVALID} for a member that is not what it is to be, {E_UNSUPPORTED} for one that is refused
 */
export function checkShape(value: unknown, shape: Shape, at: string, unknown: (path: string) => void): void {
  switch (shape.kind) {
    case 'any':
      return;
    case 'refuse':
      if (saysSomething(value)) throw new PodwrightError('E_UNSUPPORTED', `${at}: ${shape.why}`);
      return;
    case 'string':
    case 'boolean':
    case 'number':
      if (typeof value !== shape.kind) throw wrong(at, `not a ${shape.kind}`);
      if (shape.kind === 'number' && !Number.isInteger(value)) throw wrong(at, 'not a whole number');
      if (typeof value === 'string' && value.includes('\0')) throw wrong(at, 'it holds a NUL');
      return;
    case 'words':
      if (typeof value !== 'string' || !shape.words.includes(value))
        throw wrong(at, `${JSON.stringify(value)} is none of ${shape.words.join(', ')}`);
      return;
    case 'list':
      if (!Array.isArray(value)) throw wrong(at, 'not a list');
      value.forEach((each, index) => checkShape(each, shape.of, `${at}[${index}]`, unknown));
      return;
    case 'map':
      for (const [name, each] of Object.entries(objectOf(value, at)))
        checkShape(each, shape.of, `${at}.${name}`, unknown);
      return;
    case 'fields':
      checkFields(objectOf(value, at), shape, at, unknown);
  }
}

function checkFields(
  value: Readonly<Record<string, unknown>>,
  { fields: known, needed }: Extract<Shape, { readonly kind: 'fields' }>,
  at: string,
  unknown: (path: string) => void,
): void {
  const pathOf = (name: string): string => (at === '' ? name : `${at}.${name}`);
  const missing = needed.find((name) => value[name] === undefined || value[name] === null);
  if (missing !== undefined) throw wrong(pathOf(missing), 'it is missing');
  for (const [name, member] of Object.entries(value)) {
    // Documents that programs write have null where nothing is said.
    if (member === null) continue;
    const shape = Object.hasOwn(known, name) ? known[name] : undefined;
    if (shape === undefined) unknown(pathOf(name));
    else checkShape(member, shape, pathOf(name), unknown);
  }
}

function objectOf(value: unknown, at: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw wrong(at || 'document', 'not an object');
  return value as Readonly<Record<string, unknown>>;
}

function saysSomething(value: unknown): boolean {
  if (value === null || value === undefined || value === false || value === '' || value === 0) return false;
  return typeof value !== 'object' || Object.keys(value).length > 0;
}

function wrong(at: string, why: string): PodwrightError {
  return new PodwrightError('E_INVALID', `${at}: ${why}`);
}
