import { readFileSync } from 'node:fs';
import type { MergeRule } from '#api/schema/type-source.ts';

/** A field of a type: its type expression, or that with `e` the enum's key and `d` the OpenAPI default. */
export type FieldFact = string | readonly [string, { readonly e?: string; readonly d?: unknown }];

/** A type of the schema: `f` fields, `r` required fields, `mt` map type, `u` unions, `alias` for what is no struct. */
export interface TypeFact {
  readonly f?: Readonly<Record<string, FieldFact>>;
  readonly r?: readonly string[];
  readonly mt?: string;
  readonly alias?: string;
}

/** schema-1.36.json: types, their fields, enums. */
export interface SchemaFacts {
  readonly enums: Readonly<Record<string, readonly string[]>>;
  readonly types: Readonly<Record<string, TypeFact>>;
  /** `group/version/Kind` to type name. */
  readonly kinds: Readonly<Record<string, string>>;
}

/** merge-1.36.json: type, field, how it merges. */
export interface MergeFacts {
  readonly types: Readonly<Record<string, Readonly<Record<string, MergeRule>>>>;
}

/** Field number, type expression, flag (see the legend in the file). */
export type ProtoField = readonly [number, string, (1 | 2)?];

/** proto-1.36.json: messages by name, and where their JSON differs. */
export interface ProtoFacts {
  readonly messages: Readonly<Record<string, Readonly<Record<string, ProtoField>>>>;
  readonly json: Readonly<
    Record<
      string,
      { readonly rename?: Readonly<Record<string, string>>; readonly inline?: readonly string[] }
    >
  >;
}

/** A resource or subresource as discovery shows it. */
export interface ResourceFact {
  readonly kind: string;
  readonly ns: boolean;
  readonly verbs: readonly string[];
  readonly short?: readonly string[];
  readonly cat?: readonly string[];
  readonly gv?: string;
  readonly singular?: string;
}

/** resources-1.36.json: group versions in discovery order. */
export interface ResourceFacts {
  readonly groups: Readonly<Record<string, Readonly<Record<string, ResourceFact>>>>;
}

/** Column name, type, priority, format. */
export type ColumnFact = readonly [string, string, number, string?];

/** columns.json: the columns of each resource’s Table. */
export interface ColumnFacts {
  readonly columns: Readonly<Record<string, readonly ColumnFact[]>>;
}

/** Reads a fact file on first use: a program that needs no protobuf never parses its facts. */
function lazy<T>(file: string): () => T {
  return once(() => JSON.parse(readFileSync(new URL(file, import.meta.url), 'utf8')) as T);
}

function once<T>(make: () => T): () => T {
  let value: T | undefined;
  return () => (value ??= make());
}

/** optional-1.36.json: what a server has of group versions that are off unless it is told (`--runtime-config`). */
interface OptionalFacts extends SchemaFacts, Pick<ProtoFacts, 'messages'>, ResourceFacts, ColumnFacts {
  readonly merge: MergeFacts['types'];
}

const optionalFacts: () => OptionalFacts = lazy('optional-1.36.json');
const schema: () => SchemaFacts = lazy('schema-1.36.json');
const merge: () => MergeFacts = lazy('merge-1.36.json');
const columns: () => ColumnFacts = lazy('columns.json');
const proto: () => ProtoFacts = lazy('proto-1.36.json');

/** The types of the API, those of optional group versions with them. */
export const schemaFacts: () => SchemaFacts = once(() => {
  const [own, more] = [schema(), optionalFacts()];
  return {
    enums: { ...own.enums, ...more.enums },
    types: { ...own.types, ...more.types },
    kinds: { ...own.kinds, ...more.kinds },
  };
});
/** How lists and maps merge. */
export const mergeFacts: () => MergeFacts = once(() => ({
  types: { ...merge().types, ...optionalFacts().merge },
}));
/** The protobuf encoding. */
export const protoFacts: () => ProtoFacts = once(() => ({
  ...proto(),
  messages: { ...proto().messages, ...optionalFacts().messages },
}));
/** The resources served. */
export const resourceFacts: () => ResourceFacts = lazy('resources-1.36.json');
/** Those of group versions that are served only where a server is told. */
export const optionalResourceFacts: () => ResourceFacts = optionalFacts;
/** The columns of Tables. */
export const columnFacts: () => ColumnFacts = once(() => ({
  ...columns(),
  columns: { ...columns().columns, ...optionalFacts().columns },
}));
