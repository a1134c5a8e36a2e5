import type { CelType } from '#api/cel/check/cel-type.ts';
import type { Expr } from '#api/cel/syntax/ast.ts';
import { fixed, productOf, scaled, sumOf, unknownMax, unknownSize, type Range } from './range.ts';

/** A part of an expression, as far as sizes go. */
export interface Node {
  readonly type: CelType;
  readonly expr: Expr | undefined;
  /** From a variable on: fields, `@items`, `@values`, `@keys`; empty where it is no part of a variable. */
  readonly path: readonly string[];
  /** What the expression itself says of its size. */
  readonly size: Range | undefined;
}

export interface CallEstimate {
  /** Without the arguments. */
  readonly cost: Range;
  readonly size?: Range | undefined;
}

export interface CallQuestion {
  readonly name: string;
  /** Of the overload, the target first where there is one. */
  readonly types: readonly CelType[];
  readonly target: Node | undefined;
  readonly args: readonly Node[];
  /** Of what lies at a path of a variable. */
  readonly sizeAt: (path: readonly string[]) => Range | undefined;
}

type Estimator = (question: CallQuestion) => CallEstimate | undefined;

const perCharacter = 0.1;
const perPatternCharacter = 0.25;
/** Of names' formats, in characters (apiserver/pkg/cel, MaxNameFormatRegexSize). */
const namePatternMax = 128;

const one: Estimator = () => ({ cost: fixed(1) });

/**
 * What Kubernetes says of calls (apiserver/pkg/cel/library/cost.go). Functions that are no members have no target there, so that most of
 * those that read texts count as one: what CRDs may hold has come to depend on it.
 */
export const libraryEstimates: Readonly<Record<string, Estimator | undefined>> = {
  check: () => ({ cost: fixed(350_000) }),
  ...each('serviceAccount path group resource subresource namespace name allowed reason error errored', one),
  ...each('fieldSelector labelSelector', ({ args: [selector] }) =>
    selector === undefined ? undefined : { cost: selectorCost(selector) },
  ),
  ...each('isSorted sum max min indexOf lastIndexOf', ofElements),
  ...each('url jsonpatch.escapeKey', ({ args: [text], sizeAt }) => {
    if (text === undefined) return undefined;
    const size = sizeOf(text, sizeAt);
    return { cost: scaled(size, perCharacter), size };
  }),
  ...each('lowerAscii upperAscii substring trim', ({ target, sizeAt }) => {
    if (target === undefined) return undefined;
    const size = sizeOf(target, sizeAt);
    return { cost: scaled(size, perCharacter), size };
  }),
  replace,
  split,
  join,
  ...each('find findAll', ({ target, args: [pattern], sizeAt }) => {
    if (target === undefined || pattern === undefined) return undefined;
    const size = sizeOf(target, sizeAt);
    return { cost: patternCost(size, sizeOf(pattern, sizeAt)), size: { min: 0, max: size.max } };
  }),
  ...each('masked prefixLength family isUnspecified isLoopback isLinkLocalMulticast isLinkLocalUnicast', one),
  isGlobalUnicast: one,
  containsIP: (question) => containing(question, scaled(fixedAddress, 2 * perCharacter)),
  containsCIDR: (question) =>
    containing(
      question,
      sumOf(scaled(fixedAddress, 2 * perCharacter), scaled(fixedAddress, perCharacter), fixed(1)),
    ),
  validate: ({ target, args: [text], sizeAt }) =>
    target === undefined || text === undefined
      ? undefined
      : {
          cost: scaled(scaled(sizeOf(text, sizeAt), perCharacter), namePatternMax * perPatternCharacter),
        },
  ...each('format.named sign asInteger isInteger asApproximateFloat isGreaterThan isLessThan', one),
  ...each('compareTo add sub major minor patch', one),
  ...each('getScheme getHostname getHost getPort getEscapedPath getQuery', one),
  'sets.contains': (question) => ofProduct(question, 1),
  'sets.intersects': (question) => ofProduct(question, 1),
  'sets.equivalent': (question) => ofProduct(question, 2),
  '_==_': ({ args: [left, right] }) =>
    left?.type.kind === 'opaque' && right?.type.kind === 'opaque' && left.type.name === right.type.name
      ? opaqueEquality(right)
      : undefined,
};

