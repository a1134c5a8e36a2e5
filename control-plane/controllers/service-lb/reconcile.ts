import { services } from '#api/schema/kind-ref.ts';
import type { Service } from '#api/generated/objects.ts';
import { refuseSharing } from '#api/service/load-balancer.ts';
import { isNotFound } from '#client/api-error.ts';
import { runController, source, type Controller } from '#client/controller.ts';
import type { ControllerContext } from '#control-plane/controllers/controller-context.ts';
import { AddressPool } from './address-pool.ts';
import { heldOf, planLoadBalancer } from './plan.ts';

/**
 * Gives Services of type LoadBalancer their addresses, out of networks of the cluster: what a cloud's controller does elsewhere, in its
 * name and with its events. An address is free again with the Service that had it.
 */
export function runServiceLoadBalancers(context: ControllerContext, cidrs: readonly string[]): Controller {
  const { informers, client, clock, logger } = context;
  const informer = informers.for(services);
  const recorder = context.recorder('service-controller');
  const pools = cidrs.map((cidr) => new AddressPool(cidr));
  /** Those that got none, and why: told once. */
  const waiting = new Map<string, string>();

  const tellDeleted = (object: Service): void =>
    recorder.record({ kind: services, object }, 'Normal', 'DeletedLoadBalancer', 'Deleted load balancer');
  return runController({
    name: 'service-lb-controller',
    clock,
    logger,
    concurrencyMax: 1, // Two at once would give the same address twice.
    sources: [
      source(informer, ({ key, old, current }) => {
        const isOneFree = noteHeld(pools, key, { old, current });
        if (current === undefined) waiting.delete(key);
        else if (isOneFree && current.spec?.type !== 'LoadBalancer') tellDeleted(current);
        // Who shares an address with it may not any more.
        const sharers = heldOf(current, pools).flatMap((ip) =>
          pools.flatMap((pool) => pool.othersOf(ip, key)),
        );
        return [key, ...sharers, ...(isOneFree ? waiting.keys() : [])];
      }),
    ],
    reconcile: async (key) => {
      const service = informer.get(key);
      if (service === undefined) return;
      const tell = (type: 'Normal' | 'Warning', reason: string, message: string): void =>
        recorder.record({ kind: services, object: service }, type, reason, message);
      const plan = planLoadBalancer(service, pools, {
        isOlder: isOlderThan(service, (other) => informer.get(other)),
        refuse: (other) => refuseBy(service, informer.get(other)),
      });
      if (plan.kind === 'wait') {
        if (waiting.get(key) !== plan.message)
          tell('Warning', 'SyncLoadBalancerFailed', `Error syncing load balancer: ${plan.message}`);
        waiting.set(key, plan.message);
        return;
      }
      waiting.delete(key);
      if (plan.kind === 'leave') return;
      tell('Normal', 'EnsuringLoadBalancer', 'Ensuring load balancer');
      const { namespace, name = '', uid, resourceVersion } = service.metadata ?? {};
      // The version guards what was decided: a Service of another type may have no addresses.
      const body = {
        metadata: { uid, resourceVersion },
        status: { loadBalancer: { ingress: plan.ingress } },
      };
      try {
        const written = await client.patch(
          services,
          { namespace, name },
          { kind: 'merge', body, subresource: 'status' },
        );
        informer.observe(written);
      } catch (error) {
        if (isNotFound(error)) return;
        throw error;
      }
      tell('Normal', 'EnsuredLoadBalancer', 'Ensured load balancer');
    },
  });
}

const refuseBy = (own: Service, other: Service | undefined): string | undefined =>
  other === undefined ? undefined : refuseSharing(own, other);

/** By age: of two with one address the older keeps it. */
function isOlderThan(own: Service, find: (key: string) => Service | undefined): (key: string) => boolean {
  const age = ({ metadata }: Service): string =>
    `${metadata?.creationTimestamp ?? ''} ${metadata?.uid ?? ''}`;
  return (key) => {
    const other = find(key);
    return other !== undefined && age(other) < age(own);
  };
}

/** Whether the Service has let an address go. */
function noteHeld(
  pools: readonly AddressPool[],
  key: string,
  { old, current }: { readonly old: Service | undefined; readonly current: Service | undefined },
): boolean {
  const [before, after] = [heldOf(old, pools), heldOf(current, pools)];
  for (const pool of pools) {
    for (const ip of before) if (pool.own(ip) !== undefined) pool.release(ip, key);
    for (const ip of after) if (pool.own(ip) !== undefined) pool.claim(ip, key);
  }
  return before.some((ip) => !after.includes(ip));
}
