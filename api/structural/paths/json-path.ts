import { PodwrightError } from '#base/errors.ts';

/** One step of a JSON path. */
export type PathStep =
  | { readonly kind: 'field'; readonly name: string }
  | { readonly kind: 'wildcard' }
  | { readonly kind: 'recursive' }
  | { readonly kind: 'union'; readonly steps: readonly PathStep[] }
  | {
      readonly kind: 'slice';
      readonly start: number | undefined;
      readonly end: number | undefined;
      readonly step: number;
    }
  | { readonly kind: 'index'; readonly index: number }
  | { readonly kind: 'filter'; readonly left: Operand; readonly operator: Operator; readonly right: Operand };

/** A side of a filter: a path from the item (`@.type`), or from the whole (`$.x`), or a value. */
export type Operand =
  | { readonly kind: 'path'; readonly fromRoot: boolean; readonly path: JsonPath }
  | { readonly kind: 'value'; readonly value: string | number | boolean };

export type Operator = 'exists' | '==' | '!=' | '<' | '<=' | '>' | '>=';

/** Steps from the whole to what is meant. */
export type JsonPath = readonly PathStep[];

/** Characters of a path. */
export const pathLengthMax = 4096;
const depthMax = 8;

/**
 * Reads a path as kubectl and printer columns write it (k8s.io/client-go util/jsonpath), without braces:
 * `.status.conditions[?(@.type=="Ready")].status`, `.spec.ports[0:2].name`, `.metadata.labels.a\.b`, `..name`.
 * @throws {E_INVALID} for what is no path
 */
export function parseJsonPath(text: string): JsonPath {
  if (text.length > pathLengthMax) fail(text.slice(0, 64), `longer than ${pathLengthMax} characters`);
  const reader = new PathReader(text, 0);
  const path = reader.path();
  reader.end();
  return path;
}

function fail(text: string, why: string): never {
  throw new PodwrightError('E_INVALID', `read JSON path ${JSON.stringify(text)}: ${why}`);
}

const operators: readonly Operator[] = ['==', '!=', '<=', '>=', '<', '>'];

class PathReader {
  readonly #text: string;
  readonly #depth: number;
  #position = 0;

  constructor(text: string, depth: number) {
    if (depth > depthMax) fail(text, 'too many filters within one another');
    this.#text = text;
    this.#depth = depth;
  }

  end(): void {
    if (this.#position < this.#text.length) {
      this.#fail(`unexpected ${JSON.stringify(this.#text[this.#position])}`);
    }
  }

  path(): JsonPath {
    const steps: PathStep[] = [];
    for (;;) {
      const step = this.#step();
      if (step === undefined) return steps;
      steps.push(...step);
    }
  }

  #step(): readonly PathStep[] | undefined {
    const char = this.#text[this.#position];
    if (char === '[') return [this.#bracket()];
    if (char === '$' || char === '@') {
      this.#position++;
      return [];
    }
    if (char !== '.') {
      // A path may begin with a name: `spec.a` is `.spec.a` to kubectl.
      return this.#position === 0 && char !== undefined ? [this.#field()] : undefined;
    }
    this.#position++;
    if (this.#text[this.#position] === '.') {
      this.#position++;
      const next = this.#text[this.#position];
      return next === undefined || next === '[' || next === '.'
        ? [{ kind: 'recursive' }]
        : [{ kind: 'recursive' }, this.#field()];
    }
    const next = this.#text[this.#position];
    return next === undefined || next === '[' ? [] : [this.#field()];
  }

  #field(): PathStep {
    let name = '';
    for (; this.#position < this.#text.length; this.#position++) {
      const char = this.#text[this.#position] ?? '';
      if (char === '\\') {
        this.#position++;
        name += this.#text[this.#position] ?? '';
      } else if (/[.[\]{}\s|,]/.test(char)) break;
      else name += char;
    }
    if (name === '') this.#fail('a name is missing');
    return name === '*' ? { kind: 'wildcard' } : { kind: 'field', name };
  }

  #bracket(): PathStep {
    const close = this.#closing();
    const inner = this.#text.slice(this.#position + 1, close).trim();
    this.#position = close + 1;
    if (inner.startsWith('?')) return this.#filter(inner.slice(1).trim());
    const parts = splitOutside(inner, ',').map((part) => this.#item(part.trim()));
    const [only] = parts;
    return parts.length === 1 && only !== undefined ? only : { kind: 'union', steps: parts };
  }

  /** The bracket that closes the one at hand, past others and texts. */
  #closing(): number {
    let depth = 0;
    let quote = '';
    for (let index = this.#position; index < this.#text.length; index++) {
      const char = this.#text[index] ?? '';
      if (char === '\\') index++;
      else if (quote !== '') quote = char === quote ? '' : quote;
      else if (char === '"' || char === "'") quote = char;
      else if (char === '[') depth++;
      else if (char === ']' && --depth === 0) return index;
    }
    return this.#fail('unterminated array');
  }

