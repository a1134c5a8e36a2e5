import type { KeyOutcome } from '#base/keyed-queue.ts';
import type { Lease } from '#api/generated/objects.ts';
import type { KubeObject } from '#api/meta/object.ts';
import { decodeStandings, standingsAnnotation, type PolicyStanding } from '#api/network/policy-standing.ts';
import { leases, nodes, type KindRef } from '#api/schema/kind-ref.ts';
import { at, equalJson, objectOf } from '#api/wire/json.ts';
import { isNotFound } from '#client/api-error.ts';
import { runController, source, type Controller } from '#client/controller.ts';
import type { ControllerContext } from '#control-plane/controllers/controller-context.ts';
import { planConditions } from './plan.ts';

const leaseNamespace = 'kube-node-lease';
/** Between two looks at a policy, as nodes say one after the other that they have it. */
const paceMs = 1_000;

interface Known {
  readonly kind: KindRef<KubeObject>;
  readonly name: string;
  lookedAtMs: number;
}

/**
 * Says in the status of policies of the cluster on how many nodes they are in force, and what of them is not understood, by what agents
 * say in their Leases. Policies are read when that changes: neither their kinds nor they are followed.
 */
export function runPolicyStanding(context: ControllerContext): Controller {
  const { informers, client, clock, logger } = context;
  const nodeInformer = informers.for(nodes);
  const leaseInformer = informers.for(leases, { namespace: leaseNamespace });
  const said = new Map<string, ReadonlyMap<string, PolicyStanding>>();
  const known = new Map<string, Known>();

  const take = (node: string, lease: Lease | undefined): readonly string[] => {
    const [before, now] = [said.get(node), decodeStandings(textOf(lease))];
    if (now.size === 0) said.delete(node);
    else said.set(node, now);
    for (const [key, { kind, name }] of now)
      known.set(key, { kind, name, lookedAtMs: known.get(key)?.lookedAtMs ?? -paceMs });
    return [...new Set([...(before?.keys() ?? []), ...now.keys()])].filter(
      (key) => !equalJson(before?.get(key), now.get(key)),
    );
  };
  const reconcile = async (key: string): Promise<KeyOutcome | void> => {
    const one = known.get(key);
    if (one === undefined) return;
    const waitMs = one.lookedAtMs + paceMs - clock.monotonic();
    if (waitMs > 0) return { kind: 'again', afterMs: waitMs };
    one.lookedAtMs = clock.monotonic();
    try {
      const policy = await client.get(one.kind, { name: one.name });
      const ofNodes = [...said].flatMap(([node, all]): [string, PolicyStanding][] => {
        const standing = all.get(key);
        return standing === undefined ? [] : [[node, standing]];
      });
      const conditions = planConditions({
        ...{ policy, said: new Map(ofNodes), now: clock.now() },
        nodes: nodeInformer.list().flatMap(({ metadata }) => metadata?.name ?? []),
      });
      const status = objectOf(at(policy, 'status'));
      if (equalJson(conditions, status['conditions'])) return;
      const next = { ...policy, status: { ...status, conditions } };
      await client.update(one.kind, next, { subresource: 'status' });
    } catch (error) {
      // It is gone, or its kind, or that has no status.
      if (!isNotFound(error)) throw error;
      if (![...said.values()].some((all) => all.has(key))) known.delete(key);
    }
  };
  return runController({
    ...{ name: 'cluster-policy-status-controller', clock, logger, reconcile },
    sources: [
      source(nodeInformer, ({ old, current }) =>
        old === undefined || current === undefined ? known.keys() : [],
      ),
      source(leaseInformer, ({ key, old, current }) => {
        const isSame = old !== undefined && current !== undefined && textOf(old) === textOf(current);
        return isSame ? [] : take(key.slice(leaseNamespace.length + 1), current);
      }),
    ],
  });
}

const textOf = (lease: Lease | undefined): string | undefined =>
  lease?.metadata?.annotations?.[standingsAnnotation];
