import { resourceFacts, schemaFacts, type ResourceFact, type TypeFact } from './facts.ts';

/** `deployments/scale` and its like: what it answers with and how it is called. */
export interface Subresource {
  readonly name: string;
  /** Kind of the request and response; group and version may be another's (`autoscaling/v1` Scale). */
  readonly kind: string;
  readonly group: string;
  readonly version: string;
  readonly verbs: readonly string[];
}

/** A kind as the API serves it. Built-in kinds come from the facts; a custom one is data of the same shape. */
export interface Kind {
  readonly group: string; // '' is core
  readonly version: string;
  readonly kind: string;
  readonly resource: string; // plural
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly namespaced: boolean;
  readonly verbs: readonly string[];
  /** The schema type of its objects: see `schemaType`. */
  readonly typeName: string;
  readonly subresources: readonly Subresource[];
}

/** A group ('' is core) and one of its versions. */
export interface GroupVersion {
  readonly group: string;
  readonly version: string;
}

/** Every built-in kind, in discovery order. */
export const kinds: readonly Kind[] = Object.entries(resourceFacts().groups).flatMap(
  ([groupVersion, resources]) => kindsOfGroup(parseGroupVersion(groupVersion), resources),
);

/** The group versions served, in discovery order (which is priority order). */
export const groupVersions: readonly GroupVersion[] = Object.keys(resourceFacts().groups).map(
  parseGroupVersion,
);

const byResource: ReadonlyMap<string, Kind> = new Map(
  kinds.map((kind) => [`${kind.group}/${kind.version}/${kind.resource}`, kind]),
);
const byName: ReadonlyMap<string, Kind> = new Map(
  kinds.map((kind) => [`${kind.group}/${kind.version}/${kind.kind}`, kind]),
);

/** By group, version and plural name. */
export function findKind(group: string, version: string, resource: string): Kind | undefined {
  return byResource.get(`${group}/${version}/${resource}`);
}

/** By `apps/v1` (or `v1`) and `Deployment`. */
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
  const typeName = schemaFacts().kinds[`${sub.group}/${sub.version}/${sub.kind}`] ?? '';
  const { group, version } = sub;
  return { ...kind, group, version, kind: sub.kind, typeName, verbs: sub.verbs, subresources: [] };
}

/** The facts of a schema type (`core.v1.PodSpec`); undefined for an unknown name. */
export function schemaType(name: string): TypeFact | undefined {
  return Object.hasOwn(schemaFacts().types, name) ? schemaFacts().types[name] : undefined;
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
      typeName: schemaFacts().kinds[`${gv.group}/${gv.version}/${fact.kind}`] ?? '',
      subresources: entries
        .filter(([path]) => path.startsWith(`${resource}/`))
        .map(([path, sub]) => ({
          name: path.slice(resource.length + 1),
          kind: sub.kind,
          ...(sub.gv === undefined ? gv : parseGroupVersion(sub.gv)),
          verbs: sub.verbs,
        })),
    }));
}
