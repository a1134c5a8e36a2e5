import { PodwrightError } from '#base/errors.ts';

/** How a quantity is written: with powers of ten, powers of two, or an exponent. */
export type QuantityFormat = 'DecimalSI' | 'BinarySI' | 'DecimalExponent';

/**
 * An exact amount: `nanos` billionths (the finest that Kubernetes keeps; finer input is rounded away from zero).
 * Source: k8s.io/apimachinery resource.Quantity.
 */
export interface Quantity {
  readonly nanos: bigint;
  readonly format: QuantityFormat;
}

/** Characters of a quantity: the time that digits take grows with their square. */
const textLengthMax = 256;

const binary: readonly (readonly [string, bigint])[] = [
  ['Ei', 1n << 60n],
  ['Pi', 1n << 50n],
  ['Ti', 1n << 40n],
  ['Gi', 1n << 30n],
  ['Mi', 1n << 20n],
  ['Ki', 1n << 10n],
];
const decimalExponents: Readonly<Record<string, number>> = {
  n: -9,
  u: -6,
  m: -3,
  '': 0,
  k: 3,
  M: 6,
  G: 9,
  T: 12,
  P: 15,
  E: 18,
};
const decimalSuffixes: readonly (readonly [string, number])[] = Object.entries(decimalExponents).toSorted(
  (a, b) => b[1] - a[1],
);
const billion = 1_000_000_000n;
const syntax = /^([+-]?)(\d+(?:\.\d*)?|\.\d+)(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]|[eE][+-]?\d{1,9}|)$/;
const exponentMax = 10_000; // Beyond, the value is out of any range; refuse before computing it.
const nanosMax = ((1n << 63n) - 1n) * billion;

/** @throws {E_INVALID} when the text is no quantity. */
export function parseQuantity(text: string): Quantity {
  const match = text.length > textLengthMax ? null : syntax.exec(text);
  if (match === null) {
    throw new PodwrightError(
      'E_INVALID',
      "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    );
  }
  const [, sign = '', digits = '', suffix = ''] = match;
  const [whole = '', fraction = ''] = digits.split('.');
  const mantissa = BigInt(whole + fraction);
  const power = binary.find(([name]) => name === suffix)?.[1];
  const exponent = decimalExponents[suffix] ?? (power === undefined ? Number(suffix.slice(1)) : 0);
  if (Math.abs(exponent) > exponentMax)
    throw new PodwrightError('E_INVALID', "unable to parse quantity's suffix");
  const nanos = clamp(scale(mantissa * (power ?? 1n), exponent + 9 - fraction.length));
  const format =
    power === undefined ? (/^[eE][+-]?\d/.test(suffix) ? 'DecimalExponent' : 'DecimalSI') : 'BinarySI';
  return { nanos: sign === '-' ? -nanos : nanos, format };
}

/** Undefined when the value is no quantity. A JSON number counts as its text. */
export function tryParseQuantity(value: unknown): Quantity | undefined {
  if (typeof value !== 'string' && typeof value !== 'number') return undefined;
  const text = String(value);
  return syntax.test(text) ? parseQuantity(text) : undefined;
}

/** The canonical text: the largest suffix that leaves no fraction (`1024Mi` is `1Gi`, `0.5` is `500m`). */
export function formatQuantity(quantity: Quantity): string {
  const { nanos, format } = quantity;
  if (nanos === 0n) return '0';
  const whole = nanos / billion;
  const isBinary = format === 'BinarySI' && nanos % billion === 0n && abs(whole) >= 1024n;
  if (isBinary) {
    const [suffix, unit] = binary.find(([, size]) => whole % size === 0n) ?? ['', 1n];
    return `${whole / unit}${suffix}`;
  }
  const [suffix, exponent] = decimalSuffixes.find(([, power]) => nanos % 10n ** BigInt(power + 9) === 0n) ?? [
    'n',
    -9,
  ];
  const count = nanos / 10n ** BigInt(exponent + 9);
  if (format !== 'DecimalExponent') return `${count}${suffix}`;
  return exponent === 0 ? `${count}` : `${count}e${exponent}`;
}

/** The canonical text of what a client wrote. @throws {E_INVALID} */
export function canonicalQuantity(text: string): string {
  return formatQuantity(parseQuantity(text));
}

/** A canonical text, of whole thousandths: what lies between two becomes the one further from 0 (SetDefaults_ResourceList of core/v1). */
export function wholeThousandths(canonical: string): string {
  if (!/[un]$|e-[69]$/.test(canonical)) return canonical;
  const { nanos, format } = parseQuantity(canonical);
  const milli = ceilDivide(abs(nanos), 1_000_000n) * 1_000_000n;
  return formatQuantity({ nanos: nanos < 0n ? -milli : milli, format });
}

/** Negative, zero or positive, as `a` is less than, equal to or more than `b`. */
export function compareQuantity(a: Quantity, b: Quantity): number {
  return a.nanos < b.nanos ? -1 : a.nanos > b.nanos ? 1 : 0;
}

/** The sum, in the format of the first unless that is zero. */
export function addQuantity(a: Quantity, b: Quantity): Quantity {
  return { nanos: a.nanos + b.nanos, format: a.nanos === 0n ? b.format : a.format };
}

/** The difference, in the format of the first unless that is zero. */
export function subtractQuantity(a: Quantity, b: Quantity): Quantity {
  return { nanos: a.nanos - b.nanos, format: a.nanos === 0n ? b.format : a.format };
}

/** The nearest double; exact up to 2^53. */
export function quantityToNumber(quantity: Quantity): number {
  return Number(quantity.nanos / billion) + Number(quantity.nanos % billion) / 1e9;
}

/** Thousandths, rounded up (as Go's MilliValue does): 100m of cpu is 100. */
export function quantityToMilli(quantity: Quantity): number {
  return Number(ceilDivide(quantity.nanos, 1_000_000n));
}

/** Whole units, rounded up (as Go's Value does): the bytes of a memory quantity. */
export function quantityToInteger(quantity: Quantity): number {
  return Number(ceilDivide(quantity.nanos, billion));
}

/** Nothing. */
export const zeroQuantity: Quantity = { nanos: 0n, format: 'DecimalSI' };

function scale(value: bigint, exponent: number): bigint {
  return exponent >= 0 ? value * 10n ** BigInt(exponent) : ceilDivide(value, 10n ** BigInt(-exponent));
}

function clamp(nanos: bigint): bigint {
  return nanos > nanosMax ? nanosMax : nanos;
}

function ceilDivide(value: bigint, divisor: bigint): bigint {
  const quotient = value / divisor;
  return value % divisor > 0n ? quotient + 1n : quotient;
}

function abs(value: bigint): bigint {
  return value < 0n ? -value : value;
}
