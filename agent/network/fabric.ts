import { KeyedQueue } from '#base/keyed-queue.ts';
import { errnoOf, isPodwrightError } from '#base/errors.ts';
import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import type { Node } from '#api/generated/objects.ts';
import { parseCidr } from '#base/ip.ts';
import type { Informer } from '#client/client.ts';
import { ownNetns, type Netlink, type NetOp } from '#native/netlink/netlink.ts';
import type { Nft, NftTable } from '#native/nft/nft.ts';
import { renderTable } from '#native/nft/render.ts';
import {
  computeRoutes,
  concernsFabric,
  masqueradeTable,
  planRoutes,
  podCidrsOf,
  podwrightRouteProtocol,
  renderMasquerade,
  type FabricRoute,
} from './fabric-plan.ts';
import { watchTable } from './watch-table.ts';

export interface FabricOptions {
  readonly nodeName: string;
  readonly nodes: Informer<Node>;
  readonly netlink: Netlink;
  readonly nft: Nft;
  readonly clock: Clock;
  readonly log: Logger;
  readonly clusterCidr: string;
  /** Service addresses: they get a route, so that the node's own processes can send to them at all. */
  readonly serviceCidr: string;
  readonly nodeIp: string;
  /** The network of the nodes' link, e.g. `10.89.0.0/24`. */
  readonly linkCidr?: string;
  /** Whether pods leave the cluster with the node's address, rather than with their own. */
  readonly hasEgress: boolean;
}

type Key = 'routes' | 'masquerade';

/** How long link and address events are gathered before the routes are read. */
const linkSettleMs = 200;

/**
 * Keeps the node's part of the fabric: forwarding, host-gw routes that follow Node objects and come back when somebody
 * removes them, and which pod packets leave with the node's address. Resolves when it is set up once.
 */
export async function startFabric(options: FabricOptions): Promise<AsyncDisposable> {
  const { nodes, netlink, nft, clock, log } = options;
  await using stack = new AsyncDisposableStack();

  await netlink.apply(ownNetns, planForwarding(options));
  await nodes.synced;
  const wanted = createWanted(options);
  let committed: NftTable | undefined;
  const work: Record<Key, () => Promise<void>> = {
    routes: () => applyRoutes(options, wanted.routes()),
    masquerade: async () => {
      const table = wanted.masquerade();
      if (table === undefined || table === committed) return;
      await nft.commit(ownNetns, [{ op: 'replaceTable', table }]);
      committed = table;
    },
  };
  const queue = stack.use(
    new KeyedQueue<Key>({
      clock,
      concurrencyMax: 2,
      backoff: { initialMs: 100, factor: 2, maxMs: 10_000 },
      work: (key) => work[key](),
      onError: (key, error, retryMs) => log.warn({ key, error, retryMs }, 'fabric not as wanted'),
    }),
  );
  stack.use(
    nodes.onChange(({ old, current }) => {
      if (!concernsFabric(old, current)) return;
      wanted.forget();
      queue.add('routes');
      queue.add('masquerade');
    }),
  );
  stack.use(
    await netlink.watch(ownNetns, (event) => {
      if (event.kind === 'route') {
        if (event.removed && wanted.hasRouteTo(event.destination)) queue.add('routes');
        return;
      }
      // A link that comes back has lost its routes, and its own events may be all that says so. But each pod makes and ends a
      // link too: many of them are looked at once.
      queue.addAfter('routes', linkSettleMs);
    }),
  );
  queue.add('routes');
  queue.add('masquerade');
  await queue.idle();
  const onLost = (): void => {
    committed = undefined;
    queue.add('masquerade');
  };
  stack.use(
    watchTable({ nft, clock, log, table: masqueradeTable, ruleCount: () => countRules(committed), onLost }),
  );
  return stack.move();
}

/** What all Nodes together ask for: worked out once after each change that concerns the fabric. */
interface Wanted {
  routes(): readonly FabricRoute[];
  hasRouteTo(destination: string): boolean;
  /** The same value until the rules must be others. */
  masquerade(): NftTable | undefined;
  forget(): void;
}

function createWanted({ nodes, nodeName, serviceCidr, ...options }: FabricOptions): Wanted {
  let routes: readonly FabricRoute[] | undefined;
  let destinations: ReadonlySet<string> | undefined;
  let masquerade: { readonly table: NftTable; readonly text: string } | undefined;
  let isStale = true;
  const routesNow = (): readonly FabricRoute[] => (routes ??= computeRoutes(nodes.list(), nodeName));
  return {
    routes: routesNow,
    hasRouteTo: (destination) => {
      destinations ??= new Set([serviceCidr, ...routesNow().map((route) => route.destination)]);
      return destinations.has(destination);
    },
    masquerade: () => {
      if (!isStale) return masquerade?.table;
      const podCidr = podCidrsOf(nodes.get(nodeName) ?? {}).find((cidr) => parseCidr(cidr)?.ip.family === 4);
      if (podCidr === undefined) return undefined;
      const { clusterCidr, linkCidr, hasEgress } = options;
      const kept = { podCidr, clusterCidr, serviceCidr, linkCidr, hasEgress };
      const table = renderMasquerade(kept, nodes.list());
      const text = renderTable(table);
      if (text !== masquerade?.text) masquerade = { table, text };
      isStale = false;
      return masquerade.table;
    },
    forget: () => {
      routes = undefined;
      destinations = undefined;
      isStale = true;
    },
  };
}

function planForwarding(options: FabricOptions): readonly NetOp[] {
  return [
    { op: 'setSysctl', key: 'net.ipv4.ip_forward', value: '1' },
    // lo may be down in a fresh namespace, and a route over it needs it up.
    { op: 'setLink', name: 'lo', up: true },
    serviceRoute(options),
  ];
}

/**
 * A process of the node that connects to a Service address needs a route before netfilter's output hook can translate it;
 * the node's address as source is what other nodes can answer to. What is not translated ends at lo.
 */
function serviceRoute(options: FabricOptions): NetOp {
  return {
    op: 'ensureRoute',
    destination: options.serviceCidr,
    dev: 'lo',
    scope: 'link',
    source: options.nodeIp,
    protocol: podwrightRouteProtocol,
  };
}

/** A node that is not on our link refuses its route (ENETUNREACH); the others get theirs all the same. */
async function applyRoutes(options: FabricOptions, wanted: readonly FabricRoute[]): Promise<void> {
  const { routes } = await options.netlink.state(ownNetns);
  const service = routes.some((route) => route.destination === options.serviceCidr)
    ? []
    : [serviceRoute(options)];
  const failures: unknown[] = [];
  for (const op of [...service, ...planRoutes(wanted, routes)]) {
    try {
      await options.netlink.apply(ownNetns, [op]);
      options.log.info({ op }, 'fabric route changed');
    } catch (error) {
      if (!isPodwrightError(error)) throw error;
      options.log.debug({ op, errno: errnoOf(error) }, 'fabric route refused');
      failures.push(error);
    }
  }
  if (failures.length > 0)
    throw new AggregateError(failures, `change ${failures.length} routes to other nodes`);
}

function countRules(table: NftTable | undefined): number {
  return (table?.chains ?? []).reduce((count, chain) => count + chain.rules.length, 0);
}
