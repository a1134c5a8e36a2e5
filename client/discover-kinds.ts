import { at, objectsOf, stringOf, listOf } from '#api/wire/json.ts';
import type { KindRef } from '#api/schema/kind-ref.ts';
import type { JsonObject, KubeObject } from '#api/meta/object.ts';
import { apiError } from './api-error.ts';
import type { ApiClient } from './client.ts';

/** A kind that a server has, and what can be done with it. */
export interface DiscoveredKind extends KindRef<KubeObject> {
  readonly verbs: readonly string[];
}

export interface Discovery {
  /** Every kind that the server has, in the version of its group that is preferred among those that have it; subresources left out. */
  readonly kinds: readonly DiscoveredKind[];
  /** Group versions that did not answer: an aggregated server that is down. */
  readonly failed: readonly string[];
}

/** What a server since 1.26 answers `/api` and `/apis` with, and others do not know (KEP-3352). */
const aggregated = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json';

/** Asks the two aggregated documents, or a server that has none, the classic ones. @throws {E_API} when it has no discovery at all */
export async function discoverKinds(client: ApiClient): Promise<Discovery> {
  const groups = await getJson(client, '/apis', aggregated);
  if (!isAggregated(groups)) return discoverClassic(client, groups);
  const core = await getJson(client, '/api', aggregated);
  if (!isAggregated(core)) return discoverClassic(client, await getJson(client, '/apis'));
  return discoveryOf(
    [core, groups].flatMap((document) => objectsOf(at(document, 'items'))).map((item) => versionsIn(item)),
  );
}

interface DiscoveredVersion {
  readonly groupVersion: string;
  /** undefined: it did not answer. */
  readonly kinds: readonly DiscoveredKind[] | undefined;
}

/** Of each group its versions, the preferred first: some kinds are in others alone. */
function discoveryOf(groups: readonly (readonly DiscoveredVersion[])[]): Discovery {
  const found = new Map<string, DiscoveredKind>();
  for (const kind of groups.flat().flatMap(({ kinds }) => kinds ?? [])) {
    const name = `${kind.group}/${kind.resource}`;
    if (!found.has(name)) found.set(name, kind);
  }
  const failed = groups.flat().filter(({ kinds }) => kinds === undefined);
  return { kinds: [...found.values()], failed: failed.map(({ groupVersion }) => groupVersion) };
}

function isAggregated(document: unknown): boolean {
  return at(document, 'kind') === 'APIGroupDiscoveryList';
}

function versionsIn(item: JsonObject): readonly DiscoveredVersion[] {
  const group = stringOf(at(item, 'metadata.name'));
  return objectsOf(item['versions']).map((served) => {
    const version = stringOf(served['version']);
    const kinds = objectsOf(served['resources'])
      // One that is only known by what is below it has no kind of its own.
      .filter((resource) => resource['responseKind'] !== undefined)
      .map((resource) => ({
        group,
        version,
        kind: stringOf(at(resource, 'responseKind.kind')),
        resource: stringOf(resource['resource']),
        namespaced: resource['scope'] === 'Namespaced',
        verbs: listOf(resource['verbs']).map(stringOf),
      }));
    const groupVersion = group === '' ? version : `${group}/${version}`;
    return { groupVersion, kinds: served['freshness'] === 'Stale' ? undefined : kinds };
  });
}

async function discoverClassic(client: ApiClient, groups: unknown): Promise<Discovery> {
  const versions = objectsOf(at(groups, 'groups')).map((group) => {
    const preferred = stringOf(at(group, 'preferredVersion.groupVersion'));
    const all = objectsOf(group['versions']).map(({ groupVersion }) => stringOf(groupVersion));
    return [preferred, ...all.filter((one) => one !== preferred)];
  });
  const found = [['v1'], ...versions].map((all) =>
    Promise.all(
      all.map(async (groupVersion) => ({
        groupVersion,
        kinds: await discoverKindsOf(client, groupVersion).catch(() => undefined),
      })),
    ),
  );
  return discoveryOf(await Promise.all(found));
}

/** The kind of a resource by its plural, in the version that the server prefers, or another that has it; undefined: none has. */
export async function discoverResource(
  client: ApiClient,
  { group, resource }: Pick<DiscoveredKind, 'group' | 'resource'>,
): Promise<DiscoveredKind | undefined> {
  for (const groupVersion of group === '' ? ['v1'] : await versionsOf(client, group)) {
    const kinds = await discoverKindsOf(client, groupVersion);
    const found = kinds.find((kind) => kind.resource === resource);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Group versions, the preferred one first; none where the group is not served. */
async function versionsOf(client: ApiClient, group: string): Promise<readonly string[]> {
  const { status, body } = await client.raw('GET', `/apis/${group}`);
  if (status === 404) return [];
  if (status !== 200) throw apiError(`GET /apis/${group}`, {}, status);
  const document: unknown = JSON.parse(body);
  const preferred = stringOf(at(document, 'preferredVersion.groupVersion'));
  const all = objectsOf(at(document, 'versions')).map(({ groupVersion }) => stringOf(groupVersion));
  return [...new Set([preferred, ...all])].filter((one) => one !== '');
}

/** The kinds of one group version. @throws {E_API} NotFound where it is not served */
export async function discoverKindsOf(
  client: ApiClient,
  groupVersion: string,
): Promise<readonly DiscoveredKind[]> {
  const slash = groupVersion.indexOf('/');
  const group = slash < 0 ? '' : groupVersion.slice(0, slash);
  const version = groupVersion.slice(slash + 1);
  const path = group === '' ? `/api/${version}` : `/apis/${groupVersion}`;
  return objectsOf(at(await getJson(client, path), 'resources'))
    .filter(({ name }) => !stringOf(name).includes('/'))
    .map(({ name, kind, namespaced, verbs }) => ({
      group,
      version,
      kind: stringOf(kind),
      resource: stringOf(name),
      namespaced: namespaced === true,
      verbs: listOf(verbs).map(stringOf),
    }));
}

async function getJson(client: ApiClient, path: string, accept?: string): Promise<unknown> {
  const { status, body } = await client.raw('GET', path, undefined, accept);
  if (status !== 200) throw apiError(`GET ${path}`, {}, status);
  return JSON.parse(body);
}
