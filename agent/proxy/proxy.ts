import type { Clock } from '#base/clock.ts';
import { done, KeyedQueue } from '#base/keyed-queue.ts';
import type { Logger } from '#base/log.ts';
import type { EndpointSlice, Node, Service } from '#api/generated/objects.ts';
import { zoneOf } from '#api/meta/zone.ts';
import { services as serviceKind } from '#api/schema/kind-ref.ts';
import { nftFamilies, type ClusterNetwork } from '#agent/network/cluster-network.ts';
import { unreachable } from '#base/unreachable.ts';
import type { ServiceNetworks } from '#agent/network/service-networks.ts';
import type { Informer } from '#client/client.ts';
import type { EventRecorder } from '#client/event-recorder.ts';
import type { WritableInformer } from '#client/informer.ts';
import type { SocketBalancer } from '#native/bpf/sockets/socket-balancer.ts';
import type { Netlink } from '#native/netlink/netlink.ts';
import type { Nft } from '#native/nft/nft.ts';
import type { Xtables } from '#native/xtables/xtables.ts';
import type { BindAddress } from './config/proxy-configuration.ts';
import {
  answerNodeCheck,
  failureOfCheck,
  isNodeEligible,
  planCheckHosts,
  type HealthAnswer,
  type ServiceCheck,
} from './health-answers.ts';
import { createHealthServer, type HealthServer } from './health-server.ts';
import { createIptablesRules } from './iptables/iptables-rules.ts';
import { removeIptables } from './iptables/remove-iptables.ts';
import { createNftRules, removeNftTables } from './nft-rules.ts';
import { createProxyHealth, type ProxyHealth } from './proxy-health.ts';
import type { AppliedRules } from './retraction/applied-rules.ts';
import { createServiceIndex, type ServiceIndex } from './service-index.ts';
import { computeProxyPorts, countLocalReady, healthCheckPortOf, type ProxyNode } from './service-map.ts';
import type { ProxyMode, ServiceRules } from './service-rules.ts';
import { withSockets } from './sockets/socket-rules.ts';
import type { ProxyCounts } from './status/proxy-counts.ts';
import { createUserspaceRules } from './userspace/userspace-rules.ts';

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
  /** Those with what is added while the agent runs; without it, `networks` are all that there will be. */
  readonly serviceNetworks?: ServiceNetworks;
  /** Services (`namespace/name`) that the node answers itself, such as kube-dns: they get no rules. */
  readonly ownServices?: ReadonlySet<string>;
  /** Where /healthz and /livez are (kube-proxy's port is 10256); host '': at all addresses. Absent: none. */
  readonly health?: BindAddress;
  readonly counts?: ProxyCounts;
  /** Where a Service is told that its health check port is taken; absent: the log alone. */
  readonly events?: Pick<EventRecorder, 'record'>;
  /** Node ports answer at 127.0.0.1 too, where the mode can. */
  readonly hasLocalhostNodePorts?: boolean;
  /** Whatever is sent to addresses of Services leaves with the node's; sockets must not be led then. */
  readonly masqueradesAll?: boolean;
  /** Networks of the node's addresses at which node ports are served; none of a family: all of them. */
  readonly nodePortCidrs?: readonly string[];
  /** All addresses of the node, of which those networks choose for health checks; absent: `nodeIps`. */
  readonly nodeAddresses?: () => readonly string[];
  /** Default: nftables. */
  readonly mode?: ProxyMode;
  /** Leads sockets of the node's pods beside the rules; absent: rules do all. */
  readonly sockets?: SocketBalancer;
  readonly nft: Nft;
  readonly xtables: Xtables;
  /** For what iptables needs of the host beside its rules. */
  readonly netlink?: Pick<Netlink, 'apply'>;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface Proxy extends AsyncDisposable {
  /** Resolves when what is known now is in the kernel and answered, or has failed and waits to be tried again. */
  idle(): Promise<void>;
}

/**
 * Keeps the kernel's Service rules as Services and EndpointSlices say, by the mode's means: changes of one tick go out together.
 * Resolves after the first commit. @throws E_BUSY, E_UNSUPPORTED: this host cannot have that mode
 */
export async function startProxy(options: ProxyOptions): Promise<Proxy> {
  const { services, endpointSlices, nodes, clock, log } = options;
  await using stack = new AsyncDisposableStack();
  const rules = stack.use(await openRules(options));

  const health = createProxyHealth(clock);
  const checks = stack.use(serveHealth(options, health));
  const dirty = new Set<string>();
  let queue: KeyedQueue<'commit'> | undefined; // The index reports what is present before there is a queue.
  const enqueue = (): void => {
    health.noteQueued();
    queue?.add('commit');
  };
  stack.use(followChanges(options));
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
  const commit = createCommitter(options, { index, rules, dirty, checks });
  stack.use(followNetworks(options, rules, enqueue));
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
        return rules.isStaleLeft() ? { kind: 'again', afterMs: flushRetryMs } : done;
      },
      onError: (_key, error, retryMs) => log.warn({ error, retryMs }, 'Service rules not as wanted'),
    }),
  );
  queue = commits;
  options.applied?.follow({
    revision: followRevision(endpointSlices, () => dirty.size === 0 && commit.isWhole()),
    mode: () => options.mode ?? 'nftables',
    tables: () => rules.tables(),
  });
  commits.add('commit');
  const idle = async (): Promise<void> => {
    await commits.idle();
    await checks.idle();
  };
  await idle();
  stack.use(rules.watch(enqueue));
  const moved = stack.move();
  return { idle, [Symbol.asyncDispose]: () => moved.disposeAsync() };
}

