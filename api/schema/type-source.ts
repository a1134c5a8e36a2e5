import type { JsonObject } from '#api/meta/object.ts';

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
   * (`json`, `any`, `raw`, `object`, `fieldsv1`), a type of the same source by its name, or `[]T` and `map:T` of these. Applied, `json` is
   * a whole; of the others maps merge member by member (`any`: what preserves unknown fields and says no type), lists are wholes.
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
  /**
   * Of a union of shapes: the struct that its objects are, alone or in a list. What the struct does not know goes without mention, for
   * Go reads unions by functions of their own.
   */
  readonly objectsAre?: string;
  /** Fields that OpenAPI calls required. */
  readonly required: readonly string[];
  /** How values of the type merge wherever they are. */
  readonly merge?: MergeRule | undefined;
  /** The kinds whose objects are of the type. */
  readonly kinds: readonly GroupVersionKind[];
  /** What documents of OpenAPI say of it, where that is more than its fields tell; with the names of the types that it refers to. */
  readonly document?: {
    readonly render: (dialect: 'v2' | 'v3') => JsonObject;
    readonly refersTo: readonly string[];
  };
  /** Fields that it does not name may be there, of any shape (`x-kubernetes-preserve-unknown-fields`). */
  readonly isOpen?: true;
}

/** What people are told of a type, under '', and of its fields, by their names. */
export type TypeTexts = Readonly<Record<string, string>>;

/**
 * Where the types of a kind are asked for: decoding, defaults, validation by schema, patches and OpenAPI know no other place. Types are
 * values: a source gives the same answer to the same name for ever, for plans are made of them and kept as long as the source. A kind
 * whose schema changes gets another source.
 */
export interface TypeSource {
  /** undefined for an unknown name. */
  find(name: string): SchemaType | undefined;
  /**
   * Asked for documents alone, and apart from `find`, whose answers are kept: texts are many times as long as what programs go by. The
   * scalars `quantity`, `intstr`, `time`, `microtime`, `raw` and `fieldsv1` may have some, too. Without it: nothing is said of any type.
   */
  readonly textsOf?: (name: string) => TypeTexts | undefined;
  /**
   * Whether every write fills in the defaults of fields. Those of Kubernetes' kinds are rules of the kind, for most depend on more
   * than the field: what their types say is for readers of the schema.
   */
  readonly fillsDefaults: boolean;
  /**
   * Reads a value of a type as a whole, where fields do not say all that there is to it; undefined: by its fields. Of custom kinds, in
   * whose objects a value of the wrong type is no error of reading.
   */
  readonly decode?: (name: string, input: unknown, literals?: NumberLiterals) => DecodedObject | undefined;
  /** Fills in the defaults of an object of a type as a whole; undefined: by its fields. */
  readonly fillDefaults?: (name: string, object: JsonObject) => JsonObject | undefined;
}

/** Whole numbers that were written as fractions or with an exponent, by their paths: Go takes them for no integers. */
export type NumberLiterals = ReadonlyMap<string, string>;

/** What came of a JSON value. */
export interface DecodedObject {
  /** Normalised, with only known fields; shares nothing with the input. kind and apiVersion stay as they came. */
  readonly object: JsonObject;
  /** Paths of the fields that were dropped: `spec.containers[0].bogus`. At most `unknownFieldCountMax`. */
  readonly unknownFields: readonly string[];
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
