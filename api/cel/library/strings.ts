import { functionsOf, type CelFunction, type Row } from '#api/cel/eval/function.ts';
import { Fault, isList, lengthOf, numberOf, offsetOf, type Value } from '#api/cel/eval/values.ts';
import { joining, making, traversal, wholeTraversal } from './costs.ts';
import { FormatProblem, writeClauses } from './format-string.ts';
import { formatValue } from './format-value.ts';
import { quote } from './quote.ts';

/** Texts are counted in code points. */
function letters(value: Value): readonly string[] {
  return [...String(value)];
}

function place(value: Value): number {
  return numberOf(value) ?? 0;
}

/** cel-go, ext/strings.go, and Kubernetes' url-free text functions. */
const rows: Readonly<Record<string, Row>> = {
  'string.charAt(int): string': [
    (text, at) => {
      const given = String(text);
      const start = offsetOf(given, place(at));
      if (start === undefined) return new Fault(`index out of range: ${place(at)}`);
      const point = given.codePointAt(start);
      return point === undefined ? '' : String.fromCodePoint(point);
    },
    () => 1,
  ],
  'string.indexOf(string): int': [(text, part) => indexOf(text, part, 0), wholeTraversal],
  'string.indexOf(string, int): int': [
    (text, part, from) => indexOf(text, part, place(from)),
    wholeTraversal,
  ],
  'string.lastIndexOf(string): int': [(text, part) => lastIndexOf(text, part, undefined), wholeTraversal],
  'string.lastIndexOf(string, int): int': [
    (text, part, from) => lastIndexOf(text, part, place(from)),
    wholeTraversal,
  ],
  'string.lowerAscii(): string': [
    (text) => String(text).replaceAll(/[A-Z]/g, (one) => one.toLowerCase()),
    traversal,
  ],
  'string.upperAscii(): string': [
    (text) => String(text).replaceAll(/[a-z]/g, (one) => one.toUpperCase()),
    traversal,
  ],
  'string.replace(string, string): string': [(text, from, to) => replace(text, from, to, -1), making],
  'string.replace(string, string, int): string': [
    (text, from, to, count) => replace(text, from, to, place(count)),
    making,
  ],
  'string.split(string): list(string)': [(text, by) => split(text, by, -1), making],
  'string.split(string, int): list(string)': [(text, by, count) => split(text, by, place(count)), making],
  'string.substring(int): string': [(text, from) => substring(text, place(from), undefined), traversal],
  'string.substring(int, int): string': [
    (text, from, to) => substring(text, place(from), place(to)),
    traversal,
  ],
  'string.trim(): string': [
    (text) => String(text).replaceAll(/^\p{White_Space}+|\p{White_Space}+$/gu, ''),
    traversal,
  ],
  'list(string).join(): string': [(list) => join(list, ''), joining],
  'list(string).join(string): string': [(list, by) => join(list, String(by)), joining],
  'string.format(list(dyn)): string': [
    (text, args) => format(String(text), isList(args) ? args : []),
    traversal,
    (_, result) => (typeof result === 'string' ? result.length * 2 : 0),
  ],
  'strings.quote(string): string': [(text) => quote(String(text)), traversal],
};

export const strings: readonly CelFunction[] = functionsOf(rows);

function indexOf(text: Value, part: Value, from: number): Value {
  const given = String(text);
  const start = offsetOf(given, from);
  if (start === undefined) return new Fault(`index out of range: ${from}`);
  const found = given.indexOf(String(part), start);
  return found < 0 ? -1 : lengthOf(given.slice(0, found));
}

function lastIndexOf(text: Value, part: Value, from: number | undefined): Value {
  const given = String(text);
  const start = from === undefined ? given.length : offsetOf(given, from);
  if (start === undefined) return new Fault(`index out of range: ${from}`);
  const found = given.lastIndexOf(String(part), start);
  return found < 0 ? -1 : lengthOf(given.slice(0, found));
}

/** Characters of a text that a function makes: its cost is known only when it is there. */
const madeLengthMax = 10_000_000;
const tooLong = new Fault(`the text would be longer than ${madeLengthMax} characters`);

function replace(text: Value, from: Value, to: Value, count: number): Value {
  const [given, wanted, other] = [String(text), String(from), String(to)];
  const times = wanted === '' ? given.length + 1 : given.split(wanted).length - 1;
  if (given.length + times * other.length > madeLengthMax) return tooLong;
  let left = count < 0 ? Number.MAX_SAFE_INTEGER : count;
  return given.replaceAll(wanted, (one) => (left-- > 0 ? other : one));
}

function split(text: Value, by: Value, count: number): readonly string[] {
  if (count === 0) return [];
  const parts = by === '' ? letters(text) : String(text).split(String(by));
  if (count < 0 || parts.length <= count) return parts;
  return [...parts.slice(0, count - 1), parts.slice(count - 1).join(String(by))];
}

function substring(text: Value, from: number, to: number | undefined): Value {
  const given = String(text);
  const [start, end] = [offsetOf(given, from), to === undefined ? given.length : offsetOf(given, to)];
  if (start === undefined || end === undefined)
    return new Fault(`index out of range: ${start === undefined ? from : to}`);
  return start > end
    ? new Fault(`invalid substring range. start: ${from}, end: ${to ?? lengthOf(given)}`)
    : given.slice(start, end);
}

function join(list: Value, by: string): Value {
  const texts = isList(list) ? list.map(String) : [];
  const length = texts.reduce((sum, text) => sum + text.length, by.length * texts.length);
  return length > madeLengthMax ? tooLong : texts.join(by);
}

/** `"%s is %d".format([a, b])`. */
function format(text: string, args: readonly Value[]): Value {
  const made = writeClauses(text, args.length, (clause) => formatValue(clause, args[clause.index]));
  return made instanceof FormatProblem ? new Fault(made.message) : made;
}
