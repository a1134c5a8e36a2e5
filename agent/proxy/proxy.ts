import type { Clock } from '#base/clock.ts';
import { KeyedQueue } from '#base/keyed-queue.ts';
import type { Logger } from '#base/log.ts';
import type { EndpointSlice, Service } from '#api/objects.ts';
import type { Informer } from '#client/client.ts';
import { ownNetns } from '#native/netlink/netlink.ts';
import type { Nft } from '#native/nft/nft.ts';
import { renderContribution } from './contribution.ts';
import { createRuleset } from './ruleset.ts';
import { createServiceIndex } from './service-index.ts';
import { computeProxyPorts, type ProxyNode, type ProxyPort } from './service-map.ts';
import { computeStaleFlows, type StaleFlow } from './stale-flows.ts';
import { familyFacts, tableRef } from './table-layout.ts';

export interface ProxyOptions {
  readonly services: Informer<Service>;
  readonly endpointSlices: Informer<EndpointSlice>;
  readonly node: ProxyNode;
  /** Addresses that node ports are reached by (for conntrack; the rules ask the kernel). */
  readonly nodeIps: readonly string[];
  readonly clusterCidr: string;
  readonly serviceCidr: string;
  readonly family?: 'ip' | 'ip6';
  /** Services (`namespace/name`) that the node answers itself, such as kube-dns: they get no rules. */
  readonly ownServices?: ReadonlySet<string>;
  readonly nft: Nft;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface Proxy extends AsyncDisposable {
  /** Resolves when what is known now is in the kernel, or has failed and waits to be tried again. */
  idle(): Promise<void>;
}

/** Longest time until a table that somebody removed is back. */
const repairIntervalMs = 5_000;

/**
 * Keeps the kernel's Service table as Services and EndpointSlices say: changes of one tick go out in one transaction; one
 * that the kernel refuses is followed by the whole table, in one transaction too. Resolves after the first commit.
 */
export async function startProxy(options: ProxyOptions): Promise<Proxy> {
  const { services, endpointSlices, clock, log } = options;
  await using stack = new AsyncDisposableStack();

  const dirty = new Set<string>();
  let queue: KeyedQueue<'commit'> | undefined; // The index reports what is present before there is a queue.
  const index = stack.use(
    createServiceIndex(services, endpointSlices, (key) => {
      dirty.add(key);
      queue?.add('commit');
    }),
  );
  const commit = createCommitter(options, index, dirty);
  await Promise.all([services.synced, endpointSlices.synced]);
  const commits = stack.use(
    new KeyedQueue<'commit'>({
      clock,
      concurrencyMax: 1,
      backoff: { initialMs: 20, factor: 2, maxMs: 5_000 },
      work: () => commit(),
      onError: (_key, error, retryMs) => log.warn({ error, retryMs }, 'Service rules not as wanted'),
    }),
  );
  queue = commits;
  commits.add('commit');
  await commits.idle();
  stack.use(repairEvery(options, commit.noteLost, () => commits.add('commit')));
  const moved = stack.move();
  return { idle: () => commits.idle(), [Symbol.asyncDispose]: () => moved.disposeAsync() };
}

interface Committer {
  (): Promise<void>;
  /** The kernel's table is gone: the next commit makes it whole. */
  noteLost(): void;
}

function createCommitter(
  options: ProxyOptions,
  index: ReturnType<typeof createServiceIndex>,
  dirty: Set<string>,
): Committer {
  const { node, nft, nodeIps, log, clusterCidr, serviceCidr, family = 'ip' } = options;
  const ruleset = createRuleset({ family, clusterCidr, serviceCidr });
  const portsOf = new Map<string, readonly ProxyPort[]>();
  const stale: StaleFlow[] = [];
  let needsWhole = true;

  const update = (key: string): void => {
    const service = options.ownServices?.has(key) === true ? undefined : index.service(key);
    const ports = service === undefined ? [] : computeProxyPorts(service, index.slices(key), node, family);
    stale.push(...computeStaleFlows(portsOf.get(key) ?? [], ports, nodeIps));
    if (ports.length === 0) portsOf.delete(key);
    else portsOf.set(key, ports);
    ruleset.set(key, ports.length === 0 ? undefined : renderContribution(ports, familyFacts[family]));
  };

  const commit = async (): Promise<void> => {
    const startMs = options.clock.monotonic();
    const keys = [...dirty];
    dirty.clear();
    for (const key of keys) update(key);
    if (!needsWhole) {
      const changes = ruleset.takeChanges();
      needsWhole = true; // Until the kernel has said yes.
      if (await tryCommit(changes)) needsWhole = false;
    }
    if (needsWhole) {
      await nft.commit(ownNetns, [{ op: 'replaceTable', table: ruleset.takeTable() }]);
      needsWhole = false;
    }
    // After the rules: before, a packet in between would make the old entry again.
    for (const flow of stale.splice(0)) await flush(flow);
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

  const flush = async (flow: StaleFlow): Promise<void> => {
    try {
      await nft.flushConntrack(ownNetns, flow);
    } catch (error) {
      // A client that keeps its port stays with the old backend until the entry times out: worse, but no reason to stop.
      log.warn({ error, flow }, 'stale UDP flow not removed');
    }
  };

  return Object.assign(commit, {
    noteLost: () => {
      needsWhole = true;
    },
  });
}

/** Looks whether the table is still there, and has it made again if not. */
function repairEvery(options: ProxyOptions, noteLost: () => void, recommit: () => void): Disposable {
  const { clock, nft, log, family = 'ip' } = options;
  let timer = clock.after(repairIntervalMs, tick);
  let isOpen = true;
  const look = async (): Promise<void> => {
    try {
      if (!(await nft.hasTable(ownNetns, tableRef(family))) && isOpen) {
        log.warn({}, 'Service table was removed by somebody; made again');
        noteLost();
        recommit();
      }
    } catch (error) {
      log.warn({ error }, 'Service table cannot be looked at');
    }
    if (isOpen) timer = clock.after(repairIntervalMs, tick);
  };
  function tick(): void {
    void look();
  }
  return {
    [Symbol.dispose]: () => {
      isOpen = false;
      timer[Symbol.dispose]();
    },
  };
}
