import { createHash } from 'node:crypto';
import { formatGroupVersion, storedKind, type Kind, type Subresource } from './kinds.ts';
import { rulesOf } from '#api/kinds/rules-of.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type { ServedVersion } from './served-version.ts';

/** The version of apidiscovery.k8s.io that a client asked for. */
export type DiscoveryVersion = 'v2' | 'v2beta1';

/** The content type of the aggregated documents. */
export function discoveryMediaType(version: DiscoveryVersion): string {
  return `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`;
}

/** The aggregated document of `/api` (scope core) or `/apis` (scope groups); send its text with `discoveryEtag`. */
export function aggregatedDiscovery(
  scope: 'core' | 'groups',
  version: DiscoveryVersion,
  served: readonly ServedVersion[],
): JsonObject {
  const groups = groupsOf(served).filter((group) => (group.name === '') === (scope === 'core'));
  return {
    kind: 'APIGroupDiscoveryList',
    apiVersion: `apidiscovery.k8s.io/${version}`,
    metadata: {},
    items: groups.map((group) => ({
      metadata: group.name === '' ? {} : { name: group.name },
      versions: group.versions.map(({ version: name, kinds }) => ({
        version: name,
        resources: kinds.map(aggregatedResource),
        freshness: 'Current',
      })),
    })),
  };
}

/** The ETag of an aggregated document: equal If-None-Match is answered 304. */
export function discoveryEtag(text: string): string {
  return `"${createHash('sha512').update(text).digest('hex').toUpperCase()}"`;
}

/** The classic answer of `/api`. */
export function apiVersions(serverAddress: string): JsonObject {
  return {
    kind: 'APIVersions',
    versions: ['v1'],
    serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress }],
  };
}

/** The classic answer of `/apis`. */
export function apiGroupList(served: readonly ServedVersion[]): JsonObject {
  return {
    kind: 'APIGroupList',
    apiVersion: 'v1',
    groups: groupsOf(served)
      .filter((group) => group.name !== '')
      .map(classicGroup),
  };
}

/** The classic answer of `/apis/GROUP`; undefined for an unknown group. */
export function apiGroup(name: string, served: readonly ServedVersion[]): JsonObject | undefined {
  const group = name === '' ? undefined : groupsOf(served).find((known) => known.name === name);
  return group && { kind: 'APIGroup', apiVersion: 'v1', ...classicGroup(group) };
}

/** The classic answer of `/api/v1` and `/apis/GROUP/VERSION`. */
export function apiResourceList(served: ServedVersion): JsonObject {
  return {
    kind: 'APIResourceList',
    ...(served.group === '' ? {} : { apiVersion: 'v1' }),
    groupVersion: formatGroupVersion(served),
    resources: served.kinds.flatMap((kind) => [
      classicResource(kind),
      ...kind.subresources.map((sub) => classicSubresource(kind, sub)),
    ]),
  };
}

/** base64(sha256("group/version/kind")[0:8]) of the version that is stored. */
export function storageVersionHash(kind: Kind): string {
  const { group, version: shown, kind: name } = storedKind(kind);
  const version = kind.custom?.storageVersion ?? shown;
  const digest = createHash('sha256').update(`${group}/${version}/${name}`).digest();
  return digest.subarray(0, 8).toString('base64');
}

interface Group {
  readonly name: string;
  /** In order of preference. */
  readonly versions: readonly ServedVersion[];
}

function groupsOf(served: readonly ServedVersion[]): readonly Group[] {
  return [...Map.groupBy(served, ({ group }) => group)].map(([name, versions]) => ({ name, versions }));
}

function aggregatedResource(kind: Kind): JsonObject {
  return {
    resource: kind.resource,
    responseKind: responseKindOf(kind, kind),
    scope: scopeOf(kind),
    singularResource: kind.singular,
    verbs: kind.verbs,
    ...(kind.shortNames.length === 0 ? {} : { shortNames: kind.shortNames }),
    ...(kind.categories.length === 0 ? {} : { categories: kind.categories }),
    ...(kind.subresources.length === 0
      ? {}
      : { subresources: kind.subresources.map((sub) => aggregatedSubresource(kind, sub)) }),
  };
}

function aggregatedSubresource(kind: Kind, sub: Subresource): JsonObject {
  return {
    subresource: sub.name,
    responseKind: responseKindOf(kind, sub),
    verbs: sub.verbs,
  };
}

/** Of what Kubernetes brings, its own group and version are left out. */
function responseKindOf(kind: Kind, response: Kind | Subresource): JsonObject {
  const isOwn = response.group === kind.group && response.version === kind.version;
  const { group, version, kind: name } = response;
  return isOwn && kind.custom === undefined
    ? { group: '', version: '', kind: name }
    : { group, version, kind: name };
}

function scopeOf(kind: Kind): 'Namespaced' | 'Cluster' {
  return kind.namespaced ? 'Namespaced' : 'Cluster';
}

function classicGroup(group: Group): JsonObject {
  const versions = group.versions.map(({ version }) => ({
    groupVersion: `${group.name}/${version}`,
    version,
  }));
  return { name: group.name, versions, preferredVersion: versions[0] };
}

function classicResource(kind: Kind): JsonObject {
  const isStored = kind.verbs.includes('list') && rulesOf(kind).isStored !== false;
  return {
    name: kind.resource,
    singularName: kind.singular,
    namespaced: kind.namespaced,
    kind: kind.kind,
    verbs: kind.verbs,
    ...(kind.shortNames.length === 0 ? {} : { shortNames: kind.shortNames }),
    ...(kind.categories.length === 0 ? {} : { categories: kind.categories }),
    ...(isStored ? { storageVersionHash: storageVersionHash(kind) } : {}),
  };
}

function classicSubresource(kind: Kind, sub: Subresource): JsonObject {
  const isOwn = sub.group === kind.group && sub.version === kind.version;
  return {
    name: `${kind.resource}/${sub.name}`,
    singularName: '',
    namespaced: kind.namespaced,
    ...(isOwn ? {} : { group: sub.group, version: sub.version }),
    kind: sub.kind,
    verbs: sub.verbs,
  };
}
