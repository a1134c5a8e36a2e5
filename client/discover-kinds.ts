import { at, objectsOf, stringOf, listOf } from '#api/wire/json.ts';
import type { KindRef } from '#api/schema/kind-ref.ts';
import type { KubeObject } from '#api/meta/object.ts';
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

/** Asks the classic discovery documents. @throws {E_API} when the server has no discovery at all. */
export async function discoverKinds(client: ApiClient): Promise<Discovery> {
  const groups = await getJson(client, '/apis');
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

async function getJson(client: ApiClient, path: string): Promise<unknown> {
  const { status, body } = await client.raw('GET', path);
  if (status !== 200) throw apiError(`GET ${path}`, {}, status);
  return JSON.parse(body);
}
