/** A clause of a text that values are written into: `%s`, `%.2f`. */
export interface Clause {
  readonly letter: string;
  /** undefined where the clause says none. */
  readonly precision: number | undefined;
  /** Which of the values. */
  readonly index: number;
}

/** What is wrong with a text that values are to be written into, or with one of them. */
export class FormatProblem {
  readonly message: string;

  constructor(message: string) {
    this.message = message;
  }
}

/** Letters that a clause may end with. */
const letters = new Set('sdfebxXo');

/**
 * A text with its clauses written out, from left to right (cel-go, ext/formatting.go: the library in the version that Kubernetes has it).
 * The first thing that is wrong ends it.
 */
export function writeClauses(
  text: string,
  count: number,
  write: (clause: Clause) => string | FormatProblem,
): string | FormatProblem {
  let made = '';
  let index = 0;
  for (let at = 0; at < text.length;) {
    if (text[at] !== '%') {
      made += text[at++];
      continue;
    }
    if (text[at + 1] === '%') {
      made += '%';
      at += 2;
      continue;
    }
    if (index >= count) return new FormatProblem(`index ${index} out of range`);
    if (at + 1 >= text.length) return new FormatProblem('unexpected end of string');
    const read = readClause(text, at + 1, index++);
    if (read instanceof FormatProblem)
      return new FormatProblem(`could not parse formatting clause: ${read.message}`);
    const written = write(read.clause);
    if (written instanceof FormatProblem)
      return new FormatProblem(`error during formatting: ${written.message}`);
    made += written;
    at = read.end;
  }
  return made;
}

function readClause(
  text: string,
  start: number,
  index: number,
): { readonly clause: Clause; readonly end: number } | FormatProblem {
  const [whole = '', digits] = /^(?:\.(\d*))?/.exec(text.slice(start)) ?? [];
  const at = start + whole.length;
  const wrong = precisionProblem(digits, at >= text.length);
  if (wrong !== undefined) return new FormatProblem(`error while parsing precision: ${wrong}`);
  const letter = text[at] ?? '';
  if (!letters.has(letter))
    return new FormatProblem(`unrecognized formatting clause ${JSON.stringify(letter)}`);
  return {
    clause: { letter, precision: digits === undefined ? undefined : Number(digits), index },
    end: at + 1,
  };
}

function precisionProblem(digits: string | undefined, isEnd: boolean): string | undefined {
  if (digits === undefined) return undefined;
  if (isEnd) return 'could not find end of precision specifier';
  if (digits !== '') return undefined;
  return 'error while converting precision to integer: strconv.Atoi: parsing "": invalid syntax';
}

/** What a clause cannot write, by its letter. */
export function wrongValue(letter: string, typeName: string): FormatProblem {
  return new FormatProblem(`${wrongValues[letter] ?? ''}, was given ${typeName}`);
}

const hex = 'only integers, byte buffers, and strings can be formatted as hex';
const wrongValues: Readonly<Record<string, string>> = {
  s: 'string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, durations, and timestamps',
  d: 'decimal clause can only be used on integers',
  f: 'fixed-point clause can only be used on doubles',
  e: 'scientific clause can only be used on doubles',
  b: 'only integers and bools can be formatted as binary',
  x: hex,
  X: hex,
  o: 'octal clause can only be used on integers',
};
