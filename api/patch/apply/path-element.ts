import { goJson, isObject } from '#api/wire/json.ts';

/*
 * A path element says which member of a map or list a field is, as text of the wire (FieldsV1):
 *
 *   f:name                 the member of that name
 *   k:{"name":"c"}         the item of a list that has these keys, in their order
 *   v:"x"                  the item of a set
 *   i:3                    the item at that place
 */

export function fieldElement(name: string): string {
  return `f:${name}`;
}

/** The name of a field's element; undefined for others. */
export function fieldNameOf(element: string): string | undefined {
  return element.startsWith('f:') ? element.slice(2) : undefined;
}

/** `keys` may have their members in any order. */
export function keyElement(keys: Readonly<Record<string, unknown>>): string {
  return `k:${goJson(keys)}`;
}

export function valueElement(value: unknown): string {
  return `v:${goJson(value)}`;
}

/** Whether it names an item of a list by its keys. */
export function isKeyElement(element: string): boolean {
  return element.startsWith('k:');
}

/**
 * The element in the one form that it has, as a client gave it. undefined: of a kind that nobody knows, to be left out.
 * @throws {SyntaxError} for what is none, in the words of upstream
 */
export function readElement(text: string): string | undefined {
  if (text.length < 2) throw new SyntaxError('key must be 2 characters long');
  if (text[1] !== ':') throw new SyntaxError(`missing colon: ${text}`);
  const rest = text.slice(2);
  switch (text[0]) {
    case 'f':
      return text;
    case 'v':
      return valueElement(JSON.parse(rest));
    case 'k': {
      const keys: unknown = JSON.parse(rest);
      if (!isObject(keys)) throw new SyntaxError(`keys are no object: ${text}`);
      return keyElement(keys);
    }
    case 'i':
      if (!/^[+-]?\d{1,18}$/.test(rest)) throw new SyntaxError(`no index: ${text}`);
      return `i:${Number(rest)}`;
    default:
      return undefined;
  }
}

const ranks: Readonly<Record<string, number>> = { f: 0, k: 1, v: 2, i: 3 };

/** The order of elements in a set: fields, keys, values, indices; among themselves by what they are (structured-merge-diff, PathElement.Compare). */
export function compareElements(a: string, b: string): number {
  const [kindOfA = '', kindOfB = ''] = [a[0], b[0]];
  if (kindOfA !== kindOfB) return (ranks[kindOfA] ?? -1) - (ranks[kindOfB] ?? -1);
  switch (kindOfA) {
    case 'k':
      return compareWithin(a, b) ?? compareKeys(parsed(a), parsed(b));
    case 'v':
      return compareValues(parsed(a), parsed(b));
    case 'i':
      return Number(a.slice(2)) - Number(b.slice(2));
    default:
      return compareTexts(a, b);
  }
}

/** By the first letter that differs, where both are letters within texts; undefined where more has to be looked at. */
function compareWithin(a: string, b: string): number | undefined {
  let at = 0;
  while (at < a.length && a.charCodeAt(at) === b.charCodeAt(at)) at++;
  const [unitOfA, unitOfB] = [a.charCodeAt(at), b.charCodeAt(at)];
  return isLetter(unitOfA) && isLetter(unitOfB) ? unitOfA - unitOfB : undefined;
}

/** Of ASCII; true, false and null may begin so, too, but no two of them in the same place. */
function isLetter(unit: number): boolean {
  return (unit >= 0x41 && unit <= 0x5a) || (unit >= 0x61 && unit <= 0x7a);
}

function parsed(element: string): unknown {
  return JSON.parse(element.slice(2));
}

function compareKeys(a: unknown, b: unknown): number {
  const [keysOfA, keysOfB] = [a, b].map((keys) => (isObject(keys) ? Object.entries(keys) : []));
  for (const [index, [name, value]] of (keysOfA ?? []).entries()) {
    const other = keysOfB?.[index];
    if (other === undefined) return 1;
    const order = compareTexts(name, other[0]) || compareValues(value, other[1]);
    if (order !== 0) return order;
  }
  return (keysOfA?.length ?? 0) - (keysOfB?.length ?? 0);
}

/** Numbers before texts before truths before lists before maps before null. */
function compareValues(a: unknown, b: unknown): number {
  const rank = rankOf(a) - rankOf(b);
  if (rank !== 0) return rank;
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  if (typeof a === 'boolean' && typeof b === 'boolean') return Number(a) - Number(b);
  return compareTexts(textOf(a), textOf(b));
}

function rankOf(value: unknown): number {
  if (typeof value === 'number') return 0;
  if (typeof value === 'string') return 1;
  if (typeof value === 'boolean') return 2;
  if (Array.isArray(value)) return 3;
  return value === null ? 5 : 4;
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : goJson(value);
}

/** By code points, as Go orders the bytes of UTF-8; JavaScript orders surrogates before U+E000. */
export function compareTexts(a: string, b: string): number {
  if (a === b) return 0;
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at++) {
    const [unitOfA, unitOfB] = [a.charCodeAt(at), b.charCodeAt(at)];
    if (unitOfA === unitOfB) continue;
    if (unitOfA >= 0xd800 && unitOfB >= 0xd800) return rotated(unitOfA) - rotated(unitOfB);
    return unitOfA - unitOfB;
  }
  return a.length - b.length;
}

/** Surrogates behind all others. */
function rotated(unit: number): number {
  return unit >= 0xe000 ? unit - 0x800 : unit + 0x2000;
}

/** A path as people read it: `.spec.containers[name="c"].args`. */
export function formatPath(path: readonly string[]): string {
  return path.map(formatElement).join('');
}

/** `.spec`, `[name="c"]`, `[="x"]`, `[3]` (structured-merge-diff, PathElement.String). */
export function formatElement(element: string): string {
  switch (element[0]) {
    case 'k': {
      const keys = parsed(element);
      const parts = isObject(keys) ? Object.entries(keys) : [];
      return `[${parts.map(([name, value]) => `${name}=${goJson(value)}`).join(',')}]`;
    }
    case 'v':
      return `[=${goJson(parsed(element))}]`;
    case 'i':
      return `[${element.slice(2)}]`;
    default:
      return `.${element.slice(2)}`;
  }
}
