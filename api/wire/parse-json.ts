import { PodwrightError } from '#base/errors.ts';
import { setOwn, type Draft } from './json.ts';
import { jsonDepthMax, tooManyValues, valueCountMax } from './value-count.ts';

/** A value, and what was said twice. */
export interface StrictJson {
  readonly value: unknown;
  /** Paths of members given more than once; the last value counts. At most `duplicateFieldCountMax`. */
  readonly duplicateFields: readonly string[];
  /** Whole numbers as they were written, where not as integers (`1e2`): by path. At most `literalCountMax`. */
  readonly literals?: ReadonlyMap<string, string> | undefined;
}

/** Beyond this many duplicate members, more are overwritten without mention. */
export const duplicateFieldCountMax = 100;

const literalCountMax = 1000;

const number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const space = /[ \t\r\n]*/y;
const plainString = /"[^"\\\p{Cc}]*"/uy;
// Control characters from U+007F on are allowed in strings; those below U+0020 are what \p{Cc} leaves over.
const anyString = /"(?:[^"\\\p{Cc}]|[\u007f-\u009f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/uy;

/**
 * JSON with the members that were given twice, for fieldValidation.
 * @throws {E_API} 413 for more values than `valueCountMax`
 * @throws {E_INVALID} with Go's texts (`invalid character 'b' looking for beginning of object key string`)
 */
export function parseJsonStrict(text: string): StrictJson {
  const parser = new JsonParser(text);
  const value = parser.parseDocument();
  return { value, duplicateFields: parser.duplicateFields, literals: parser.literals };
}

/** One pass over one text: position and path are its state. */
class JsonParser {
  readonly duplicateFields: string[] = [];
  literals: Map<string, string> | undefined;
  readonly #text: string;
  #position = 0;
  #valuesLeft = valueCountMax;
  readonly #path: (string | number)[] = [];

  constructor(text: string) {
    this.#text = text;
  }

  parseDocument(): unknown {
    this.#skipSpace();
    const value = this.#parseValue();
    this.#skipSpace();
    if (this.#position < this.#text.length) throw this.#error('after top-level value');
    return value;
  }

  #parseValue(): unknown {
    if (--this.#valuesLeft < 0) throw tooManyValues();
    if (this.#path.length > jsonDepthMax) throw new PodwrightError('E_INVALID', 'exceeded max depth');
    const char = this.#text[this.#position];
    switch (char) {
      case '{':
        return this.#parseObject();
      case '[':
        return this.#parseArray();
      case '"':
        return this.#parseString();
      case 't':
        return this.#parseWord('true', true);
      case 'f':
        return this.#parseWord('false', false);
      case 'n':
        return this.#parseWord('null', null);
      default:
        return this.#parseNumber();
    }
  }

  #parseObject(): Draft {
    const object: Draft = {};
    this.#position += 1;
    this.#skipSpace();
    if (this.#take('}')) return object;
    for (;;) {
      if (this.#text[this.#position] !== '"') throw this.#error('looking for beginning of object key string');
      const key = this.#parseString();
      this.#skipSpace();
      if (!this.#take(':')) throw this.#error('after object key');
      this.#skipSpace();
      this.#path.push(key);
      if (Object.hasOwn(object, key)) this.#noteDuplicate();
      setOwn(object, key, this.#parseValue());
      this.#path.pop();
      this.#skipSpace();
      if (this.#take('}')) return object;
      if (!this.#take(',')) throw this.#error('after object key:value pair');
      this.#skipSpace();
    }
  }

  #noteDuplicate(): void {
    if (this.duplicateFields.length < duplicateFieldCountMax)
      this.duplicateFields.push(formatPath(this.#path));
  }

  #parseArray(): unknown[] {
    const items: unknown[] = [];
    this.#position += 1;
    this.#skipSpace();
    if (this.#take(']')) return items;
    for (;;) {
      this.#path.push(items.length);
      items.push(this.#parseValue());
      this.#path.pop();
      this.#skipSpace();
      if (this.#take(']')) return items;
      if (!this.#take(',')) throw this.#error('after array element');
      this.#skipSpace();
    }
  }

  #parseString(): string {
    plainString.lastIndex = this.#position;
    if (plainString.test(this.#text)) {
      const text = this.#text.slice(this.#position + 1, plainString.lastIndex - 1);
      this.#position = plainString.lastIndex;
      return text;
    }
    anyString.lastIndex = this.#position;
    if (!anyString.test(this.#text)) throw this.#stringError();
    const text: unknown = JSON.parse(this.#text.slice(this.#position, anyString.lastIndex));
    this.#position = anyString.lastIndex;
    return String(text).toWellFormed(); // Half a pair is no character: U+FFFD, as Go's decoder makes of it.
  }

  #parseNumber(): number {
    number.lastIndex = this.#position;
    if (!number.test(this.#text)) throw this.#error('looking for beginning of value');
    const literal = this.#text.slice(this.#position, number.lastIndex);
    const value = Number(literal);
    this.#position = number.lastIndex;
    if (Number.isInteger(value) && /[.eE]/.test(literal)) this.#note(literal);
    return value;
  }

  #note(literal: string): void {
    this.literals ??= new Map();
    if (this.literals.size < literalCountMax) this.literals.set(formatPath(this.#path), literal);
  }

  #parseWord<T>(word: string, value: T): T {
    for (let index = 1; index < word.length; index++) {
      if (this.#text[this.#position + index] === word[index]) continue;
      this.#position += index;
      throw this.#error(`in literal ${word} (expecting '${word[index]}')`);
    }
    this.#position += word.length;
    return value;
  }

  #take(char: string): boolean {
    if (this.#text[this.#position] !== char) return false;
    this.#position += 1;
    return true;
  }

  #skipSpace(): void {
    space.lastIndex = this.#position;
    space.test(this.#text);
    this.#position = space.lastIndex;
  }

  #stringError(): PodwrightError {
    const start = this.#position;
    for (this.#position = start + 1; this.#position < this.#text.length; this.#position++) {
      const char = this.#text[this.#position] ?? '';
      if (char < ' ') return this.#error('in string literal');
      if (char !== '\\') continue;
      this.#position += 1;
      const escaped = this.#text[this.#position];
      if (escaped === undefined) break;
      if (!'"\\/bfnrtu'.includes(escaped)) return this.#error('in string escape code');
      if (escaped === 'u' && !/^[0-9a-fA-F]{4}/.test(this.#text.slice(this.#position + 1))) {
        return this.#error('in \\u hexadecimal character escape');
      }
    }
    this.#position = this.#text.length;
    return this.#error('in string literal');
  }

  #error(where: string): PodwrightError {
    const char = this.#text.codePointAt(this.#position);
    return new PodwrightError(
      'E_INVALID',
      char === undefined ? 'unexpected end of JSON input' : `invalid character ${quoteChar(char)} ${where}`,
    );
  }
}

/** Go's scanner tells of bytes: of a character beyond ASCII of the first (`ï` of a byte order mark). */
function quoteChar(point: number): string {
  const char = String.fromCharCode(Buffer.from(String.fromCodePoint(point))[0] ?? 0);
  if (char === "'") return String.raw`'\''`;
  if (char === '"') return `'"'`;
  return `'${JSON.stringify(char).slice(1, -1)}'`;
}

function formatPath(path: readonly (string | number)[]): string {
  return path
    .map((part, index) => (typeof part === 'number' ? `[${part}]` : index === 0 ? part : `.${part}`))
    .join('');
}
