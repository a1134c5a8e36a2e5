/** An expression as it was parsed, macros written out (cel-spec, syntax.proto). */
export type Expr = Constant | Identifier | Selection | Call | ListLiteral | MapLiteral | ObjectLiteral | Fold;

interface Node {
  /** Where it is blamed: of a call its parenthesis, of an operator its sign, of a selection its dot. */
  readonly offset: number;
}

export interface Constant extends Node {
  readonly kind: 'constant';
  readonly type: 'null' | 'bool' | 'int' | 'uint' | 'double' | 'string' | 'bytes';
  /** Of an int, uint and double a bigint, a bigint and a number. */
  readonly value: null | boolean | bigint | number | string | Uint8Array;
}

export interface Identifier extends Node {
  readonly kind: 'identifier';
  readonly name: string;
}

export interface Selection extends Node {
  readonly kind: 'selection';
  readonly operand: Expr;
  readonly field: string;
  /** `has(a.b)`: whether it is there. */
  readonly isTest: boolean;
}

export interface Call extends Node {
  readonly kind: 'call';
  /** An operator's name is with places: `_+_`, `_[_]`, `_?._`. */
  readonly name: string;
  /** What stands before the dot. */
  readonly target?: Expr | undefined;
  readonly args: readonly Expr[];
}

export interface ListLiteral extends Node {
  readonly kind: 'list';
  readonly elements: readonly { readonly value: Expr; readonly isOptional: boolean }[];
}

export interface MapLiteral extends Node {
  readonly kind: 'map';
  readonly entries: readonly { readonly key: Expr; readonly value: Expr; readonly isOptional: boolean }[];
}

export interface ObjectLiteral extends Node {
  readonly kind: 'object';
  readonly typeName: string;
  readonly fields: readonly {
    readonly name: string;
    readonly offset: number;
    readonly value: Expr;
    readonly isOptional: boolean;
  }[];
}

/** What macros come to: a walk over a list or the keys of a map that carries one value along. */
export interface Fold extends Node {
  readonly kind: 'fold';
  readonly range: Expr;
  /** The element, or the key; with `second` the index or key. */
  readonly first: string;
  /** The element or value, of macros of two variables. */
  readonly second?: string | undefined;
  readonly carried: string;
  readonly start: Expr;
  /** Asked before each step; the walk ends where it is false. */
  readonly goOn: Expr;
  readonly step: Expr;
  readonly result: Expr;
}
