import type { LoadBalancerIngress, Service } from '#api/generated/objects.ts';
import { asksForLoadBalancer } from '#api/service/load-balancer.ts';
import type { AddressPool } from './address-pool.ts';

/** What becomes of a Service's load balancer. */
export type LoadBalancerPlan =
  /** As it should be, or somebody else's. */
  | { readonly kind: 'leave' }
  /** It has these, and of others none. */
  | { readonly kind: 'give'; readonly ingress: readonly LoadBalancerIngress[] }
  /** It gets none for now. */
  | { readonly kind: 'wait'; readonly message: string };

/** The addresses of the pools that a Service has. Pure. */
export function heldOf(service: Service | undefined, pools: readonly AddressPool[]): readonly string[] {
  const ips = (service?.status?.loadBalancer?.ingress ?? []).flatMap(({ ip }) => ip ?? []);
  return ips.flatMap((ip) => pools.flatMap((pool) => pool.own(ip) ?? []));
}

/** What is known of others that have an address, by their keys. */
export interface Others {
  readonly isOlder: (key: string) => boolean;
  /** Why the Service may not have an address together with it; undefined: it may. */
  readonly refuse: (key: string) => string | undefined;
}

/**
 * One address of each of the Service's families of which there is a pool. It keeps those that it has, unless an older Service has the
 * same and may not share it. `spec.loadBalancerIP` names one. Pure.
 */
export function planLoadBalancer(
  service: Service,
  pools: readonly AddressPool[],
  others: Others,
): LoadBalancerPlan {
  const ingress = service.status?.loadBalancer?.ingress ?? [];
  const held = heldOf(service, pools);
  // What has another type now has lost its addresses with that write.
  if (!asksForLoadBalancer(service)) return { kind: 'leave' };
  if (ingress.length > 0 && held.length === 0) {
    const has = ingress.map(({ ip, hostname }) => ip ?? hostname ?? '').join(', ');
    const why = 'not of --load-balancer-cidr: somebody else gave it, or it was another network then';
    return { kind: 'wait', message: `it keeps ${has}, ${why}` };
  }
  const key = keyOf(service);
  const given: string[] = [];
  for (const pool of poolsOf(service, pools)) {
    const isOthers = (other: string): boolean => others.isOlder(other) && others.refuse(other) !== undefined;
    const kept = held.find((ip) => pool.own(ip) !== undefined && !pool.othersOf(ip, key).some(isOthers));
    const chosen = choose(service, pool, { kept, refuse: others.refuse });
    if ('message' in chosen) return { kind: 'wait', message: chosen.message };
    given.push(chosen.ip);
  }
  if (given.length === 0) return { kind: 'wait', message: 'no --load-balancer-cidr of its families' };
  const isSame = given.length === ingress.length && given.every((ip, i) => ingress[i]?.ip === ip);
  return isSame ? { kind: 'leave' } : { kind: 'give', ingress: given.map((ip) => ({ ip, ipMode: 'VIP' })) };
}

export function keyOf({ metadata }: Service): string {
  return `${metadata?.namespace ?? ''}/${metadata?.name ?? ''}`;
}

/** In the order of the Service's families. */
function poolsOf({ spec }: Service, pools: readonly AddressPool[]): readonly AddressPool[] {
  return (spec?.ipFamilies ?? ['IPv4']).flatMap((name) =>
    pools.filter(({ family }) => name === `IPv${family}`),
  );
}

function choose(
  service: Service,
  pool: AddressPool,
  { kept, refuse }: { readonly kept: string | undefined } & Pick<Others, 'refuse'>,
): { readonly ip: string } | { readonly message: string } {
  const key = keyOf(service);
  const asked = service.spec?.loadBalancerIP;
  const own = asked === undefined || asked === '' ? undefined : pool.own(asked);
  if (asked !== undefined && asked !== '' && own === undefined && isOf(pool, asked))
    return { message: `spec.loadBalancerIP ${asked} is not in ${pool.cidr} (--load-balancer-cidr)` };
  if (own !== undefined) {
    const other =
      kept === own ? undefined : pool.othersOf(own, key).find((each) => refuse(each) !== undefined);
    return other === undefined
      ? { ip: own }
      : { message: `spec.loadBalancerIP ${own} is that of ${other}: ${refuse(other) ?? ''}` };
  }
  const ip =
    kept ?? pool.firstShared((holder) => holder !== key && refuse(holder) === undefined) ?? pool.firstFree();
  return ip === undefined
    ? { message: `all addresses of ${pool.cidr} are taken (--load-balancer-cidr)` }
    : { ip };
}

const isOf = ({ family }: AddressPool, address: string): boolean => address.includes(':') === (family === 6);
