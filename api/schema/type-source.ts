/** How a list or map merges: patchStrategy, patchMergeKey, listType, listMapKeys, mapType (`x-kubernetes-…` of OpenAPI). */
export interface MergeRule {
  readonly ps?: string;
  readonly pk?: string;
  readonly lt?: 'atomic' | 'set' | 'map';
  readonly lk?: readonly string[];
  readonly mt?: 'atomic' | 'granular';
}

/** A field of a struct, under its JSON name. */
export interface SchemaField {
  /**
   * A scalar (`string`, `bool`, `int32`, `int64`, `double`, `bytes`, `quantity`, `intstr`, `time`, `microtime`), JSON of any shape
   * (`json`, `any`, `raw`, `object`, `fieldsv1`), a type of the same source by its name, or `[]T` and `map:T` of these.
   */
  readonly type: string;
  /** A zero or empty value is left out, as by Go's omitempty. */
  readonly omitsEmpty: boolean;
  /** What decoding puts where nothing was given. */
  readonly absent: 'zero' | 'null' | 'nothing';
  /** What validation asks of it: no more than its type, that it is there, or that it is no empty text either. */
  readonly presence: 'optional' | 'given' | 'filled';
  /** The values that a text may have, beside ''; undefined: any. */
  readonly allowed?: readonly string[] | undefined;
  readonly default?: unknown;
  readonly merge?: MergeRule | undefined;
}

/** The version of a group ('' is core) in which a kind is served. */
export interface GroupVersionKind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

/** What objects, or parts of them, look like. */
export interface SchemaType {
  /** In OpenAPI documents: `io.k8s.api.core.v1.Pod`. */
  readonly publicName: string;
  /** In the order of the schema; undefined for what is no struct. */
  readonly fields: ReadonlyMap<string, SchemaField> | undefined;
  /** What it is if it is no struct, as `SchemaField.type`; undefined: JSON of any shape. */
  readonly alias?: string | undefined;
  /** Fields that OpenAPI calls required. */
  readonly required: readonly string[];
  /** How values of the type merge wherever they are. */
  readonly merge?: MergeRule | undefined;
  /** The kinds whose objects are of the type. */
  readonly kinds: readonly GroupVersionKind[];
}

/**
 * Where the types of a kind are asked for: decoding, defaults, validation by schema, patches and OpenAPI know no other place. Types are
 * values: a source gives the same answer to the same name for ever, for plans are made of them and kept as long as the source. A kind
 * whose schema changes gets another source.
 */
export interface TypeSource {
  /** undefined for an unknown name. */
  find(name: string): SchemaType | undefined;
  /**
   * Whether every write fills in the defaults of fields. Those of Kubernetes' kinds are rules of the kind, for most depend on more
   * than the field: what their types say is for readers of the schema.
   */
  readonly fillsDefaults: boolean;
}

/** A type, and where it is from. A `Kind` is one: the type of its objects. */
export interface TypeRef {
  readonly schema: TypeSource;
  readonly typeName: string;
}

/** Of a field's type: whether it is a container, and the type of what is in it (`map:[]T` holds `[]T`). */
export function containerOf(type: string): { readonly shape: 'one' | 'list' | 'map'; readonly item: string } {
  if (type.startsWith('[]')) return { shape: 'list', item: type.slice(2) };
  return type.startsWith('map:') ? { shape: 'map', item: type.slice(4) } : { shape: 'one', item: type };
}
