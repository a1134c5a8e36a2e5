import type { NetworkFacts } from '#agent/network/facts/network-facts.ts';
import { endpointSlices, namespaces, networkPolicies, nodes, pods, services } from '#api/schema/kind-ref.ts';
import type { KubeObject } from '#api/meta/object.ts';
import type { KindRef } from '#api/schema/kind-ref.ts';
import { at, stringOf } from '#api/wire/json.ts';
import { describeError, PodwrightError } from '#base/errors.ts';
import { parseTierPolicy } from '#agent/network/policy/tiers/parse-tier-policy.ts';
import { tierKinds } from '#api/network/cluster-policies.ts';
import { inOrder, type TierPolicy } from '#agent/network/policy/tiers/tier-policy.ts';
import { isNotFound } from '#client/api-error.ts';
import type { ApiClient } from '#client/client.ts';
import { nameOf, type Observed, type Silence } from './observed.ts';

/** What the API has, without what nodes see. @throws {E_API, E_CONNECTION} */
export async function gatherObjects(client: ApiClient): Promise<Omit<Observed, 'facts'>> {
  const all = async <T extends KubeObject>(kind: KindRef<T>): Promise<readonly T[]> =>
    (await client.list(kind, {})).items;
  return {
    pods: await all(pods),
    services: await all(services),
    endpointSlices: await all(endpointSlices),
    nodes: await all(nodes),
    namespaces: await all(namespaces),
    networkPolicies: await all(networkPolicies),
    tiers: await gatherTiers(client),
  };
}

/** Policies of those kinds that are installed. */
async function gatherTiers(client: ApiClient): Promise<readonly TierPolicy[]> {
  const found: TierPolicy[] = [];
  for (const kind of tierKinds) {
    try {
      const { items } = await client.list(kind, {});
      found.push(...items.map((item) => parseTierPolicy(kind.kind, item)));
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }
  // One policy may be there in two versions.
  return inOrder([...new Map(found.map((one) => [`${one.kind}/${one.name}`, one])).values()]);
}

/** Nodes that are asked, and pods of each that it looks at. */
export const nodesMax = 16;
export const podsPerNodeMax = 16;

type Answer = readonly [name: string, facts: NetworkFacts | Silence];

/** Asks nodes by way of the API server, as kubectl does for logs: who may not, is told so by the node. */
export async function gatherFacts(
  client: ApiClient,
  wanted: ReadonlyMap<string, ReadonlySet<string>>,
): Promise<ReadonlyMap<string, NetworkFacts | Silence>> {
  const asked = [...wanted].slice(0, nodesMax).map(async ([name, uids]): Promise<Answer> => {
    const query = [...uids].slice(0, podsPerNodeMax).map((uid) => `pod=${encodeURIComponent(uid)}`);
    const path = `/api/v1/nodes/${encodeURIComponent(name)}/proxy/networkfacts?${query.join('&')}`;
    try {
      const { status, body } = await client.raw('GET', path);
      return [name, status === 200 ? parseFacts(body) : { problem: `${status}: ${messageIn(body)}` }];
    } catch (error) {
      return [name, { problem: describeError(error) }];
    }
  });
  return new Map(await Promise.all(asked));
}

/** @throws E_INVALID for what no agent of ours says */
export function parseFacts(body: string): NetworkFacts {
  const value: unknown = JSON.parse(body);
  const lists = ['links', 'routes', 'tunnels', 'tables', 'listeners', 'pods', 'clusterDns'];
  const isWhole =
    typeof at(value, 'node') === 'string' && lists.every((name) => Array.isArray(at(value, name)));
  if (!isWhole)
    throw new PodwrightError(
      'E_INVALID',
      'read what a node sees of its network: not of an agent of this release',
    );
  return value as NetworkFacts;
}

/** Of a Status, or the text itself. */
function messageIn(body: string): string {
  try {
    const message = stringOf(at(JSON.parse(body), 'message'));
    return message === '' ? body : message;
  } catch {
    return body.trim().slice(0, 200);
  }
}

/** The nodes that a trace passes, with the pods that it looks into: found by tracing without their facts. */
export function nodesOf(
  names: readonly (string | undefined)[],
  addresses: ReadonlySet<string>,
  { pods: all }: Pick<Observed, 'pods'>,
): ReadonlyMap<string, ReadonlySet<string>> {
  const found = new Map<string, Set<string>>();
  const add = (name: string | undefined): Set<string> | undefined => {
    if (name === undefined || name === '') return undefined;
    const uids = found.get(name) ?? new Set();
    found.set(name, uids);
    return uids;
  };
  names.forEach(add);
  for (const pod of all) {
    const isMeant =
      (pod.status?.podIPs ?? []).some(({ ip }) => addresses.has(ip ?? '')) || addresses.has(nameOf(pod));
    if (isMeant) add(pod.spec?.nodeName)?.add(pod.metadata?.uid ?? '');
  }
  return found;
}
