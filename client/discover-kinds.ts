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
  /** Every kind that the server has, in its preferred version, subresources left out. */
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
  const preferred = [core, groups].flatMap((document) => objectsOf(at(document, 'items'))).flatMap(firstOf);
  return {
    kinds: preferred.flatMap(({ isCurrent, kinds }) => (isCurrent ? kinds : [])),
    failed: preferred.flatMap(({ isCurrent, groupVersion }) => (isCurrent ? [] : [groupVersion])),
  };
}

function isAggregated(document: unknown): boolean {
  return at(document, 'kind') === 'APIGroupDiscoveryList';
}

/** The version of a group that it prefers. */
function firstOf(item: JsonObject): readonly {
  readonly groupVersion: string;
  readonly isCurrent: boolean;
  readonly kinds: readonly DiscoveredKind[];
}[] {
  const group = stringOf(at(item, 'metadata.name'));
  const [first] = objectsOf(item['versions']);
  if (first === undefined) return [];
  const version = stringOf(first['version']);
  const kinds = objectsOf(first['resources'])
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
  return [{ groupVersion, isCurrent: first['freshness'] !== 'Stale', kinds }];
}

async function discoverClassic(client: ApiClient, groups: unknown): Promise<Discovery> {
  const preferred = objectsOf(at(groups, 'groups')).map((group) =>
    stringOf(at(group, 'preferredVersion.groupVersion')),
  );
  const results = await Promise.all(
    ['v1', ...preferred].map(async (groupVersion) => ({
      groupVersion,
      kinds: await discoverKindsOf(client, groupVersion).catch(() => undefined),
    })),
  );
  return {
    kinds: results.flatMap(({ kinds }) => kinds ?? []),
    failed: results.filter(({ kinds }) => kinds === undefined).map(({ groupVersion }) => groupVersion),
  };
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
