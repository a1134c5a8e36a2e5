import type { Call, Constant, Expr, ListLiteral, MapLiteral, ObjectLiteral } from './ast.ts';
import { expandMacro, type Macros } from './macros.ts';
import type { Issue } from './source.ts';
import { tokenize, type Token } from './token.ts';

export type Parsed =
  | { readonly expr: Expr; readonly issues?: undefined }
  | { readonly expr: undefined; readonly issues: readonly Issue[] };

/** In code points, as cel-go bounds it. */
const sizeMax = 100_000;
/** How deep expressions may lie within each other, as cel-go bounds it; of operators in a row each is one deeper. */
const depthMax = 250;

/** @returns what is wrong instead of an expression; of what follows the first mistake in syntax nothing is said */
export function parse(text: string, macros: Macros = 'usual'): Parsed {
  if ([...text].length > sizeMax) {
    const message = `expression code point size exceeds limit: size: ${[...text].length}, limit ${sizeMax}`;
    return { expr: undefined, issues: [{ offset: 0, message }] };
  }
  const { tokens, issues } = tokenize(text);
  if (issues.length > 0) return { expr: undefined, issues };
  const parser = new Parser(tokens, macros);
  try {
    const expr = parser.parse();
    return parser.skipped.length > 0 ? { expr: undefined, issues: parser.skipped } : { expr };
  } catch (error) {
    if (!(error instanceof Mistake)) throw error;
    return { expr: undefined, issues: [...parser.skipped, ...error.issues] };
  }
}

/** Ends a parse. */
class Mistake {
  readonly issues: readonly Issue[];

  constructor(...issues: readonly Issue[]) {
    this.issues = issues;
  }
}

const primaries = `'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER`;
const orClosing = primaries.replace("'(',", "'(', ')',");
const reserved: ReadonlySet<string> = new Set(
  'as break const continue else for function if import let loop package namespace return var void while'.split(
    ' ',
  ),
);
const relations: ReadonlySet<string> = new Set(['<', '<=', '>', '>=', '==', '!=']);

class Parser {
  readonly #tokens: readonly Token[];
  readonly #macros: Macros;
  /** What stood where it should not, and was passed over. */
  readonly skipped: Issue[] = [];
  #at = 0;
  #depth = 0;

  constructor(tokens: readonly Token[], macros: Macros) {
    this.#tokens = tokens;
    this.#macros = macros;
  }

