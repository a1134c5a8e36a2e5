import type { Clock } from '#base/clock.ts';
import { done, KeyedQueue } from '#base/keyed-queue.ts';
import type { Logger } from '#base/log.ts';
import type { EndpointSlice, Node, Service } from '#api/generated/objects.ts';
import { zoneOf } from '#api/meta/zone.ts';
import { nftFamilies, ofFamily, type ClusterNetwork } from '#agent/network/cluster-network.ts';
import { watchTable } from '#agent/network/watch-table.ts';
import type { IpFamily } from '#base/ip.ts';
import type { Informer } from '#client/client.ts';
import type { WritableInformer } from '#client/informer.ts';
import { ownNetns } from '#native/netlink/netlink.ts';
import type { ConntrackMatch, Nft } from '#native/nft/nft.ts';
import { renderContribution } from './contribution.ts';
import { answerNodeCheck, isNodeEligible, type HealthAnswer, type ServiceCheck } from './health-answers.ts';
import { createHealthServer, type HealthServer } from './health-server.ts';
import { createProxyHealth, type ProxyHealth } from './proxy-health.ts';
import type { AppliedRules } from './retraction/applied-rules.ts';
import { createRuleset, type Ruleset } from './ruleset.ts';
import { createServiceIndex, type ServiceIndex } from './service-index.ts';
import {
  computeProxyPorts,
  countLocalReady,
  healthCheckPortOf,
  type ProxyNode,
  type ProxyPort,
} from './service-map.ts';
import { computeStaleFlows } from './stale-flows.ts';
import { familyFacts, tableRef } from './table-layout.ts';

