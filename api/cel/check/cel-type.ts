/** What an expression may be. */
export type CelType =
  | { readonly kind: PrimitiveKind }
  | { readonly kind: 'list'; readonly element: CelType; readonly semantics?: ListSemantics | undefined }
  | { readonly kind: 'map'; readonly key: CelType; readonly value: CelType }
  | { readonly kind: 'type'; readonly of: CelType }
  | ObjectType
  /** A type of a library that only its functions look into: `optional_type(int)`, `kubernetes.Quantity`. */
  | { readonly kind: 'opaque'; readonly name: string; readonly params: readonly CelType[] }
  /** A letter of a signature, or what is not known yet. */
  | { readonly kind: 'param'; readonly name: string };

export type PrimitiveKind =
  | 'null'
  | 'bool'
  | 'int'
  | 'uint'
  | 'double'
  | 'string'
  | 'bytes'
  | 'timestamp'
  | 'duration'
  | 'dyn'
  /** Of what is wrong already: nothing more is said of it. */
  | 'error';

/** An object of named fields; two are the same where their names are. */
export interface ObjectType {
  readonly kind: 'object';
  readonly name: string;
  /** undefined for a field that it does not have. */
  readonly fieldOf: (name: string) => Field | undefined;
  /** Of a member by its name in JSON; undefined where the schema does not say. */
  readonly typeOfProperty?: (property: string) => CelType | undefined;
}

/** What `x-kubernetes-list-type` makes of a list where that is not the order of its elements. */
export type ListSemantics =
  | { readonly kind: 'set' }
  | { readonly kind: 'map'; readonly keys: readonly string[] };

export interface Field {
  readonly type: CelType;
  /** Its name in JSON, where an expression has to write it otherwise (`__dash__`). */
  readonly property?: string;
}

export const types: Readonly<Record<PrimitiveKind, CelType>> = {
  null: { kind: 'null' },
  bool: { kind: 'bool' },
  int: { kind: 'int' },
  uint: { kind: 'uint' },
  double: { kind: 'double' },
  string: { kind: 'string' },
  bytes: { kind: 'bytes' },
  timestamp: { kind: 'timestamp' },
  duration: { kind: 'duration' },
  dyn: { kind: 'dyn' },
  error: { kind: 'error' },
};

export function listOf(element: CelType): CelType {
  return { kind: 'list', element };
}

export function mapOf(key: CelType, value: CelType): CelType {
  return { kind: 'map', key, value };
}

export const optionalName = 'optional_type';

export function optionalOf(value: CelType): CelType {
  return { kind: 'opaque', name: optionalName, params: [value] };
}

/** As cel-go writes a type in its messages. */
export function formatType(type: CelType): string {
  switch (type.kind) {
    case 'list':
      return `list(${formatType(type.element)})`;
    case 'map':
      return `map(${formatType(type.key)}, ${formatType(type.value)})`;
    case 'type':
      return `type(${formatType(type.of)})`;
    case 'object':
      return type.name;
    case 'opaque':
      return type.params.length === 0 ? type.name : `${type.name}(${type.params.map(formatType).join(', ')})`;
    case 'param':
      return type.name;
    case 'error':
      return '!error!';
    case 'null':
      return 'null_type';
    case 'timestamp':
    case 'duration':
    default:
      return type.kind;
  }
}