  #item(part: string): PathStep {
    if (part === '*') return { kind: 'wildcard' };
    const name = unquoted(part);
    if (name !== undefined) return { kind: 'field', name };
    if (/^-?\d+$/.test(part)) return { kind: 'index', index: Number(part) };
    const slice = /^(-?\d+)?:(-?\d+)?(?::(-?\d+)?)?$/.exec(part);
    if (slice === null) return this.#fail(`invalid array index ${part}`);
    const [, start, end, step] = slice.map((each) => (each === undefined ? undefined : Number(each)));
    if (step !== undefined && step <= 0) this.#fail('step must be > 0');
    return { kind: 'slice', start, end, step: step ?? 1 };
  }

  #filter(text: string): PathStep {
    if (!text.startsWith('(') || !text.endsWith(')')) return this.#fail('a filter stands in parentheses');
    const inner = text.slice(1, -1).trim();
    const operator = operators.find((each) => splitOutside(inner, each).length > 1);
    const [left = '', right] = operator === undefined ? [inner] : splitOutside(inner, operator);
    return {
      kind: 'filter',
      left: this.#operand(left.trim()),
      operator: operator ?? 'exists',
      right: right === undefined ? { kind: 'value', value: true } : this.#operand(right.trim()),
    };
  }

  #operand(text: string): Operand {
    const quoted = unquoted(text);
    if (quoted !== undefined) return { kind: 'value', value: quoted };
    if (/^-?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(text)) return { kind: 'value', value: Number(text) };
    if (text === 'true' || text === 'false') return { kind: 'value', value: text === 'true' };
    if (!/^[@$]/.test(text)) return this.#fail(`unrecognized ${JSON.stringify(text)} in a filter`);
    const reader = new PathReader(text.slice(1), this.#depth + 1);
    const path = reader.path();
    reader.end();
    return { kind: 'path', fromRoot: text.startsWith('$'), path };
  }

  #fail(why: string): never {
    return fail(this.#text, why);
  }
}

/** The text of a literal in quotes; undefined: it is none. */
function unquoted(text: string): string | undefined {
  const quote = text[0];
  if (text.length < 2 || (quote !== "'" && quote !== '"') || !text.endsWith(quote)) return undefined;
  return text.slice(1, -1).replaceAll(/\\(.)/g, '$1');
}

/** The parts between separators that stand neither in quotes nor in brackets or parentheses. */
function splitOutside(text: string, separator: string): readonly string[] {
  const parts: string[] = [];
  let from = 0;
  let depth = 0;
  let quote = '';
  for (let index = 0; index < text.length; index++) {
    const char = text[index] ?? '';
    if (char === '\\') index++;
    else if (quote !== '') quote = char === quote ? '' : quote;
    else if (char === '"' || char === "'") quote = char;
    else if (char === '[' || char === '(') depth++;
    else if (char === ']' || char === ')') depth--;
    else if (depth === 0 && text.startsWith(separator, index)) {
      parts.push(text.slice(from, index));
      from = index + separator.length;
      index = from - 1;
    }
  }
  parts.push(text.slice(from));
  return parts;
}