/** Counts what is told, also what is there. */
function followChanges({ services, endpointSlices, counts, clock }: ProxyOptions): Disposable {
  using stack = new DisposableStack();
  stack.use(services.onChange(() => counts?.noteChange('service', clock.now())));
  stack.use(
    endpointSlices.onChange(({ current }) => {
      counts?.noteChange('endpoint', clock.now());
      if (current !== undefined) counts?.noteEndpoints(current);
    }),
  );
  return stack.move();
}

/** Until stale flows that could not be removed are tried again. */
const flushRetryMs = 200;

/** What the slices were at when all of them was in the kernel the last time. */
function followRevision(slices: { readonly version: number }, isApplied: () => boolean): () => number {
  let revision = 0;
  return () => {
    if (isApplied()) revision = slices.version;
    return revision;
  };
}

/** Also what was there before. */
function followNetworks(
  { serviceNetworks }: ProxyOptions,
  rules: ServiceRules,
  enqueue: () => void,
): Disposable | undefined {
  if (serviceNetworks === undefined) return undefined;
  const change = (): void => rules.relayout(serviceNetworks.current());
  change();
  return serviceNetworks.onChange(() => {
    change();
    enqueue();
  });
}

function serveHealth(options: ProxyOptions, health: ProxyHealth): HealthServer {
  const { clock, log, health: at, nodes, nodeName, networks } = options;
  const tell = (check: ServiceCheck, error: unknown): void => {
    const object = options.services.get(`${check.namespace}/${check.name}`);
    if (object === undefined) return;
    const message = failureOfCheck(check, nodeName, error);
    options.events?.record(
      { kind: serviceKind, object },
      'Warning',
      'FailedToStartServiceHealthcheck',
      message,
    );
  };
  const answer = (path: string): HealthAnswer => {
    const found = answerNodeCheck(path, health.state(), {
      isEligible: isNodeEligible(nodes.get(nodeName)),
      nowMs: clock.now(),
    });
    if (found.status !== 404) options.counts?.noteCheck(path, found.status);
    return found;
  };
  const families = networks.map(({ family }) => family);
  return createHealthServer({
    host: planCheckHosts(families, [], [])[0]?.host ?? '::',
    checkHosts: () =>
      planCheckHosts(families, options.nodePortCidrs ?? [], options.nodeAddresses?.() ?? options.nodeIps),
    ...(at === undefined ? {} : { node: { ...at, answer } }),
    isHealthy: () => health.state().isHealthy,
    onFailure: tell,
    clock,
    log,
  });
}

interface Committer {
  (): Promise<void>;
  /** All that was taken is in the kernel, and flows that it made stale are gone. */
  isWhole(): boolean;
}

interface CommitterParts {
  readonly index: ServiceIndex;
  readonly rules: ServiceRules;
  /** Keys of Services that something changed for; taken by each commit. */
  readonly dirty: Set<string>;
  readonly checks: HealthServer;
}

/** A Service as it is now; undefined: there is none that concerns the node. */
interface ServiceNow {
  readonly key: string;
  readonly service: Service | undefined;
  readonly slices: readonly EndpointSlice[];
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

function createCommitter(options: ProxyOptions, { index, rules, dirty, checks }: CommitterParts): Committer {
  const { nodes, nodeName, nodeIps, log, networks } = options;
  let hasCommitted = false;
  let isUnderWay = false;

  const update = (key: string, node: ProxyNode): void => {
    const service = options.ownServices?.has(key) === true ? undefined : index.service(key);
    const now = { key, service, slices: index.slices(key) };
    checks.set(key, checkOf(now, nodeName, networks));
    for (const { family } of networks) {
      const ports =
        service === undefined ? [] : computeProxyPorts(service, now.slices, node, nftFamilies[family]);
      rules.set({ key, family, ports });
      options.counts?.notePorts(key, family, ports);
    }
  };

  const commit = async (): Promise<void> => {
    const startMs = options.clock.monotonic();
    const keys = [...dirty];
    isUnderWay = true; // Until all is done: what throws in between is begun again.
    dirty.clear();
    const node = { name: nodeName, zone: zoneOf(nodes.get(nodeName)), ips: nodeIps };
    for (const key of keys) update(key, node);
    await rules.commit();
    // From here on a packet finds its backend by these: the rules of another mode may go.
    if (!hasCommitted) await removeOthers(options);
    hasCommitted = true;
    isUnderWay = false;
    const ms = options.clock.monotonic() - startMs;
    options.counts?.noteSync(ms, options.clock.now());
    log.debug({ services: keys.length, ms }, 'Service rules committed');
  };
  return Object.assign(commit, { isWhole: () => rules.isWhole() && !isUnderWay });
}

/** The rules of the mode, and what sockets are led by. @throws E_BUSY, E_UNSUPPORTED: see createIptablesRules */
async function openRules(options: ProxyOptions): Promise<ServiceRules> {
  const { sockets, log } = options;
  const rules = await openModeRules(options);
  return sockets === undefined ? rules : withSockets(rules, { balancer: sockets, log });
}

async function openModeRules(options: ProxyOptions): Promise<ServiceRules> {
  const { mode = 'nftables' } = options;
  switch (mode) {
    case 'nftables':
      return createNftRules(options);
    case 'iptables':
      return createIptablesRules(options);
    case 'userspace':
      options.log.warn(
        { mode },
        'Services are forwarded by the agent: NetworkPolicies see the node as their client, and connections end with the agent',
      );
      return createUserspaceRules(options);
    default:
      return unreachable(mode);
  }
}

/** What an agent of another mode left. nftables and userspace have one table, which is made anew by either. */
async function removeOthers({ mode, nft, xtables, log }: ProxyOptions): Promise<void> {
  try {
    if (mode === 'iptables') await removeNftTables(nft);
    else await removeIptables(xtables);
  } catch (error) {
    log.warn({ error }, 'Service rules of another mode are left');
  }
}
