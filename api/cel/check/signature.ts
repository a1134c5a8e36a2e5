import { listOf, mapOf, types, type CelType, type PrimitiveKind } from './cel-type.ts';

/** How a function may be called, as a line says it: `string.startsWith(string): bool`, `size(list(A)): int`, `A + A: A` by its name `_+_(A, A): A`. */
export interface Signature {
  readonly name: string;
  /** Whether the first of `args` stands before the dot. */
  readonly isMember: boolean;
  readonly args: readonly CelType[];
  readonly result: CelType;
}

/** @throws {Error} for a line that is none: the lines are the libraries' own */
export function parseSignature(line: string): Signature {
  const colon = line.lastIndexOf(': ');
  const [head, result] = [line.slice(0, colon), parseType(line.slice(colon + 2))];
  const open = head.endsWith('()') ? head.length - 2 : openingOf(head);
  const [args, before] = [splitTypes(head.slice(open + 1, -1)), head.slice(0, open)];
  const dot = memberDot(before);
  if (dot < 0) return { name: before, isMember: false, args: args.map(parseType), result };
  return {
    name: before.slice(dot + 1),
    isMember: true,
    args: [before.slice(0, dot), ...args].map(parseType),
    result,
  };
}

/** `string`, `list(A)`, `map(string, dyn)`, `optional_type(A)`, `kubernetes.Quantity`; a capital letter alone stands for any. */
export function parseType(text: string): CelType {
  const given = text.trim();
  const open = given.indexOf('(');
  const name = open < 0 ? given : given.slice(0, open);
  const params = open < 0 ? [] : splitTypes(given.slice(open + 1, -1)).map(parseType);
  const [first = types.dyn, second = types.dyn] = params;
  if (name === 'list') return listOf(first);
  if (name === 'map') return mapOf(first, second);
  if (name === 'type') return { kind: 'type', of: first };
  if (/^[A-Z]$/.test(name)) return { kind: 'param', name };
  return isPrimitive(name) ? types[name] : { kind: 'opaque', name, params };
}

function isPrimitive(name: string): name is PrimitiveKind {
  return Object.hasOwn(types, name);
}

/** Where the parenthesis opens that ends the text. */
function openingOf(head: string): number {
  let depth = 0;
  for (let at = head.length - 1; at >= 0; at--) {
    if (head[at] === ')') depth++;
    if (head[at] === '(' && --depth === 0) return at;
  }
  throw new Error(`no signature: ${head}`);
}

/**
 * The dot between the target and the name. A name of a library has dots of its own (`optional.of`, `format.named`): there what stands before is no
 * type that there is.
 */
function memberDot(before: string): number {
  const dot = before.lastIndexOf('.');
  if (dot <= 0 || before.startsWith('_')) return -1;
  return namespaces.has(before.slice(0, dot)) ? -1 : dot;
}

const namespaces: ReadonlySet<string> = new Set([
  'optional',
  'format',
  'math',
  'sets',
  'strings',
  'jsonpatch',
  'lists',
  'ip',
]);

function splitTypes(text: string): readonly string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let at = 0; at <= text.length; at++) {
    const sign = text[at];
    if (sign === '(') depth++;
    if (sign === ')') depth--;
    if (at < text.length && (sign !== ',' || depth > 0)) continue;
    const part = text.slice(start, at).trim();
    if (part !== '') parts.push(part);
    start = at + 1;
  }
  return parts;
}