/** Bytes of an address of either family. */
const fixedAddress: Range = { min: 4, max: 16 };

function each(names: string, estimator: Estimator): Readonly<Record<string, Estimator>> {
  return Object.fromEntries(names.split(' ').map((name) => [name, estimator]));
}

export function sizeOf(node: Node, sizeAt: CallQuestion['sizeAt']): Range {
  return node.size ?? sizeAt(node.path) ?? unknownSize;
}

/** A pattern is taken for one expression in four characters; an empty text for one of a character. */
export function patternCost(text: Range, pattern: Range): Range {
  return productOf(scaled(sumOf(text, fixed(1)), perCharacter), scaled(pattern, perPatternCharacter));
}

/** Each requirement takes a struct and a list, the shortest two characters. */
function selectorCost(selector: Node): Range {
  const length = selector.size ?? unknownSize;
  return sumOf(fixed(10), scaled(length, perCharacter), scaled(scaled(length, 0.5), 50));
}

function ofElements({ target, sizeAt }: CallQuestion): CallEstimate | undefined {
  if (target === undefined) return undefined;
  const size = sizeOf(target, sizeAt);
  const element = elementOf(target);
  if (element === undefined) return { cost: scaled(size, perCharacter) };
  const { kind } = element.type;
  const reading =
    kind === 'string' || kind === 'bytes' ? scaled(sizeOf(element, sizeAt), perCharacter) : fixed(0);
  return { cost: productOf(size, sumOf(fixed(1), reading)) };
}

function elementOf({ type, path }: Node): Node | undefined {
  if (type.kind !== 'list') return undefined;
  const at = path.length === 0 ? [] : [...path, '@items'];
  return { type: type.element, expr: undefined, path: at, size: undefined };
}

function replace({ target, args, sizeAt }: CallQuestion): CallEstimate | undefined {
  const [from, to] = args;
  if (target === undefined || from === undefined || to === undefined) return undefined;
  const size = sizeOf(target, sizeAt);
  const [out, into] = [sizeOf(from, sizeAt), sizeOf(to, sizeAt)];
  const most = replaced(size.max, out.min, into.max <= out.min);
  const least = replaced(size.min, out.max, out.max <= into.min);
  const made = sumOf(productOf({ min: least.count, max: most.count }, into), {
    min: least.kept,
    max: most.kept,
  });
  return { cost: scaled(size, 2 * perCharacter), size: made };
}

/** How often something is put in, and what is kept beside; between all characters where nothing is taken out. */
function replaced(
  size: number,
  out: number,
  isKept: boolean,
): { readonly count: number; readonly kept: number } {
  if (out === 0) return { count: size < unknownMax ? size + 1 : size, kept: size };
  return isKept ? { count: 0, kept: size } : { count: Math.ceil(size / out), kept: 0 };
}

function split({ target, args, sizeAt }: CallQuestion): CallEstimate | undefined {
  if (target === undefined) return undefined;
  const size = sizeOf(target, sizeAt);
  const limit = args[1]?.expr;
  const max = limit?.kind === 'constant' && limit.type === 'int' ? Number(limit.value) : size.max;
  return { cost: scaled(size, 2 * perCharacter), size: { min: 0, max: max < 0 ? unknownMax : max } };
}

function join({ target, args, sizeAt }: CallQuestion): CallEstimate | undefined {
  if (target === undefined) return undefined;
  const list = sizeOf(target, sizeAt);
  const element = elementOf(target);
  const texts = element === undefined ? fixed(0) : productOf(list, sizeOf(element, sizeAt));
  const [separator] = args;
  const between = { min: Math.max(0, list.min - 1), max: Math.max(0, list.max - 1) };
  const size = separator === undefined ? texts : sumOf(texts, productOf(sizeOf(separator, sizeAt), between));
  return { cost: scaled(size, perCharacter), size };
}