  parse(): Expr {
    const expr = this.#expression();
    const rest = this.#peek();
    if (rest.kind !== 'end') {
      throw this.#wrong(
        rest,
        `${rest.kind === 'sign' ? 'mismatched' : 'extraneous'} input '${rest.text}' expecting <EOF>`,
      );
    }
    return expr;
  }

  #expression(): Expr {
    if (++this.#depth > depthMax) {
      throw new Mistake({
        offset: this.#peek().offset,
        message: `expression recursion limit exceeded: ${depthMax}`,
      });
    }
    const condition = this.#balanced('||', () => this.#balanced('&&', () => this.#relation()));
    const question = this.#takeSign('?');
    let expr = condition;
    if (question !== undefined) {
      const yes = this.#balanced('||', () => this.#balanced('&&', () => this.#relation()));
      this.#expect(':');
      expr = call('_?_:_', question, [condition, yes, this.#expression()]);
    }
    this.#depth--;
    return expr;
  }

  /** `a && b && c && d` as a tree that is as flat as can be: long chains are common. */
  #balanced(sign: '&&' | '||', operand: () => Expr): Expr {
    const operands = [operand()];
    const signs: Token[] = [];
    for (let taken = this.#takeSign(sign); taken !== undefined; taken = this.#takeSign(sign)) {
      signs.push(taken);
      operands.push(operand());
    }
    return balance(`_${sign}_`, operands, signs);
  }

  #relation(): Expr {
    return this.#leftToRight(
      () => this.#sum(),
      ({ kind, text }) =>
        kind === 'sign' && relations.has(text)
          ? `_${text}_`
          : isWord({ kind, text }, 'in')
            ? '@in'
            : undefined,
    );
  }

  #sum(): Expr {
    return this.#leftToRight(
      () => this.#product(),
      ({ kind, text }) => (kind === 'sign' && (text === '+' || text === '-') ? `_${text}_` : undefined),
    );
  }

  #product(): Expr {
    return this.#leftToRight(
      () => this.#unary(),
      ({ kind, text }) =>
        kind === 'sign' && (text === '*' || text === '/' || text === '%') ? `_${text}_` : undefined,
    );
  }

  #leftToRight(operand: () => Expr, nameOf: (token: Token) => string | undefined): Expr {
    let expr = operand();
    let length = 0;
    for (;;) {
      const token = this.#peek();
      const name = nameOf(token);
      if (name === undefined) break;
      if (++length > depthMax * 4) throw this.#wrong(token, 'too many operators in a row');
      this.#at++;
      expr = call(name, token, [expr, operand()]);
    }
    return expr;
  }

  #unary(): Expr {
    const first = this.#peek();
    for (const sign of ['!', '-'] as const) {
      if (first.kind !== 'sign' || first.text !== sign) continue;
      if (sign === '-') {
        const number = this.#negativeNumber();
        if (number !== undefined) return this.#members(number);
      }
      let count = 0;
      while (this.#takeSign(sign) !== undefined) count++;
      const operand = this.#members(this.#primary());
      return count % 2 === 0 ? operand : call(sign === '!' ? '!_' : '-_', first, [operand]);
    }
    return this.#members(this.#primary());
  }

  /** `-5` is a number: the least of them has no positive. */
  #negativeNumber(): Constant | undefined {
    const minus = this.#peek();
    const next = this.#tokens[this.#at + 1];
    if (next?.kind !== 'int' && next?.kind !== 'float') return undefined;
    this.#at += 2;
    return this.#number({ ...next, offset: minus.offset, text: `-${next.text}` });
  }

  #members(start: Expr): Expr {
    let expr = start;
    let length = 0;
    for (;;) {
      const token = this.#peek();
      if (token.kind !== 'sign' || (token.text !== '.' && token.text !== '[')) return expr;
      if (++length > depthMax * 4) throw this.#wrong(token, 'too many selections in a row');
      this.#at++;
      const optional = this.#takeSign('?');
      expr = token.text === '[' ? this.#index(expr, token, optional) : this.#member(expr, token, optional);
    }
  }

  #index(operand: Expr, bracket: Token, optional: Token | undefined): Expr {
    const index = this.#expression();
    this.#expect(']');
    return call(optional === undefined ? '_[_]' : '_[?_]', bracket, [operand, index]);
  }

  #member(operand: Expr, dot: Token, optional: Token | undefined): Expr {
    const name = this.#fieldName();
    if (optional !== undefined) {
      const field: Constant = { kind: 'constant', type: 'string', value: name, offset: dot.offset };
      return call('_?._', dot, [operand, field]);
    }
    const parenthesis = this.#takeSign('(');
    if (parenthesis === undefined)
      return { kind: 'selection', operand, field: name, isTest: false, offset: dot.offset };
    return this.#expanded({ ...call(name, parenthesis, this.#args()), target: operand });
  }

  #fieldName(): string {
    const token = this.#peek();
    if (token.kind === 'escaped') {
      this.#at++;
      return token.text.slice(1, -1);
    }
    if (token.kind !== 'identifier' || isWord(token, 'in', 'true', 'false', 'null')) {
      const missing = token.kind === 'end' ? 'no viable alternative at input' : 'mismatched input';
      throw this.#wrong(
        token,
        token.kind === 'end'
          ? `${missing} '.'`
          : `${missing} '${token.text}' expecting {'?', IDENTIFIER, ESC_IDENTIFIER}`,
      );
    }
    this.#at++;
    return token.text;
  }

  /** Behind the opening parenthesis, to the closing one. */
  #args(): readonly Expr[] {
    if (this.#takeSign(')') !== undefined) return [];
    const args = [this.#expression()];
    while (this.#takeSign(',') !== undefined) args.push(this.#expression());
    this.#expect(')');
    return args;
  }

  #expanded(made: Call): Expr {
    const expanded = expandMacro(made, this.#macros);
    if ('message' in expanded) throw new Mistake(expanded);
    return expanded;
  }

  #primary(): Expr {
    const token = this.#peek();
    this.#at++;
    switch (token.kind) {
      case 'int':
      case 'uint':
      case 'float':
        return this.#number(token);
      case 'string':
      case 'bytes':
        return { kind: 'constant', type: token.kind, value: token.value ?? '', offset: token.offset };
      case 'identifier':
        return this.#named(token, '');
      case 'sign':
        return this.#signed(token);
      case 'escaped':
      case 'end':
        return this.#noPrimary(token);
    }
  }

  #signed(token: Token): Expr {
    switch (token.text) {
      case '(': {
        const inner = this.#expression();
        this.#expect(')');
        return inner;
      }
      case '[':
        return this.#list(token);
      case '{':
        return this.#map(token);
      case '.': {
        const name = this.#peek();
        if (name.kind !== 'identifier') return this.#noPrimary(name);
        this.#at++;
        return this.#named(name, '.');
      }
      default:
        return this.#noPrimary(token);
    }
  }

  #noPrimary(token: Token): Expr {
    const before = this.#tokens[this.#tokens.indexOf(token) - 1];
    const expected = before?.text === '(' ? orClosing : primaries;
    const next = this.#tokens[this.#tokens.indexOf(token) + 1];
    const isExtra =
      next !== undefined && next.kind !== 'sign' && next.kind !== 'end' && token.kind === 'sign';
    const mistake = this.#wrong(
      token,
      `${isExtra ? 'extraneous' : 'mismatched'} input '${token.text}' expecting {${expected}}`,
    );
    if (!isExtra || this.skipped.length > 0) throw mistake;
    this.skipped.push(...mistake.issues);
    return this.#primary();
  }

  #named(token: Token, leading: '' | '.'): Expr {
    const { text, offset } = token;
    if (leading === '' && (text === 'true' || text === 'false'))
      return { kind: 'constant', type: 'bool', value: text === 'true', offset };
    if (leading === '' && text === 'null') return { kind: 'constant', type: 'null', value: null, offset };
    if (text === 'in') return this.#noPrimary(token);
    if (reserved.has(text))
      throw new Mistake({ offset, message: `Syntax error: reserved identifier: ${text}` });
    const parenthesis = this.#takeSign('(');
    if (parenthesis !== undefined) return this.#expanded(call(text, parenthesis, this.#args()));
    return this.#objectOr({ kind: 'identifier', name: text, offset });
  }

  /** `a.b.C{…}` is an object; `a.b.c` is left to be selected from. */
  #objectOr(identifier: Expr & { readonly kind: 'identifier' }): Expr {
    let at = this.#at;
    let name = identifier.name;
    for (;;) {
      const [dot, part] = [this.#tokens[at], this.#tokens[at + 1]];
      if (dot?.text === '{' && dot.kind === 'sign') break;
      if (dot?.text !== '.' || part?.kind !== 'identifier') return identifier;
      name += `.${part.text}`;
      at += 2;
    }
    const brace = this.#tokens[at];
    if (brace === undefined) return identifier;
    this.#at = at + 1;
    return this.#object(name, brace);
  }

  #object(typeName: string, brace: Token): ObjectLiteral {
    const fields: ObjectLiteral['fields'][number][] = [];
    while (this.#takeSign('}') === undefined) {
      const isOptional = this.#takeSign('?') !== undefined;
      const { offset } = this.#peek();
      const token = this.#peek();
      if (token.kind !== 'identifier' && token.kind !== 'escaped') {
        throw this.#wrong(
          token,
          `mismatched input '${token.text}' expecting {'}', ',', '?', IDENTIFIER, ESC_IDENTIFIER}`,
        );
      }
      const name = this.#fieldName();
      this.#expect(':');
      fields.push({ name, offset, value: this.#expression(), isOptional });
      if (this.#takeSign(',') === undefined) {
        this.#expect('}');
        break;
      }
    }
    return { kind: 'object', typeName, fields, offset: brace.offset };
  }

  #list(bracket: Token): ListLiteral {
    const elements: ListLiteral['elements'][number][] = [];
    while (this.#takeSign(']') === undefined) {
      const isOptional = this.#takeSign('?') !== undefined;
      elements.push({ value: this.#expression(), isOptional });
      if (this.#takeSign(',') === undefined) {
        this.#expect(']');
        break;
      }
    }
    return { kind: 'list', elements, offset: bracket.offset };
  }

  #map(brace: Token): MapLiteral {
    const entries: MapLiteral['entries'][number][] = [];
    while (this.#takeSign('}') === undefined) {
      const isOptional = this.#takeSign('?') !== undefined;
      const key = this.#expression();
      this.#expect(':');
      entries.push({ key, value: this.#expression(), isOptional });
      if (this.#takeSign(',') === undefined) {
        this.#expect('}');
        break;
      }
    }
    return { kind: 'map', entries, offset: brace.offset };
  }

  #number({ kind, text, offset }: Token): Constant {
    if (kind === 'float') {
      const value = Number(text);
      if (!Number.isFinite(value))
        throw new Mistake({ offset, message: 'Syntax error: invalid double literal' });
      return { kind: 'constant', type: 'double', value, offset };
    }
    const digits = text.replaceAll(/^-|[uU]$/g, '');
    const value = text.startsWith('-') ? -BigInt(digits) : BigInt(digits);
    const type = kind === 'uint' ? 'uint' : 'int';
    const fits = type === 'uint' ? BigInt.asUintN(64, value) === value : BigInt.asIntN(64, value) === value;
    if (!fits) throw new Mistake({ offset, message: `Syntax error: invalid ${type} literal` });
    return { kind: 'constant', type, value, offset };
  }

  #peek(): Token {
    return this.#tokens[this.#at] ?? { kind: 'end', text: '<EOF>', offset: 0 };
  }

  #takeSign(text: string): Token | undefined {
    const token = this.#peek();
    if (token.kind !== 'sign' || token.text !== text) return undefined;
    this.#at++;
    return token;
  }

  #expect(text: string): void {
    if (this.#takeSign(text) !== undefined) return;
    const token = this.#peek();
    const isMissing = token.kind === 'end' || text === ':';
    throw this.#wrong(
      token,
      isMissing
        ? `missing '${text}' at '${token.text}'`
        : `mismatched input '${token.text}' expecting '${text}'`,
    );
  }

  #wrong({ offset }: Token, message: string): Mistake {
    return new Mistake({ offset, message: `Syntax error: ${message}` });
  }
}

function isWord({ kind, text }: Pick<Token, 'kind' | 'text'>, ...words: readonly string[]): boolean {
  return kind === 'identifier' && words.includes(text);
}

function call(name: string, { offset }: Token, args: readonly Expr[]): Call {
  return { kind: 'call', name, args, offset };
}

function balance(name: string, operands: readonly Expr[], signs: readonly Token[]): Expr {
  const [only] = operands;
  const middle = Math.floor((signs.length - 1) / 2);
  const sign = signs[middle];
  if (only === undefined || sign === undefined) return only ?? { kind: 'identifier', name, offset: 0 };
  return call(name, sign, [
    balance(name, operands.slice(0, middle + 1), signs.slice(0, middle)),
    balance(name, operands.slice(middle + 1), signs.slice(middle + 1)),
  ]);
}