export interface ProxyOptions {
  readonly services: Informer<Service>;
  readonly endpointSlices: Pick<WritableInformer<EndpointSlice>, keyof Informer<EndpointSlice> | 'version'>;
  /** Told how far the rules are. */
  readonly applied?: AppliedRules;
  /** This node's own object counts: its zone, and whether it is about to go. */
  readonly nodes: Informer<Node>;
  readonly nodeName: string;
  /** Addresses that node ports are reached by (for conntrack; the rules ask the kernel). */
  readonly nodeIps: readonly string[];
  /** Each family has a table of its own. */
  readonly networks: readonly ClusterNetwork[];
  /** Services (`namespace/name`) that the node answers itself, such as kube-dns: they get no rules. */
  readonly ownServices?: ReadonlySet<string>;
  /** Port of /healthz and /livez (kube-proxy's is 10256); absent: none. */
  readonly healthPort?: number;
  readonly nft: Nft;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface Proxy extends AsyncDisposable {
  /** Resolves when what is known now is in the kernel and answered, or has failed and waits to be tried again. */
  idle(): Promise<void>;
}

/**
 * Keeps the kernel's Service table as Services and EndpointSlices say: changes of one tick go out in one transaction; one
 * that the kernel refuses is followed by the whole table, in one transaction too. Resolves after the first commit.
 */
export async function startProxy(options: ProxyOptions): Promise<Proxy> {
  const { services, endpointSlices, nodes, clock, log, nft, networks } = options;
  await using stack = new AsyncDisposableStack();

  const health = createProxyHealth(clock);
  const checks = stack.use(serveHealth(options, health));
  const dirty = new Set<string>();
  let queue: KeyedQueue<'commit'> | undefined; // The index reports what is present before there is a queue.
  const enqueue = (): void => {
    health.noteQueued();
    queue?.add('commit');
  };
  const index = stack.use(
    createServiceIndex(services, endpointSlices, (key) => {
      dirty.add(key);
      enqueue();
    }),
  );
  stack.use(
    nodes.onChange(({ key, old, current }) => {
      if (key !== options.nodeName || zoneOf(old) === zoneOf(current)) return;
      for (const service of index.keys()) dirty.add(service);
      enqueue();
    }),
  );
  const commit = createCommitter(options, { index, dirty, checks });
  await Promise.all([services.synced, endpointSlices.synced, nodes.synced]);
  const commits = stack.use(
    new KeyedQueue<'commit'>({
      clock,
      concurrencyMax: 1,
      backoff: { initialMs: 20, factor: 2, maxMs: 5_000 },
      work: async () => {
        await commit();
        if (dirty.size === 0) health.noteUpdated();
        options.applied?.note();
        return commit.isStaleLeft() ? { kind: 'again', afterMs: flushRetryMs } : done;
      },
      onError: (_key, error, retryMs) => log.warn({ error, retryMs }, 'Service rules not as wanted'),
    }),
  );
  queue = commits;
  options.applied?.follow({
    revision: followRevision(endpointSlices, () => dirty.size === 0 && commit.isWhole()),
    tables: () =>
      networks.map(({ family }) => {
        const { name } = tableRef(nftFamilies[family]);
        return { name, family: nftFamilies[family], rulesWanted: commit.ruleCount(family) };
      }),
  });
  commits.add('commit');
  const idle = async (): Promise<void> => {
    await commits.idle();
    await checks.idle();
  };
  await idle();
  const onLost = (): void => {
    commit.noteLost();
    enqueue();
  };
  for (const { family } of networks) {
    const [table, ruleCount] = [tableRef(nftFamilies[family]), () => commit.ruleCount(family)];
    stack.use(watchTable({ nft, clock, log, table, ruleCount, onLost }));
  }
  const moved = stack.move();
  return { idle, [Symbol.asyncDispose]: () => moved.disposeAsync() };
}

/** What the slices were at when all of them was in the kernel the last time. */
function followRevision(slices: { readonly version: number }, isApplied: () => boolean): () => number {
  let revision = 0;
  return () => {
    if (isApplied()) revision = slices.version;
    return revision;
  };
}

function serveHealth(options: ProxyOptions, health: ProxyHealth): HealthServer {
  const { clock, log, healthPort: port, nodes, nodeName, networks } = options;
  const answer = (path: string): HealthAnswer =>
    answerNodeCheck(path, health.state(), {
      isEligible: isNodeEligible(nodes.get(nodeName)),
      nowMs: clock.now(),
    });
  return createHealthServer({
    host: networks.every(({ family }) => family === 4) ? '0.0.0.0' : '::', // The latter is both.
    ...(port === undefined ? {} : { node: { port, answer } }),
    isHealthy: () => health.state().isHealthy,
    clock,
    log,
  });
}

interface Committer {
  (): Promise<void>;
  /** The kernel's table is not what was committed: the next commit makes it whole. */
  noteLost(): void;
  /** All that was taken is in the kernel, and flows that it made stale are gone. */
  isWhole(): boolean;
  /** Flows were to be removed, and are still there. */
  isStaleLeft(): boolean;
  /** Rules that the kernel has in the family's table after what was committed so far. */
  ruleCount(family: IpFamily): number;
}

interface CommitterParts {
  readonly index: ServiceIndex;
  /** Keys of Services that something changed for; taken by each commit. */
  readonly dirty: Set<string>;
  readonly checks: HealthServer;
}

/** The table of a family, and the ports that are in it. */
interface FamilyTable {
  readonly family: IpFamily;
  readonly ruleset: Ruleset;
  readonly portsOf: Map<string, readonly ProxyPort[]>;
}

function createTables(networks: readonly ClusterNetwork[]): readonly FamilyTable[] {
  return networks.map(({ family, ...cidrs }) => {
    const ruleset = createRuleset({ family: nftFamilies[family], ...cidrs });
    return { family, ruleset, portsOf: new Map() };
  });
}

/** A Service as it is now; undefined: there is none that concerns the node. */
interface ServiceNow {
  readonly key: string;
  readonly service: Service | undefined;
  readonly slices: readonly EndpointSlice[];
}

/** Brings a table to a Service, and gives flows that the kernel would go on sending elsewhere. */
function updateTable(
  { family, ruleset, portsOf }: FamilyTable,
  { key, service, slices }: ServiceNow,
  node: ProxyNode,
): readonly ConntrackMatch[] {
  const name = nftFamilies[family];
  const old = portsOf.get(key) ?? [];
  const ports = service === undefined ? [] : computeProxyPorts(service, slices, node, name);
  if (ports.length === 0) portsOf.delete(key);
  else portsOf.set(key, ports);
  ruleset.set(key, ports.length === 0 ? undefined : renderContribution(ports, familyFacts[name]));
  return computeStaleFlows(old, ports, ofFamily(node.ips, family));
}

/** What load balancers are told of a Service; undefined: they need not ask. */
function checkOf(
  { key, service, slices }: ServiceNow,
  nodeName: string,
  networks: readonly ClusterNetwork[],
): ServiceCheck | undefined {
  const port = service === undefined ? undefined : healthCheckPortOf(service);
  if (port === undefined) return undefined;
  const [namespace = '', name = ''] = key.split('/');
  // A pod of both families is one endpoint, whichever a load balancer sends to.
  const counts = networks.map(({ family }) => countLocalReady(slices, nodeName, nftFamilies[family]));
  return { namespace, name, port, localEndpoints: Math.max(0, ...counts) };
}

function createCommitter(options: ProxyOptions, { index, dirty, checks }: CommitterParts): Committer {
  const { nodes, nodeName, nft, nodeIps, log, networks } = options;
  const tables = createTables(networks);
  const stale = new StaleFlows(nft, log);
  let needsWhole = true;
  let isUnderWay = false;

  const update = (key: string, node: ProxyNode): void => {
    const service = options.ownServices?.has(key) === true ? undefined : index.service(key);
    const now = { key, service, slices: index.slices(key) };
    checks.set(key, checkOf(now, nodeName, networks));
    for (const table of tables) updateTable(table, now, node).forEach((flow) => stale.note(flow));
  };

  const commit = async (): Promise<void> => {
    const startMs = options.clock.monotonic();
    const keys = [...dirty];
    isUnderWay = true; // Until all is done: what throws in between is begun again.
    dirty.clear();
    const node = { name: nodeName, zone: zoneOf(nodes.get(nodeName)), ips: nodeIps };
    for (const key of keys) update(key, node);
    if (!needsWhole) {
      const changes = tables.flatMap(({ ruleset }) => ruleset.takeChanges());
      needsWhole = true; // Until the kernel has said yes.
      if (await tryCommit(changes)) needsWhole = false;
    }
    if (needsWhole) {
      const whole = tables.map(({ ruleset }) => ruleset.takeTable());
      await nft.commit(
        ownNetns,
        whole.map((table) => ({ op: 'replaceTable', table })),
      );
      needsWhole = false;
    }
    // After the rules: before, a packet in between would make the old entry again.
    await stale.flush();
    isUnderWay = false;
    log.debug({ services: keys.length, ms: options.clock.monotonic() - startMs }, 'Service rules committed');
  };

  const tryCommit = async (ops: Parameters<Nft['commit']>[1]): Promise<boolean> => {
    try {
      if (ops.length > 0) await nft.commit(ownNetns, ops);
      return true;
    } catch (error) {
      log.warn({ error, ops: ops.length }, 'Service rules refused; the whole table follows');
      return false;
    }
  };

  return Object.assign(commit, {
    noteLost: () => {
      needsWhole = true;
    },
    isWhole: () => !needsWhole && !isUnderWay,
    isStaleLeft: () => stale.isLeft,
    ruleCount: (family: IpFamily) =>
      tables.find((table) => table.family === family)?.ruleset.ruleCount() ?? 0,
  });
}

/** Tries in a row to remove stale flows, and the time between them. */
const flushTriesMax = 5;
const flushRetryMs = 200;

/** Flows of connectionless protocols that the kernel would go on sending to where they went. */
class StaleFlows {
  readonly #nft: Nft;
  readonly #log: Logger;
  readonly #flows = new Map<string, ConntrackMatch>();
  #failures = 0;