function containing({ target, args, types, sizeAt }: CallQuestion, cost: Range): CallEstimate | undefined {
  const [other] = args;
  if (target === undefined || other === undefined) return undefined;
  const isText = types[1]?.kind === 'string';
  return { cost: isText ? sumOf(cost, scaled(sizeOf(other, sizeAt), perCharacter)) : cost };
}

function ofProduct({ args, sizeAt }: CallQuestion, factor: number): CallEstimate | undefined {
  const [a, b] = args;
  if (a === undefined || b === undefined) return undefined;
  return { cost: sumOf(scaled(productOf(sizeOf(a, sizeAt), sizeOf(b, sizeAt)), factor), fixed(1)) };
}

/** URLs by how long the right one is, where the expression says so. */
function opaqueEquality({ type, size }: Node): CallEstimate | undefined {
  const { name } = type as Extract<CelType, { readonly kind: 'opaque' }>;
  if (name === 'kubernetes.URL') return { cost: scaled({ min: 1, max: size?.max ?? 1 }, perCharacter) };
  if (name === 'kubernetes.NamedFormat') return { cost: scaled({ min: 1, max: 64 }, perCharacter) };
  return name.startsWith('kubernetes.') || name.startsWith('net.') ? { cost: fixed(1) } : undefined;
}

/** What cel-go says of its own functions, by the node's own sizes; undefined: they count as one. */
export function standardEstimate({ name, types, target, args }: CallQuestion): CallEstimate | undefined {
  const known = (node: Node | undefined): Range => node?.size ?? unknownSize;
  const [first, second] = args;
  const kind = types[0]?.kind;
  const isText = kind === 'string' || kind === 'bytes';
  switch (name) {
    case 'format':
      return target === undefined ? undefined : { cost: scaled(known(target), perCharacter) };
    case 'bytes':
    case 'string':
      return converted(name, kind, known(first));
    case 'strings.quote': {
      const { min, max } = known(first);
      const size = sumOf({ min, max: 2 * max }, fixed(2));
      return { cost: scaled(known(first), perCharacter), size };
    }
    case 'startsWith':
    case 'endsWith':
      return { cost: scaled(known(first), perCharacter) };
    case '@in':
      return types[1]?.kind === 'list' ? { cost: scaled(known(second), 1) } : undefined;
    case 'matches':
      return target === undefined ? undefined : { cost: patternCost(known(target), known(first)) };
    case 'contains':
      return {
        cost: productOf(scaled(known(target), perCharacter), scaled(known(first), perCharacter)),
      };
    case '_+_': {
      if (!isText && kind !== 'list') return undefined;
      const size = sumOf(known(first), known(second));
      return { cost: isText ? scaled(size, perCharacter) : fixed(1), size };
    }
    case '_==_':
    case '_!=_':
      return { cost: comparing(known(first), known(second)) };
    case '_<_':
    case '_<=_':
    case '_>_':
    case '_>=_':
      return isText ? { cost: comparing(known(first), known(second)) } : undefined;
    default:
      return undefined;
  }
}

/** Bytes of a character are one to four. */
function converted(name: string, kind: CelType['kind'] | undefined, size: Range): CallEstimate | undefined {
  const cost = scaled(size, perCharacter);
  if (name === 'bytes' && kind === 'string')
    return { cost, size: { min: size.min, max: scaled(size, 4).max } };
  if (name === 'string' && kind === 'bytes')
    return { cost, size: { min: Math.floor(size.min / 4), max: size.max } };
  return undefined;
}

/** As far as the shorter goes. */
function comparing(a: Range, b: Range): Range {
  const max = Math.min(a.max, b.max);
  return scaled({ min: max > 0 ? 1 : 0, max }, perCharacter);
}
