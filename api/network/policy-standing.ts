import type { KubeObject } from '#api/meta/object.ts';
import type { KindRef } from '#api/schema/kind-ref.ts';
import { isObject, listOf, numberOf, stringOf } from '#api/wire/json.ts';
import { tierKinds } from './cluster-policies.ts';

/**
 * What agents tell the control plane of policies of the cluster: an annotation of the node's Lease, which is written anyway and which
 * few read. A condition that each node wrote would be as many writes of the policy as there are nodes, each told to all of them.
 */
export const standingsAnnotation = 'podwright.io/cluster-policies';

/** A policy that is in force on a node. */
export interface PolicyStanding {
  readonly kind: KindRef<KubeObject>;
  readonly name: string;
  readonly uid: string;
  readonly generation: number;
  /** What of it is not as it says, and what is so instead. */
  readonly problem?: string | undefined;
}

/** Of one node. */
export const standingsMax = 200;
/** Of one policy. */
export const problemLengthMax = 500;
const textLengthMax = 200_000;

/** `ClusterNetworkPolicy/deny`, whichever the version. */
export const standingKey = ({ kind, name }: Pick<PolicyStanding, 'kind' | 'name'>): string =>
  `${kind.kind}/${name}`;

/** The annotation's text, undefined if there is nothing to say: `{"ClusterNetworkPolicy/deny": ["v1beta1", "uid", 3, "problem"]}`. */
export function encodeStandings(standings: readonly PolicyStanding[]): string | undefined {
  const entries = standings
    .map((one): [string, unknown[]] => [
      standingKey(one),
      [
        ...[one.kind.version, one.uid, one.generation],
        ...(one.problem === undefined ? [] : [shorten(one.problem)]),
      ],
    ])
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .slice(0, standingsMax);
  return entries.length === 0 ? undefined : JSON.stringify(Object.fromEntries(entries));
}

const shorten = (text: string): string =>
  text.length <= problemLengthMax ? text : `${text.slice(0, problemLengthMax - 2)} …`;

/** Of an annotation that a node wrote, which may hold anything: what is none is left out. */
export function decodeStandings(text: string | undefined): ReadonlyMap<string, PolicyStanding> {
  const found = new Map<string, PolicyStanding>();
  for (const [key, value] of Object.entries(objectIn(text)).slice(0, standingsMax)) {
    const [version, uid, generation, problem] = listOf(value);
    const [word, name = ''] = key.split('/', 2);
    const kind = tierKinds.find((one) => one.kind === word && one.version === version);
    if (kind === undefined || !/^[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?$/.test(name)) continue;
    const own = { kind, name, uid: stringOf(uid), generation: numberOf(generation) };
    const more = typeof problem === 'string' ? { problem: shorten(problem) } : {};
    found.set(standingKey(own), { ...own, ...more });
  }
  return found;
}

function objectIn(text: string | undefined): object {
  if (text === undefined || text.length > textLengthMax) return {};
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : {};
  } catch (error) {
    if (error instanceof SyntaxError) return {};
    throw error;
  }
}
