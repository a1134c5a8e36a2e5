import type { JsonObject } from '#api/meta/object.ts';
import { compareVersions } from '#api/schema/version-order.ts';
import { ownPriorities, type Priorities } from '#control-plane/apiserver/api-services.ts';
import { at, listOf, objectsOf, stringOf } from '#api/wire/json.ts';

/** A group version of another server, and what it has: undefined while nobody could ask. */
export interface RemoteVersion extends Priorities {
  readonly group: string;
  readonly version: string;
  /** The `resources` of its APIResourceList. */
  readonly resources: readonly JsonObject[] | undefined;
  /** Whether they are those of now. */
  readonly isCurrent: boolean;
}

/** A group version of a document, with the place that it is to have. */
interface Ranked extends Priorities {
  readonly version: string;
  readonly shown: JsonObject;
}

/** Groups by their highest priority, then by the alphabet; versions of each by theirs, then the newest first, whoever answers them. */
function ranked(
  own: readonly JsonObject[],
  remotes: readonly RemoteVersion[],
  { nameOf, show }: DocumentForm,
): readonly (readonly [group: string, versions: readonly Ranked[]])[] {
  const groups = new Map<string, Ranked[]>();
  for (const item of own) {
    const group = nameOf(item);
    const versions = objectsOf(item['versions']).map((shown) => {
      const version = stringOf(shown['version']);
      return { ...ownPriorities({ group, version }), version, shown };
    });
    groups.set(group, versions);
  }
  for (const remote of remotes) {
    const { group, version, groupPriority, versionPriority } = remote;
    const one = { version, groupPriority, versionPriority, shown: show(remote) };
    groups.set(group, [...(groups.get(group) ?? []), one]);
  }
  const priority = (versions: readonly Ranked[]): number =>
    Math.max(...versions.map(({ groupPriority }) => groupPriority));
  return [...groups]
    .toSorted(([a, left], [b, right]) => priority(right) - priority(left) || (a < b ? -1 : 1))
    .map(([group, versions]) => [
      group,
      versions.toSorted(
        (a, b) => b.versionPriority - a.versionPriority || compareVersions(a.version, b.version),
      ),
    ]);
}

/** How a document shows groups, and versions of other servers. */
interface DocumentForm {
  readonly nameOf: (item: JsonObject) => string;
  readonly show: (remote: RemoteVersion) => JsonObject;
}

const classic: DocumentForm = {
  nameOf: (group) => stringOf(group['name']),
  show: ({ group, version }) => ({ groupVersion: `${group}/${version}`, version }),
};

const aggregated: DocumentForm = {
  nameOf: (item) => stringOf(at(item, 'metadata.name')),
  show: aggregatedVersion,
};

/** The groups of a classic APIGroupList with those of other servers: a group of both has the versions of both. */
export function mergeGroups(
  own: readonly JsonObject[],
  remotes: readonly RemoteVersion[],
): readonly JsonObject[] {
  return ranked(own, remotes, classic).map(([name, ofGroup]) => {
    const versions = ofGroup.map(({ shown }) => shown);
    return { name, versions, preferredVersion: versions[0] };
  });
}

/** The items of an aggregated document with those of other servers. */
export function mergeItems(
  own: readonly JsonObject[],
  remotes: readonly RemoteVersion[],
): readonly JsonObject[] {
  return ranked(own, remotes, aggregated).map(([name, versions]) => ({
    metadata: { name },
    versions: versions.map(({ shown }) => shown),
  }));
}

function aggregatedVersion({ group, version, resources, isCurrent }: RemoteVersion): JsonObject {
  return {
    version,
    ...(resources === undefined ? {} : { resources: aggregatedResources({ group, version }, resources) }),
    freshness: isCurrent ? 'Current' : 'Stale',
  };
}

/** Resources with their subresources, as the aggregated document has them. */
function aggregatedResources(
  own: { readonly group: string; readonly version: string },
  resources: readonly JsonObject[],
): readonly JsonObject[] {
  const nameOf = (resource: JsonObject): string => stringOf(resource['name']);
  return resources
    .filter((resource) => !nameOf(resource).includes('/'))
    .map((resource) => {
      const name = nameOf(resource);
      const subresources = resources
        .filter((each) => nameOf(each).startsWith(`${name}/`))
        .map((each) => ({
          subresource: nameOf(each).slice(name.length + 1),
          responseKind: responseKind(own, each),
          verbs: listOf(each['verbs']),
        }));
      return {
        resource: name,
        responseKind: responseKind(own, resource),
        scope: resource['namespaced'] === true ? 'Namespaced' : 'Cluster',
        singularResource: stringOf(resource['singularName']),
        verbs: listOf(resource['verbs']),
        ...(listOf(resource['shortNames']).length === 0 ? {} : { shortNames: resource['shortNames'] }),
        ...(listOf(resource['categories']).length === 0 ? {} : { categories: resource['categories'] }),
        ...(subresources.length === 0 ? {} : { subresources }),
      };
    });
}

function responseKind(
  own: { readonly group: string; readonly version: string },
  resource: JsonObject,
): JsonObject {
  return {
    group: stringOf(resource['group']) || own.group,
    version: stringOf(resource['version']) || own.version,
    kind: stringOf(resource['kind']),
  };
}
