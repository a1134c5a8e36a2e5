import {
  optionalResourceFacts,
  resourceFacts,
  type ResourceFact,
  type ResourceFacts,
} from '#api/facts/facts.ts';
import type { CustomForm } from '#api/custom/custom-form.ts';
import { viewOf } from '#api/kinds/views.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { builtInTypeName, builtInTypes } from './built-in-types.ts';
import type { GroupVersionKind, TypeRef } from './type-source.ts';

/** `deployments/scale` and its like: what it answers with and how it is called. */
export interface Subresource extends TypeRef {
  readonly name: string;
  /** Kind of the request and response; group and version may be another's (`autoscaling/v1` Scale). */
  readonly kind: string;
  readonly group: string;
  readonly version: string;
  readonly verbs: readonly string[];
  /** The type of the request and response; '' where these are no objects. */
  readonly typeName: string;
}

/** A kind as the API serves it, with the types of its objects. Built-in kinds come from the facts; a custom one is data of the same shape. */
export interface Kind extends TypeRef {
  readonly group: string; // '' is core
  readonly version: string;
  readonly kind: string;
  readonly resource: string; // plural
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly namespaced: boolean;
  readonly verbs: readonly string[];
  /** The type of its objects in `schema`; '' where nothing is known of them. */
  readonly typeName: string;
  readonly subresources: readonly Subresource[];
  /** Of a version that shows what is stored as another's: how. */
  readonly storedAs?: StoredForm;
  /** Of a kind that a client brought: what its definition says. */
  readonly custom?: CustomForm;
}

/** The kind as which objects are stored, and what they look like on the way; kind and apiVersion are the caller's to set. */
export interface StoredForm {
  readonly kind: Kind;
  readonly fromStored: (object: JsonObject) => JsonObject;
  readonly toStored: (object: JsonObject) => JsonObject;
}

/** A group ('' is core) and one of its versions. */
export interface GroupVersion {
  readonly group: string;
  readonly version: string;
}

/**
 * Every built-in kind, in discovery order. For who knows no others: agents, clients and tools. What a server has is in its catalogue
 * (api/schema/kind-catalogue.ts), which begins with these.
 */
export const kinds: readonly Kind[] = withStoredForms(kindsOf(resourceFacts()));

/** Kinds of Kubernetes that a server has only where it is told (`--runtime-config`). */
export const optionalKinds: readonly Kind[] = kindsOf(optionalResourceFacts());

/** The group versions of the built-in kinds, in discovery order (which is priority order). */
export const groupVersions: readonly GroupVersion[] = Object.keys(resourceFacts().groups).map(
  parseGroupVersion,
);

const byResource: ReadonlyMap<string, Kind> = new Map(
  [...kinds, ...optionalKinds].map((kind) => [`${kind.group}/${kind.version}/${kind.resource}`, kind]),
);
const byName: ReadonlyMap<string, Kind> = new Map(
  [...kinds, ...optionalKinds].map((kind) => [`${kind.group}/${kind.version}/${kind.kind}`, kind]),
);

/** A built-in kind, an optional one too, by group, version and plural name. */
export function findKind(group: string, version: string, resource: string): Kind | undefined {
  return byResource.get(`${group}/${version}/${resource}`);
}

/** A built-in kind, an optional one too, by `apps/v1` (or `v1`) and `Deployment`. */
export function findKindByName(apiVersion: string, kind: string): Kind | undefined {
  const { group, version } = parseGroupVersion(apiVersion);
  return byName.get(`${group}/${version}/${kind}`);
}

/** The subresource of that name, or undefined. */
export function findSubresource(kind: Kind, name: string): Subresource | undefined {
  return kind.subresources.find((sub) => sub.name === name);
}

/** The kind whose objects a subresource takes and gives (`Scale`, `Binding`, `Eviction`, `TokenRequest`), as data for decoding. */
export function kindOfSubresource(kind: Kind, sub: Subresource): Kind {
  if (sub.kind === kind.kind && sub.group === kind.group) return kind;
  const { group, version, schema, typeName, verbs } = sub;
  const { storedAs: _storedAs, custom: _custom, ...own } = kind; // A Scale is not what is stored of its workload.
  return { ...own, group, version, kind: sub.kind, schema, typeName, verbs, subresources: [] };
}

/** The kind as which objects of this kind are stored: itself, but for versions that are views of another. */
export function storedKind(kind: Kind): Kind {
  return kind.storedAs?.kind ?? kind;
}

/** `apps/v1`, `v1` or `/v1` in its parts. */
export function parseGroupVersion(apiVersion: string): GroupVersion {
  const slash = apiVersion.indexOf('/');
  return slash < 0
    ? { group: '', version: apiVersion }
    : { group: apiVersion.slice(0, slash), version: apiVersion.slice(slash + 1) };
}

/**
 * The API version that a body of an old one is read as: kubectl 1.20 evicts with policy/v1beta1, whose Eviction is that of v1
 * field by field. Others are as given.
 */
export function currentApiVersion(apiVersion: string, kind: string): string {
  return apiVersion === 'policy/v1beta1' && kind === 'Eviction' ? 'policy/v1' : apiVersion;
}

/** `apps/v1`, or `v1` for core. */
export function formatGroupVersion({ group, version }: GroupVersion): string {
  return group === '' ? version : `${group}/${version}`;
}

function kindsOf({ groups }: ResourceFacts): readonly Kind[] {
  return Object.entries(groups).flatMap(([groupVersion, resources]) =>
    kindsOfGroup(parseGroupVersion(groupVersion), resources),
  );
}

function kindsOfGroup(gv: GroupVersion, resources: Readonly<Record<string, ResourceFact>>): Kind[] {
  const entries = Object.entries(resources);
  return entries
    .filter(([path]) => !path.includes('/'))
    .map(([resource, fact]) => ({
      ...gv,
      kind: fact.kind,
      resource,
      singular: fact.singular ?? fact.kind.toLowerCase(),
      shortNames: fact.short ?? [],
      categories: fact.cat ?? [],
      namespaced: fact.ns,
      verbs: fact.verbs,
      ...typeOf({ ...gv, kind: fact.kind }),
      subresources: entries
        .filter(([path]) => path.startsWith(`${resource}/`))
        .map(([path, sub]) => {
          const named = { ...(sub.gv === undefined ? gv : parseGroupVersion(sub.gv)), kind: sub.kind };
          return { name: path.slice(resource.length + 1), ...named, ...typeOf(named), verbs: sub.verbs };
        }),
    }));
}

function withStoredForms(plain: readonly Kind[]): readonly Kind[] {
  return plain.map((kind) => {
    const view = viewOf(kind);
    if (view === undefined) return kind;
    const { stored, fromStored, toStored } = view;
    const found = plain.find(
      ({ group, version, kind: name }) =>
        group === stored.group && version === stored.version && name === stored.kind,
    );
    return found === undefined ? kind : { ...kind, storedAs: { kind: found, fromStored, toStored } };
  });
}

function typeOf(named: GroupVersionKind): TypeRef {
  return { schema: builtInTypes, typeName: builtInTypeName(named) ?? '' };
}
