import type { Issue } from './source.ts';

export interface Token {
  readonly kind: 'identifier' | 'escaped' | 'int' | 'uint' | 'float' | 'string' | 'bytes' | 'sign' | 'end';
  /** As it stands in the text; of the end `<EOF>`. */
  readonly text: string;
  readonly offset: number;
  /** Of texts and bytes what they come to. */
  readonly value?: string | Uint8Array;
}

const space = /(?:[\t\f\r\n ]|\/\/[^\n]*)+/y;
const identifier = /[_a-zA-Z][_a-zA-Z0-9]*/y;
const escaped = /`[a-zA-Z0-9_.\-/ ]+`/y;
const float = /(?:\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\.\d+(?:[eE][+-]?\d+)?)/y;
const integer = /(?:0x[0-9a-fA-F]+|\d+)[uU]?/y;
const sign = /==|!=|<=|>=|&&|\|\||[[\]{}().,:?!<>+\-*/%=]/y;
/** Longest quotes first; what stands before says raw, bytes, or both. */
const opening = /(?:[rR][bB]?|[bB][rR]?)?("""|'''|"|')/y;

/** The tokens, and the end last. What is none is an issue, and left out. */
export function tokenize(text: string): {
  readonly tokens: readonly Token[];
  readonly issues: readonly Issue[];
} {
  const tokens: Token[] = [];
  const issues: Issue[] = [];
  let offset = 0;
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = offset;
    return pattern.exec(text)?.[0];
  };
  while (offset < text.length) {
    const blank = take(space);
    if (blank !== undefined) {
      offset += blank.length;
      continue;
    }
    const token = quoted(text, offset, issues) ?? plain(take, offset);
    if (token === undefined) {
      const [character = ''] = text.slice(offset);
      issues.push({ offset, message: `Syntax error: token recognition error at: '${character}'` });
      offset += character.length;
      continue;
    }
    tokens.push(token);
    offset += token.text.length;
  }
  return { tokens: [...tokens, { kind: 'end', text: '<EOF>', offset: text.length }], issues };
}

function plain(take: (pattern: RegExp) => string | undefined, offset: number): Token | undefined {
  const rows = [
    ['identifier', identifier],
    ['escaped', escaped],
    ['float', float],
    ['int', integer],
    ['sign', sign],
  ] as const;
  for (const [kind, pattern] of rows) {
    const text = take(pattern);
    if (text === undefined) continue;
    return { kind: kind === 'int' && /u$/i.test(text) ? 'uint' : kind, text, offset };
  }
  return undefined;
}

/** A text or bytes in quotes. @throws never: what is wrong within is an issue */
function quoted(text: string, offset: number, issues: Issue[]): Token | undefined {
  opening.lastIndex = offset;
  const match = opening.exec(text);
  if (match === null) return undefined;
  const [head, quote = ''] = match;
  const prefix = head.slice(0, head.length - quote.length).toLowerCase();
  const isRaw = prefix.includes('r');
  const end = closing(text, offset + head.length, quote, isRaw);
  if (end === undefined) return undefined;
  const whole = text.slice(offset, end + quote.length);
  const inner = text.slice(offset + head.length, end);
  const isBytes = prefix.includes('b');
  const value = isRaw ? inner : unescape(inner, isBytes);
  if (value === undefined) issues.push({ offset, message: `Syntax error: invalid escape in ${whole}` });
  const read = value ?? '';
  return isBytes
    ? { kind: 'bytes', text: whole, offset, value: Buffer.from(read, isRaw ? 'utf8' : 'latin1') }
    : { kind: 'string', text: whole, offset, value: read };
}

function closing(text: string, start: number, quote: string, isRaw: boolean): number | undefined {
  for (let at = start; at < text.length; at++) {
    if (text.startsWith(quote, at)) return at;
    if (text[at] === '\n' && quote.length === 1) return undefined;
    if (text[at] === '\\' && !isRaw) at++;
  }
  return undefined;
}

const simple: Readonly<Record<string, string>> = {
  ...{ a: '\x07', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' },
  ...{ '\\': '\\', "'": "'", '"': '"', '`': '`', '?': '?' },
};
const escape = /\\(?:[xX][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-3][0-7]{2}|.)/gsu;

/** Of bytes one character for each, `\xff` and `\377` being the byte itself; undefined for an escape that is none. */
function unescape(text: string, isBytes: boolean): string | undefined {
  const given = isBytes ? Buffer.from(text, 'utf8').toString('latin1') : text;
  let isWrong = false;
  const read = given.replaceAll(escape, (whole: string) => {
    const character = characterOf(whole, isBytes);
    if (character === undefined) isWrong = true;
    return character ?? '';
  });
  return isWrong ? undefined : read;
}

/** What an escape stands for. */
function characterOf(whole: string, isBytes: boolean): string | undefined {
  const [, letter = ''] = whole;
  if (whole.length === 2) return Object.hasOwn(simple, letter) ? simple[letter] : undefined;
  const isCharacter = letter === 'u' || letter === 'U';
  if (isBytes && isCharacter) return undefined;
  const isOctal = letter >= '0' && letter <= '7';
  const code = isOctal ? Number.parseInt(whole.slice(1), 8) : Number.parseInt(whole.slice(2), 16);
  if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return undefined;
  return String.fromCodePoint(code);
}
