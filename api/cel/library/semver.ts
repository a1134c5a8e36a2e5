import { functionsOf, type CelFunction, type Row } from '#api/cel/eval/function.ts';
import { Fault, Opaque, type Value } from '#api/cel/eval/values.ts';
import { traversal } from './costs.ts';

class SemverValue extends Opaque {
  readonly typeName = 'kubernetes.Semver';
  readonly numbers: readonly [major: bigint, minor: bigint, patch: bigint];
  readonly prerelease: readonly string[];

  constructor(numbers: readonly [bigint, bigint, bigint], prerelease: readonly string[]) {
    super();
    this.numbers = numbers;
    this.prerelease = prerelease;
  }

  equals(other: Opaque): boolean {
    return other instanceof SemverValue && compareSemver(this, other) === 0;
  }
}

const strict =
  /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?(?:\+[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?$/;

/** @param isLoose `v1.2`, `01.02.03` are versions too */
function parse(text: string, isLoose: boolean): SemverValue | undefined {
  const match = strict.exec(isLoose ? normalized(text) : text);
  if (match === null) return undefined;
  const [, major = '0', minor = '0', patch = '0', prerelease] = match;
  return new SemverValue([BigInt(major), BigInt(minor), BigInt(patch)], prerelease?.split('.') ?? []);
}

function normalized(text: string): string {
  const [core = '', ...rest] = text
    .trim()
    .replace(/^v/, '')
    .split(/(?=[-+])/);
  const numbers = core.split('.').map((number) => number.replace(/^0+(?=\d)/, ''));
  while (numbers.length < 3) numbers.push('0');
  return numbers.join('.') + rest.join('');
}

/** Semantic Versioning 2.0.0, section 11. */
function compareSemver(a: SemverValue, b: SemverValue): number {
  for (const [index, number] of a.numbers.entries()) {
    const other = b.numbers[index] ?? 0n;
    if (number !== other) return number < other ? -1 : 1;
  }
  if (a.prerelease.length === 0 || b.prerelease.length === 0)
    return b.prerelease.length - a.prerelease.length > 0
      ? 1
      : a.prerelease.length - b.prerelease.length > 0
        ? -1
        : 0;
  for (const [index, part] of a.prerelease.entries()) {
    const other = b.prerelease[index];
    if (other === undefined) return 1;
    const order = compareParts(part, other);
    if (order !== 0) return order;
  }
  return a.prerelease.length < b.prerelease.length ? -1 : 0;
}

/** Which of two texts is the older version: negative, where the first is; undefined, where one is none by semver.org 2.0.0. */
export function compareVersions(a: string, b: string): number | undefined {
  const [first, second] = [parse(a, false), parse(b, false)];
  return first === undefined || second === undefined ? undefined : compareSemver(first, second);
}

function compareParts(a: string, b: string): number {
  const [isNumberA, isNumberB] = [/^\d+$/.test(a), /^\d+$/.test(b)];
  if (isNumberA && isNumberB) return BigInt(a) < BigInt(b) ? -1 : BigInt(a) > BigInt(b) ? 1 : 0;
  if (isNumberA !== isNumberB) return isNumberA ? -1 : 1;
  return a < b ? -1 : a > b ? 1 : 0;
}

function order(a: Value, b: Value): number {
  return a instanceof SemverValue && b instanceof SemverValue ? compareSemver(a, b) : 0;
}

function numberAt(value: Value, index: 0 | 1 | 2): Value {
  return value instanceof SemverValue ? Number(value.numbers[index]) : new Fault('no such overload');
}

/** A version as a value of expressions; undefined for a text that is none. */
export function semverValue(text: string): Opaque | undefined {
  return parse(text, false);
}

const kind = 'kubernetes.Semver';
const wrong = (text: Value): Fault =>
  new Fault(`No Major.Minor.Patch elements found in ${JSON.stringify(text)}`);

/** Kubernetes' own (apiserver/pkg/cel/library/semverlib.go). */
const rows: Readonly<Record<string, Row>> = {
  [`semver(string): ${kind}`]: [(text) => parse(String(text), false) ?? wrong(text), traversal],
  [`semver(string, bool): ${kind}`]: [
    (text, isLoose) => parse(String(text), isLoose === true) ?? wrong(text),
    traversal,
  ],
  'isSemver(string): bool': [(text) => parse(String(text), false) !== undefined, traversal],
  'isSemver(string, bool): bool': [
    (text, isLoose) => parse(String(text), isLoose === true) !== undefined,
    traversal,
  ],
  [`${kind}.major(): int`]: (value) => numberAt(value, 0),
  [`${kind}.minor(): int`]: (value) => numberAt(value, 1),
  [`${kind}.patch(): int`]: (value) => numberAt(value, 2),
  [`${kind}.compareTo(${kind}): int`]: order,
  [`${kind}.isLessThan(${kind}): bool`]: (a, b) => order(a, b) < 0,
  [`${kind}.isGreaterThan(${kind}): bool`]: (a, b) => order(a, b) > 0,
};

export const semver: readonly CelFunction[] = functionsOf(rows);
