import { execFile, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { createIptablesRules } from '#agent/proxy/iptables/iptables-rules.ts';
import { removeIptables } from '#agent/proxy/iptables/remove-iptables.ts';
import { createNftRules, removeNftTables } from '#agent/proxy/nft-rules.ts';
import { networks as bothNetworks, nodeIps, startPacketNet } from '#agent/proxy/packet-net.fixture.ts';
import { computeProxyPorts, type ProxyPort } from '#agent/proxy/service-map.ts';
import type { ServiceRules } from '#agent/proxy/service-rules.ts';
import { balancedFrontends } from '#agent/proxy/sockets/balanced.ts';
import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { createPacketRedirector } from '#native/bpf/redirect/packet-redirector.linux.ts';
import type { PodLink } from '#native/bpf/redirect/packet-redirector.ts';
import { createSocketBalancer } from '#native/bpf/sockets/socket-balancer.linux.ts';
import { ownNetns } from '#native/netlink/netlink.ts';
import { createSyncNetlink } from '#native/netlink/sync.ts';
import { createSyncNft } from '#native/nft/nft.linux.ts';
import { createXtables } from '#native/xtables/xtables.linux.ts';
import {
  kubeProxyName,
  missingKubeProxy,
  startKubeProxy,
  type ServiceOfProxy,
} from '#test/bench/kube-proxy.ts';
import { alternate, findProgram, summarise, type Contender } from '#test/bench/measure.ts';
import type { Measurement, Row, Scale } from '#test/bench/row.ts';
import { serviceObjects } from '#test/bench/service-objects.ts';
import { buildTraffic } from '#test/bench/traffic.ts';

/** A quick look is at a tenth: rules of iptables take seconds. */
const servicesOf = ({ isQuick }: Scale): number => (isQuick ? 100 : 1_000);
const endpointsEach = 5;
const networks = bothNetworks.filter(({ family }) => family === 4);
const node = { name: 'node', zone: undefined, ips: nodeIps };
const pod = { ip: '10.244.0.11', port: 7000 };
const frontend = { address: '10.96.200.9', port: 80 };

/** What goes from pod to pod of one node, by its address and through a Service among many. */
interface Traffic {
  readonly name: string;
  readonly protocol: 6 | 17;
  /** Of traffic.ts: what answers, what is done anew each time, what goes on. */
  readonly serve: 'serve' | 'answer';
  readonly anew: 'connections' | 'sockets';
  readonly on: 'pings' | 'datagrams';
  readonly words: Readonly<Record<keyof Metrics, string>>;
}

const connections: Traffic = {
  ...{ name: 'service-paths', protocol: 6, serve: 'serve', anew: 'connections', on: 'pings' },
  words: {
    rate: 'connections a second, each with a byte there and back',
    median: 'a byte there and back on a connection, median',
    p99: 'a byte there and back on a connection, p99',
  },
};

const datagrams: Traffic = {
  ...{ name: 'service-datagrams', protocol: 17, serve: 'answer', anew: 'sockets', on: 'datagrams' },
  words: {
    rate: 'questions a second by a connected socket of UDP each, as resolvers ask',
    median: 'a datagram there and back by one socket that is not connected, median',
    p99: 'a datagram there and back by one socket that is not connected, p99',
  },
};

export const servicePaths: Row = pathsOfTraffic(connections);
export const serviceDatagrams: Row = pathsOfTraffic(datagrams);

function pathsOfTraffic(kind: Traffic): Row {
  return {
    name: kind.name,
    inNamespaces: true,
    run: async (scale) => {
      await using stack = new AsyncDisposableStack();

      const net = (await startPacketNet('paths'))('ip');
      stack.use(net);
      const directory = mkdtempSync(join(tmpdir(), 'podwright-traffic-'));
      const traffic = buildTraffic(directory);
      const server = spawn('nsenter', [`--net=${netnsOf('b')}`, traffic, kind.serve, String(pod.port)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      stack.defer(() => void server.kill('SIGKILL'));
      await createInterface({ input: server.stdout })[Symbol.asyncIterator]().next();
      const cgroup = `/sys/fs/cgroup/podwright-paths-${process.pid}`;
      mkdirSync(cgroup);
      stack.defer(() => rmdirSync(cgroup));
      const ask = asker(traffic, cgroup);
      const objects = allObjects(kind.protocol, servicesOf(scale));
      const paths = pathsOf(kind, { cgroup, directory, objects });
      return await compare({ kind, paths, scale }, async (to) => {
        const rates = summarise(await ask(kind.anew, to, scale.isQuick ? 500 : 3_000));
        const pings = summarise(await ask(kind.on, to, scale.isQuick ? 2_000 : 20_000));
        return { rate: 1e9 / rates.median, median: pings.median / 1e6, p99: pings.p99 / 1e6 };
      });
    },
  };
}

const netnsOf = (name: string): string => `${tmpdir()}/podwright-test-paths-${process.pid}-${name}`;

type Target = { readonly ip: string; readonly port: number };
type Ask = (what: Traffic['anew' | 'on'], to: Target, count: number) => Promise<readonly number[]>;

/** What a datagram of the row has in it; connections have a byte. */
const payload: Readonly<Record<Traffic['anew' | 'on'], readonly string[]>> = {
  ...{ connections: [], pings: [] },
  ...{ sockets: ['78'.repeat(40)], datagrams: ['78'.repeat(40)] },
};

/** From pod a, in a cgroup that sockets may be led in. Nanoseconds. */
function asker(traffic: string, cgroup: string): Ask {
  const run = promisify(execFile);
  return async (what, { ip, port }, count) => {
    const script = `echo $$ > ${cgroup}/cgroup.procs; exec nsenter --net=${netnsOf('a')} "$@"`;
    const args = ['-c', script, 'sh', traffic, what, ip, String(port), String(count), ...payload[what]];
    const { stdout } = await run('sh', args, { maxBuffer: 64 * 1_048_576 });
    return stdout.trim().split('\n').map(Number);
  };
}

interface PathToPod {
  readonly name: string;
  readonly to: Target;
  /** Why it is not there. */
  readonly skipped?: string;
  /** Sets it up; what it gives back takes it down. */
  readonly open: () => Promise<AsyncDisposable>;
}

const direct: Target = pod;
const throughService: Target = { ip: frontend.address, port: frontend.port };

interface Places {
  readonly cgroup: string;
  readonly directory: string;
  readonly objects: readonly ServiceOfProxy[];
}

function pathsOf({ protocol }: Traffic, { cgroup, directory, objects }: Places): readonly PathToPod[] {
  const ports = allPorts(objects);
  const nothing = async (): Promise<AsyncDisposable> => new AsyncDisposableStack();
  const through = (name: string, open: PathToPod['open'], missing?: string): PathToPod => ({
    ...{ name, to: throughService, open },
    ...(missing === undefined ? {} : { skipped: missing }),
  });
  const hasIptables = findProgram('iptables-restore') !== undefined;
  return [
    through('podwright --fast-path all', () => openFast(cgroup, ports)),
    through('nftables (podwright)', () => openRules('nftables', ports)),
    through(
      "iptables (podwright, kube-proxy's chains)",
      () => openRules('iptables', ports),
      hasIptables ? undefined : 'not installed',
    ),
    through(kubeProxyName, () => startKubeProxy(directory, objects), missingKubeProxy()),
    { name: 'direct', to: direct, open: nothing },
    // Datagrams say nothing of a beginning, and go by the stack.
    ...(protocol === 6 ? [{ name: 'direct --fast-path pods', to: direct, open: openRedirects }] : []),
  ];
}

interface Metrics {
  readonly rate: number;
  readonly median: number;
  readonly p99: number;
}

const metrics = [
  { key: 'rate', unit: '/s' },
  { key: 'median', unit: 'ms' },
  { key: 'p99', unit: 'ms' },
] as const;

interface Compared {
  readonly kind: Traffic;
  readonly paths: readonly PathToPod[];
  readonly scale: Scale;
}

/** All of a path while it is there: setting it up takes longer than measuring it. */
async function compare(
  { kind, paths, scale }: Compared,
  measure: (to: Target) => Promise<Metrics>,
): Promise<readonly Measurement[]> {
  const seen = new Map<string, Metrics[]>();
  const rounds = scale.rounds(8);
  const contenders = paths.map(({ name, to, skipped, open }): Contender => {
    if (skipped !== undefined) return { name, skipped };
    const round = async (): Promise<number> => {
      await using _ = await open();

      await forgetFlows(kind);
      const values = await measure(to);
      seen.set(name, [...(seen.get(name) ?? []), values].slice(-rounds)); // The first are those that warm up.
      return values.rate;
    };
    return { name, round };
  });
  const first = await alternate({ what: '', unit: '/s', contenders, rounds, warmUp: 1 });
  return metrics.map(({ key, unit }) => {
    const of = (name: string): ReturnType<typeof summarise> =>
      summarise((seen.get(name) ?? []).map((each) => each[key]));
    const what = `pod to pod through one of ${servicesOf(scale)} Services: ${kind.words[key]}`;
    return {
      ...{ what, unit, budgets: [] },
      ours: of(paths[0]?.name ?? ''),
      peers: first.peers.map((peer) => ('skipped' in peer ? peer : { name: peer.name, ...of(peer.name) })),
    };
  });
}

/** What is tracked of the path before has ports that this one's clients may come to use, too: such a packet is dropped. */
async function forgetFlows({ protocol }: Traffic): Promise<void> {
  const replies = { except: [] };
  await nft.flushConntrack(ownNetns, [
    { protocol, originalDestination: frontend.address, port: frontend.port, replies },
    { protocol, originalDestination: pod.ip, port: pod.port, replies },
  ]);
}

type AllPorts = ReadonlyMap<string, readonly ProxyPort[]>;

/** All Services, and the one that is measured last: where rules are a list it is the last of it. */
function allObjects(protocol: Traffic['protocol'], count: number): readonly ServiceOfProxy[] {
  const metadata = { name: 'web', namespace: 'bench', uid: 'web', resourceVersion: '1' };
  const named = { name: 'web', protocol: protocol === 6 ? 'TCP' : 'UDP' } as const;
  const others = Array.from({ length: count - 1 }, (_, n) => serviceObjects(n + 1, endpointsEach, 1));
  const measured: ServiceOfProxy = {
    service: {
      metadata,
      spec: { clusterIP: frontend.address, ports: [{ ...named, port: frontend.port, targetPort: pod.port }] },
    },
    slice: {
      metadata: { ...metadata, labels: { 'kubernetes.io/service-name': 'web' } },
      addressType: 'IPv4',
      ports: [{ ...named, port: pod.port }],
      endpoints: [{ addresses: [pod.ip], conditions: { ready: true }, nodeName: node.name }],
    },
  };
  return [...others, measured];
}

function allPorts(objects: readonly ServiceOfProxy[]): AllPorts {
  return new Map(
    objects.map(({ service, slice }) => [
      `bench/${service.metadata?.name}`,
      computeProxyPorts(service, [slice], node, 'ip'),
    ]),
  );
}

const nft = createSyncNft();

async function openRules(mode: 'nftables' | 'iptables', ports: AllPorts): Promise<AsyncDisposable> {
  const xtables = createXtables(process.env, nft);
  const options = { networks, nodeIps, nft, xtables, clock: systemClock, log: silentLogger };
  const rules: ServiceRules =
    mode === 'nftables' ? createNftRules(options) : await createIptablesRules(options);
  for (const [key, each] of ports) rules.set({ key, family: 4, ports: each });
  await rules.commit();
  return {
    [Symbol.asyncDispose]: async () => {
      await rules[Symbol.asyncDispose]();
      await (mode === 'nftables' ? removeNftTables(nft) : removeIptables(xtables));
    },
  };
}

async function openFast(cgroup: string, ports: AllPorts): Promise<AsyncDisposable> {
  await using stack = new AsyncDisposableStack();

  stack.use(await openRules('nftables', ports));
  stack.use(await openRedirects());
  const balancer = createSocketBalancer(cgroup);
  await balancer.replace([...ports.values()].flatMap(balancedFrontends));
  stack.defer(async () => void (await balancer.remove()));
  return stack.move();
}

async function openRedirects(): Promise<AsyncDisposable> {
  const netlink = createSyncNetlink();
  const redirector = createPacketRedirector();
  const links: PodLink[] = [];
  for (const [name, ip] of [
    ['a', '10.244.0.10'],
    ['b', pod.ip],
  ] as const) {
    const state = await netlink.state({ kind: 'path', path: netnsOf(name) });
    const mac = state.links.find((link) => link.name === 'eth0')?.mac ?? '';
    links.push({ ips: [ip], ifname: `veth-${name}`, mac });
  }
  for (const link of links) redirector.admit(link);
  return {
    [Symbol.asyncDispose]: async () => {
      for (const link of links) redirector.withdraw(link);
      redirector[Symbol.dispose]();
    },
  };
}
