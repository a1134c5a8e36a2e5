import {
  Duration,
  isDouble,
  isFault,
  isInt,
  isList,
  isMap,
  keysOf,
  memberAt,
  numberOf,
  Timestamp,
  typeNameOf,
  TypeValue,
  Uint,
  type Value,
} from '#api/cel/eval/values.ts';
import { FormatProblem, wrongValue, type Clause } from './format-string.ts';
import { goQuote } from './quote.ts';
import { textOf } from './standard.ts';

/** A value as a clause writes it, numbers as en_US has them (cel-go, ext/formatting.go). */
export function formatValue({ letter, precision }: Clause, value: Value): string | FormatProblem {
  const wrong = wrongValue(letter, typeNameOf(value));
  const whole = value instanceof Uint ? value.value : isInt(value) ? BigInt(value) : undefined;
  switch (letter) {
    case 's':
      return plainText(value) ?? wrong;
    case 'd':
      return whole?.toString() ?? wrong;
    case 'f':
    case 'e':
      return numberText(letter, precision, value) ?? wrong;
    case 'b':
      return (typeof value === 'boolean' ? String(Number(value)) : whole?.toString(2)) ?? wrong;
    case 'o':
      return whole?.toString(8) ?? wrong;
    default: {
      const text = whole?.toString(16) ?? bytesOf(value)?.toString('hex');
      return (letter === 'X' ? text?.toUpperCase() : text) ?? wrong;
    }
  }
}

function bytesOf(value: Value): Buffer | undefined {
  if (value instanceof Uint8Array) return Buffer.from(value);
  return typeof value === 'string' ? Buffer.from(value) : undefined;
}

/** Texts that stand for numbers that no literal is. */
const named: Readonly<Record<string, number>> = {
  ...{ NaN: Number.NaN, Infinity, '-Infinity': -Infinity },
};
const precisionDefault = 6;
const precisionMax = 100;

function numberText(letter: 'f' | 'e', precision: number | undefined, value: Value): string | undefined {
  const isNamed = typeof value === 'string' && Object.hasOwn(named, value);
  const number = isNamed ? named[value] : isDouble(value) ? numberOf(value) : undefined;
  if (number === undefined) return undefined;
  const text = Number.isFinite(number)
    ? undefined
    : Number.isNaN(number)
      ? 'NaN'
      : `${number < 0 ? '-' : ''}∞`;
  if (letter === 'f') return text ?? grouped(fixed(number, precision ?? precisionDefault));
  // What is said to be the precision is taken for a width, which only these are shorter than.
  return text?.padStart(Math.min(precision ?? precisionDefault, precisionMax)) ?? scientific(number);
}

function fixed(number: number, precision: number): string {
  const digits = Math.min(precision, precisionMax);
  if (Math.abs(number) < 1e21) return number.toFixed(digits);
  return `${BigInt(number)}${digits === 0 ? '' : `.${'0'.repeat(digits)}`}`;
}

function grouped(text: string): string {
  const [whole = '', ...fraction] = text.split('.');
  return [whole.replaceAll(/(?<=\d)(?=(?:\d{3})+$)/g, ','), ...fraction].join('.');
}

/** `2.718280 × 10⁰⁰`, with narrow spaces. */
function scientific(number: number): string {
  const [mantissa = '', exponent = ''] = number.toExponential(precisionDefault).split('e');
  const digits = exponent.slice(1).padStart(2, '0');
  const raised = [...digits].map((digit) => superscripts[Number(digit)] ?? '').join('');
  return `${mantissa}\u202f×\u202f10${exponent.startsWith('-') ? '⁻' : ''}${raised}`;
}

const superscripts = '⁰¹²³⁴⁵⁶⁷⁸⁹';

function plainText(value: Value): string | FormatProblem | undefined {
  if (value === null) return 'null';
  if (typeof value === 'string') return value;
  if (value instanceof TypeValue) return value.name;
  if (isList(value)) {
    const parts = value.map(nestedText);
    return parts.find((part) => part instanceof FormatProblem) ?? `[${parts.join(', ')}]`;
  }
  if (isMap(value)) {
    const entries = keysOf(value).map((key) => [keyText(key), nestedText(memberAt(value, key))] as const);
    const problem = entries.flat().find((part) => part instanceof FormatProblem);
    const sorted = entries.toSorted(([a], [b]) => (String(a) < String(b) ? -1 : 1));
    return problem ?? `{${sorted.map(([key, member]) => `${String(key)}:${String(member)}`).join(', ')}}`;
  }
  const text = textOf(value);
  return isFault(text) ? undefined : String(text);
}

function keyText(key: Value): string | FormatProblem {
  if (isInt(key) || key instanceof Uint || typeof key === 'string' || typeof key === 'boolean')
    return nestedText(key);
  return new FormatProblem(`no formatting function for map key of type ${typeNameOf(key)}`);
}

/** Within a list or a map, as a literal of CEL. */
function nestedText(value: Value): string | FormatProblem {
  if (isDouble(value)) {
    const number = numberOf(value) ?? Number.NaN;
    return Number.isFinite(number) ? fixed(number, precisionDefault) : goQuote(String(textOf(value)));
  }
  const text = plainText(value);
  if (text === undefined) return new FormatProblem(`no formatting function for ${typeNameOf(value)}`);
  if (text instanceof FormatProblem) return text;
  if (typeof value === 'string') return goQuote(text);
  if (value instanceof Uint8Array) return `b${goQuote(text)}`;
  if (value instanceof Timestamp) return `timestamp(${goQuote(text)})`;
  return value instanceof Duration ? `duration(${goQuote(text)})` : text;
}
