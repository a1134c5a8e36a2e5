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
import { createSyncNetlink } from '#native/netlink/sync.ts';
import { createSyncNft } from '#native/nft/nft.linux.ts';
import { createXtables } from '#native/xtables/xtables.linux.ts';
import { alternate, findProgram, summarise, type Contender } from '#test/bench/measure.ts';
import type { Measurement, Row, Scale } from '#test/bench/row.ts';
import { serviceObjects } from '#test/bench/service-objects.ts';
import { buildTraffic } from '#test/bench/traffic.ts';

const servicesMax = 1_000;
const endpointsEach = 5;
const networks = bothNetworks.filter(({ family }) => family === 4);
const node = { name: 'node', zone: undefined, ips: nodeIps };
const pod = { ip: '10.244.0.11', port: 7000 };
const frontend = { address: '10.96.200.9', port: 80 };

/** A connection from pod to pod of one node: by its address, and through a Service among many. */
export const servicePaths: Row = {
  name: 'service-paths',
  inNamespaces: true,
  run: async (scale) => {
    await using stack = new AsyncDisposableStack();

    const net = (await startPacketNet('paths'))('ip');
    stack.use(net);
    const traffic = buildTraffic(mkdtempSync(join(tmpdir(), 'podwright-traffic-')));
    const server = spawn('nsenter', [`--net=${netnsOf('b')}`, traffic, 'serve', String(pod.port)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    stack.defer(() => void server.kill('SIGKILL'));
    await createInterface({ input: server.stdout })[Symbol.asyncIterator]().next();
    const cgroup = `/sys/fs/cgroup/podwright-paths-${process.pid}`;
    mkdirSync(cgroup);
    stack.defer(() => rmdirSync(cgroup));
    const ask = asker(traffic, cgroup);
    const paths = pathsOf(cgroup);
    return await compare(paths, scale, async (to) => {
      const rates = summarise(await ask('connections', to, scale.isQuick ? 500 : 3_000));
      const pings = summarise(await ask('pings', to, scale.isQuick ? 2_000 : 20_000));
      return { rate: 1e9 / rates.median, median: pings.median / 1e6, p99: pings.p99 / 1e6 };
    });
  },
};

const netnsOf = (name: string): string => `${tmpdir()}/podwright-test-paths-${process.pid}-${name}`;

type Target = { readonly ip: string; readonly port: number };
type Ask = (what: 'connections' | 'pings', to: Target, count: number) => Promise<readonly number[]>;

/** From pod a, in a cgroup that sockets may be led in. Nanoseconds. */
function asker(traffic: string, cgroup: string): Ask {
  const run = promisify(execFile);
  return async (what, { ip, port }, count) => {
    const script = `echo $$ > ${cgroup}/cgroup.procs; exec nsenter --net=${netnsOf('a')} "$@"`;
    const args = ['-c', script, 'sh', traffic, what, ip, String(port), String(count)];
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

function pathsOf(cgroup: string): readonly PathToPod[] {
  const hasIptables = findProgram('iptables-restore') !== undefined;
  const nothing = async (): Promise<AsyncDisposable> => new AsyncDisposableStack();
  return [
    { name: 'podwright --fast-path all', to: throughService, open: () => openFast(cgroup) },
    { name: 'nftables (podwright)', to: throughService, open: () => openRules('nftables') },
    {
      ...{ name: "iptables (kube-proxy's chains)", to: throughService, open: () => openRules('iptables') },
      ...(hasIptables ? {} : { skipped: 'not installed' }),
    },
    { name: 'direct', to: direct, open: nothing },
    { name: 'direct --fast-path pods', to: direct, open: openRedirects },
  ];
}

const metrics = [
  { key: 'rate', unit: '/s', words: 'connections a second, each with a byte there and back' },
  { key: 'median', unit: 'ms', words: 'a byte there and back on a connection, median' },
  { key: 'p99', unit: 'ms', words: 'a byte there and back on a connection, p99' },
] as const;

type Metrics = Readonly<Record<(typeof metrics)[number]['key'], number>>;

/** All of a path while it is there: setting it up takes longer than measuring it. */
async function compare(
  paths: readonly PathToPod[],
  scale: Scale,
  measure: (to: Target) => Promise<Metrics>,
): Promise<readonly Measurement[]> {
  const seen = new Map<string, Metrics[]>();
  const rounds = scale.rounds(8);
  const contenders = paths.map(({ name, to, skipped, open }): Contender => {
    if (skipped !== undefined) return { name, skipped };
    const round = async (): Promise<number> => {
      await using _ = await open();

      const values = await measure(to);
      seen.set(name, [...(seen.get(name) ?? []), values].slice(-rounds)); // The first are those that warm up.
      return values.rate;
    };
    return { name, round };
  });
  const first = await alternate({ what: '', unit: '/s', contenders, rounds, warmUp: 1 });
  return metrics.map(({ key, unit, words }) => {
    const of = (name: string): ReturnType<typeof summarise> =>
      summarise((seen.get(name) ?? []).map((each) => each[key]));
    return {
      ...{ what: `pod to pod through one of ${servicesMax} Services: ${words}`, unit, budgets: [] },
      ours: of(paths[0]?.name ?? ''),
      peers: first.peers.map((peer) => ('skipped' in peer ? peer : { name: peer.name, ...of(peer.name) })),
    };
  });
}

/** The Service that is measured, last: where rules are a list it is the last of it. */
function allPorts(): ReadonlyMap<string, readonly ProxyPort[]> {
  const all = new Map<string, readonly ProxyPort[]>();
  for (let n = 1; n < servicesMax; n++) {
    const { service, slice } = serviceObjects(n, endpointsEach, 1);
    all.set(`bench/s${n}`, computeProxyPorts(service, [slice], node, 'ip'));
  }
  const backends = [{ ...pod, isLocal: true }];
  all.set('bench/web', [
    {
      ...{ id: 'bench/web:', protocol: 6, clusterIps: [frontend], externals: [], sourceLimit: undefined },
      ...{ nodePort: undefined, backends, localBackends: backends, affinitySeconds: undefined },
      ...{ isInternalLocal: false, isExternalLocal: false },
    },
  ]);
  return all;
}

const nft = createSyncNft();

async function openRules(mode: 'nftables' | 'iptables'): Promise<AsyncDisposable> {
  const xtables = createXtables(process.env, nft);
  const options = { networks, nodeIps, nft, xtables, clock: systemClock, log: silentLogger };
  const rules: ServiceRules =
    mode === 'nftables' ? createNftRules(options) : await createIptablesRules(options);
  for (const [key, ports] of allPorts()) rules.set({ key, family: 4, ports });
  await rules.commit();
  return {
    [Symbol.asyncDispose]: async () => {
      await rules[Symbol.asyncDispose]();
      await (mode === 'nftables' ? removeNftTables(nft) : removeIptables(xtables));
    },
  };
}

async function openFast(cgroup: string): Promise<AsyncDisposable> {
  await using stack = new AsyncDisposableStack();

  stack.use(await openRules('nftables'));
  stack.use(await openRedirects());
  const balancer = createSocketBalancer(cgroup);
  await balancer.replace([...allPorts().values()].flatMap(balancedFrontends));
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