  constructor(nft: Nft, log: Logger) {
    this.#nft = nft;
    this.#log = log;
  }

  /** What is to be kept at an address is what was last said of it. */
  note(flow: ConntrackMatch): void {
    const { originalDestination, port, replies } = flow;
    const place = originalDestination === undefined ? JSON.stringify(replies) : originalDestination;
    this.#flows.set(`${place} ${port}`, flow);
  }

  /** Some are still there, and the next flush tries again. */
  get isLeft(): boolean {
    return this.#flows.size > 0;
  }

  async flush(): Promise<void> {
    const noted = [...this.#flows];
    this.#flows.clear();
    try {
      const flows = noted.map(([, flow]) => flow);
      if (flows.length > 0) await this.#nft.flushConntrack(ownNetns, flows);
      this.#failures = 0;
    } catch (error) {
      this.#failures += 1;
      this.#log.warn({ error, flows: noted.length, failures: this.#failures }, 'stale UDP flows not removed');
      // A client that keeps its port stays with the old backend until the entry times out: worse, but no reason to stop.
      if (this.#failures >= flushTriesMax) return;
      // What was noted of a place meanwhile is newer.
      for (const [place, flow] of noted) if (!this.#flows.has(place)) this.#flows.set(place, flow);
    }
  }
}
