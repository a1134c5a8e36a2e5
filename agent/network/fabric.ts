import { KeyedQueue } from '#base/keyed-queue.ts';
import { errnoOf, isPodwrightError } from '#base/errors.ts';
import type { Clock } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import type { Node } from '#api/generated/objects.ts';
import { familyOfNetwork, type IpFamily } from '#base/ip.ts';
import type { Informer } from '#client/client.ts';
import { ownNetns, type Netlink } from '#native/netlink/netlink.ts';
import type { Nft, NftTable } from '#native/nft/nft.ts';
import { renderTable } from '#native/nft/render.ts';
import type { ClusterNetwork } from './cluster-network.ts';
import {
  computeRoutes,
  concernsFabric,
  masqueradeTableOf,
  planForwarding,
  planRoutes,
  planServiceRoutes,
  podCidrsOf,
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
  /** Service addresses get a route, so that the node's own processes can send to them at all. */
  readonly networks: readonly ClusterNetwork[];
  readonly nodeIps: readonly string[];
  /** The networks of the nodes' link, e.g. `10.89.0.0/24`. */
  readonly linkCidrs?: readonly string[];
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

  const { networks } = options;
  await netlink.apply(ownNetns, planForwarding(networks, await netlink.state(ownNetns)));
  await nodes.synced;
  const wanted = createWanted(options);
  let committed: readonly NftTable[] = [];
  const work: Record<Key, () => Promise<void>> = {
    routes: () => applyRoutes(options, wanted.routes()),
    masquerade: async () => {
      const tables = wanted.masquerade();
      const changed = tables.filter((table) => !committed.includes(table));
      if (changed.length === 0) return;
      await nft.commit(
        ownNetns,
        changed.map((table) => ({ op: 'replaceTable', table })),
      );
      committed = tables;
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
  for (const { family } of networks) {
    const table = masqueradeTableOf(family);
    const isOwn = (each: NftTable): boolean => each.family === table.family;
    const onLost = (): void => {
      committed = committed.filter((each) => !isOwn(each));
      queue.add('masquerade');
    };
    const ruleCount = (): number => countRules(committed.find(isOwn));
    stack.use(watchTable({ nft, clock, log, table, ruleCount, onLost }));
  }
  return stack.move();
}

/** What all Nodes together ask for: worked out once after each change that concerns the fabric. */
interface Wanted {
  routes(): readonly FabricRoute[];
  hasRouteTo(destination: string): boolean;
  /** One of each family; the same value until its rules must be others. */
  masquerade(): readonly NftTable[];
  forget(): void;
}

function createWanted({ nodes, nodeName, networks, linkCidrs = [], hasEgress }: FabricOptions): Wanted {
  let routes: readonly FabricRoute[] | undefined;
  let destinations: ReadonlySet<string> | undefined;
  const rendered = new Map<IpFamily, { readonly table: NftTable; readonly text: string }>();
  let isStale = true;
  const routesNow = (): readonly FabricRoute[] => (routes ??= computeRoutes(nodes.list(), nodeName));
  const render = (network: ClusterNetwork): void => {
    const ofSame = (cidr: string): boolean => familyOfNetwork(cidr) === network.family;
    const podCidr = podCidrsOf(nodes.get(nodeName) ?? {}).find(ofSame);
    if (podCidr === undefined) return;
    const kept = { ...network, podCidr, linkCidr: linkCidrs.find(ofSame), hasEgress };
    const table = renderMasquerade(kept, nodes.list());
    const text = renderTable(table);
    if (text !== rendered.get(network.family)?.text) rendered.set(network.family, { table, text });
  };
  return {
    routes: routesNow,
    hasRouteTo: (destination) => {
      const services = networks.map(({ serviceCidr }) => serviceCidr);
      destinations ??= new Set([...services, ...routesNow().map((route) => route.destination)]);
      return destinations.has(destination);
    },
    masquerade: () => {
      if (isStale) networks.forEach(render);
      isStale = false;
      return [...rendered.values()].map(({ table }) => table);
    },
    forget: () => {
      routes = undefined;
      destinations = undefined;
      isStale = true;
    },
  };
}

/** A node that is not on our link refuses its route (ENETUNREACH); the others get theirs all the same. */
async function applyRoutes(options: FabricOptions, wanted: readonly FabricRoute[]): Promise<void> {
  const state = await options.netlink.state(ownNetns);
  const there = new Set(state.routes.map(({ destination }) => destination));
  const services = planServiceRoutes(options, state).filter(({ destination }) => !there.has(destination));
  const failures: unknown[] = [];
  for (const op of [...services, ...planRoutes(wanted, state.routes)]) {
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
