/**
 * A node of both families for tests of packets: this process's main thread in a network namespace of its own, pods in further ones
 * on a bridge, set up as the bridge plugin's `routed` mode does, and a host of the nodes' link that is no node. In each a process
 * is a client or a server of real sockets. Addresses are named by those of IPv4 (`inFamily` of services.fixture.ts).
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { tmpdir } from 'node:os';
import { createInterface } from 'node:readline';
import { formatCidr, networkOf, parseCidr } from '#base/ip.ts';
import { planServiceRoutes } from '#agent/network/fabric/fabric-plan.ts';
import type { ClusterNetwork } from '#agent/network/cluster-network.ts';
import { ownNetns, type Netlink, type NetOp, type NetnsRef } from '#native/netlink/netlink.ts';
import { createSyncNetlink } from '#native/netlink/sync.ts';
import { CLONE_NEWNET } from '#native/sys/constants.ts';
import { unshare } from '#native/sys/libc.ts';
import { inFamily } from './services.fixture.ts';

export const families = ['ip', 'ip6'] as const;
export type TestFamily = (typeof families)[number];

export const networks: readonly ClusterNetwork[] = families.map((family) => ({
  family: family === 'ip' ? 4 : 6,
  ...networksOf(family),
}));

/** As networks, without bits behind the prefix. */
function networksOf(family: TestFamily): Omit<ClusterNetwork, 'family'> {
  const [clusterCidr = '', serviceCidr = ''] = inFamily(family, ['10.244.0.0/16', '10.96.0.0/16']).map(
    (text) => {
      const cidr = parseCidr(text);
      return cidr === undefined ? '' : formatCidr(networkOf(cidr));
    },
  );
  return { clusterCidr, serviceCidr };
}

export const nodeIps: readonly string[] = families.map((family) => inFamily(family, '192.0.2.1'));

/** The host outside has this one, as a load balancer that forwards connections itself. */
export const balancerIp = '203.0.113.81';

/** Beside the pod that serves there, so that an answer to it never passes this node. */
export const farClient = '10.244.1.11';

/** What pods of another node see of this one. */
export const farGateway = '10.244.1.1';

/** Of the wait for what does not come: that none comes is true however busy the machine is. */
export const silenceMs = 500;

export interface Answer {
  readonly status: number;
  readonly weight?: string;
  readonly body: unknown;
}

export interface Sender extends Disposable {
  /** When that pod answers the next time: the number of its packet. */
  readonly heard: (name: string) => Promise<number>;
  /** The number of the last packet that was sent. */
  readonly sent: () => Promise<number>;
  /** Who answered which packet. */
  readonly answers: () => readonly { readonly name: string; readonly number: number }[];
}

/** A process in one of the namespaces. */
export interface Peer {
  readonly ip: string; // of IPv4
  /** Path of its network namespace; the node's is the process's own. */
  readonly netns: string | undefined;
  /** What so many TCP connections got, one after the other: `name client-address`, an errno, or `timeout`. */
  connect(to: string, count?: number, timeoutMs?: number): Promise<readonly string[]>;
  /** The same of packets of UDP, each from a port of its own. */
  ask(to: string, count?: number, timeoutMs?: number): Promise<readonly string[]>;
  /**
   * Answers every TCP connection and UDP packet on 8080 with the name and whom it sees, and on 8082 with `NAME2`; at an address of
   * IPv4 and its like alone, where one is given. What it serves already it goes on serving.
   */
  serve(name: string, at?: string): Promise<void>;
  /** As many ports of TCP from one on, each of which answers as `NAMEPORT`. */
  servePorts(name: string, from: number, count: number): Promise<void>;
  /** What an HTTP server answers; undefined if nobody listens. */
  get(url: string): Promise<Answer | undefined>;
  /** Sends numbered packets, one in 10 ms, from the same port until disposed; by a socket that is connected, where that is said. */
  send(to: string, options?: { readonly isConnected?: boolean }): Sender;
  /** Of its process. */
  readonly pid: number;
  /** Connects again and again until asked what it got. */
  keepConnecting(to: string): { readonly stop: () => Promise<readonly string[]> };
}

export interface PacketNet extends AsyncDisposable {
  readonly pods: readonly [Peer, Peer, Peer];
  /** Pods of another node: its servers are at its address, and its clients come from `farClient`. */
  readonly far: Peer;
  readonly outside: Peer;
  readonly node: Peer;
}

export const place = (family: TestFamily, to: string): { readonly host: string; readonly port: number } => {
  const [host = '', port = ''] = to.split(':');
  return { host: inFamily(family, host), port: Number(port) };
};

/** Of the pods that answered. */
export const namesOf = (replies: readonly string[]): ReadonlySet<string> =>
  new Set(replies.map((reply) => reply.split(' ')[0] ?? ''));

/** χ² of what each of some equally likely ones got. */
export function chiSquare(replies: readonly string[], names: readonly string[]): number {
  const expected = replies.length / names.length;
  const counts = names.map((name) => replies.filter((reply) => reply.startsWith(`${name} `)).length);
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
}

const script = String.raw`
const net = require('net'), dgram = require('dgram'), http = require('http');
const bare = (ip) => ip.replace(/^::ffff:/, '').replace(/%.*/, '');
const one = ({ host, port, timeoutMs }) => new Promise((done) => {
  const s = net.connect({ host, port, timeout: timeoutMs }); let text = '';
  s.on('data', (d) => (text += d)); s.on('end', () => done(text));
  s.on('timeout', () => { s.destroy(); done('timeout'); }); s.on('error', (e) => done(e.code));
});
const udp = (host) => dgram.createSocket(host.includes(':') ? 'udp6' : 'udp4');
const packet = ({ host, port, timeoutMs }) => new Promise((done) => {
  const u = udp(host); const end = (t) => { clearTimeout(timer); clearInterval(again); try { u.close(); } catch {} done(t); };
  const timer = setTimeout(() => end('timeout'), timeoutMs);
  u.on('error', (e) => end(e.code)); u.on('message', (m) => end(String(m)));
  const say = () => u.send('x', (e) => e && end(e.code));
  const again = setInterval(say, 2000);
  u.connect(port, host, say);
});
const there = new Set();
const listen = (port, name, host) => there.has(host + ' ' + port) || new Promise((done) => net.createServer((s) => {
  s.on('error', () => {}); s.end(name + ' ' + bare(s.remoteAddress));
}).listen(port, host, done));
const answer = (port, name, host) => there.has(host + ' ' + port) || new Promise((done) => {
  const u = udp(host); u.on('message', (m, from) => u.send(name + ' ' + bare(from.address) + (String(m) === 'x' ? '' : ' ' + m), from.port, from.address)); u.bind(port, host, done);
});
const once = async (port, host, ...begin) => { for (const each of begin) await each(); there.add(host + ' ' + port); };
const many = async (f, o) => { const out = []; for (let i = 0; i < o.count; i++) out.push(await f(o)); return out; };
const running = new Map(), sent = new Map();
const ops = {
  connect: (o) => many(one, o), ask: (o) => many(packet, o),
  serve: async ({ name, hosts }) => {
    for (const host of hosts) for (const [port, suffix] of [[8080, ''], [8082, '2']])
      await once(port, host, () => listen(port, name + suffix, host), () => answer(port, name + suffix, host));
    return true;
  },
  servePorts: async ({ name, from, count }) => {
    for (let port = from; port < from + count; port++) await once(port, '::', () => listen(port, name + port, '::'));
    return true;
  },
  get: ({ url }) => new Promise((done) => http.get(url, { agent: false }, (r) => { let text = ''; r.on('data', (d) => (text += d));
    r.on('end', () => done({ status: r.statusCode, weight: r.headers['x-load-balancing-endpoint-weight'], body: JSON.parse(text) }));
  }).on('error', () => done(null))),
  send: ({ host, port, key, isConnected }) => {
    const u = udp(host); u.on('error', () => {}); let number = 0;
    const to = isConnected ? [] : [port, host];
    u.on('message', (m) => console.log(JSON.stringify({ heard: key, text: String(m) })));
    let timer; const begin = () => { timer = setInterval(() => u.send(String(++number), ...to, () => {}), 10); };
    if (isConnected) u.connect(port, host, begin); else begin();
    sent.set(key, () => number);
    running.set(key, () => { clearInterval(timer); u.close(); });
    return true;
  },
  sent: ({ key }) => sent.get(key)(),
  keep: (o) => { let on = true; const out = []; const end = (async () => { while (on) out.push(await one(o)); })();
    running.set(o.key, async () => { on = false; await end; return out; }); return true; },
  stop: async ({ key }) => { const stop = running.get(key); running.delete(key); return (await stop?.()) ?? true; },
};
require('readline').createInterface({ input: process.stdin }).on('line', async (line) => {
  const { id, op, ...rest } = JSON.parse(line);
  console.log(JSON.stringify({ id, result: await ops[op](rest) }));
}).on('close', () => process.exit());
`;

/** The result of a call, or what a client heard. */
interface Said {
  readonly id?: number;
  readonly result?: unknown;
  readonly heard?: string;
  readonly text?: string;
}

/** A peer of each family, by one process. `netns` '' is the node itself. */
function startPeer(
  netns: string,
  ip: string,
): { readonly child: ChildProcess; readonly of: (family: TestFamily) => Peer } {
  const enter = netns === '' ? [] : ['nsenter', `--net=${netns}`];
  const [file = '', ...args] = [...enter, process.execPath, '-e', script];
  const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const waiting = new Map<number, (result: unknown) => void>();
  const heard = new Map<string, (text: string) => void>();
  createInterface({ input: child.stdout }).on('line', (line) => {
    const { id = 0, result, heard: key, text = '' } = JSON.parse(line) as Said;
    if (key !== undefined) heard.get(key)?.(text);
    else waiting.get(id)?.(result);
  });
  let last = 0;
  const call = async <T>(op: string, rest: object): Promise<T> => {
    const id = ++last;
    const { promise, resolve } = Promise.withResolvers<unknown>();
    waiting.set(id, resolve);
    child.stdin.write(`${JSON.stringify({ id, op, ...rest })}\n`);
    return (await promise) as T;
  };
  const of = (family: TestFamily): Peer => ({
    ip,
    pid: child.pid ?? 0,
    netns: netns === '' ? undefined : netns,
    connect: (to, count = 1, timeoutMs = 60_000) =>
      call('connect', { ...place(family, to), count, timeoutMs }),
    ask: (to, count = 1, timeoutMs = 60_000) => call('ask', { ...place(family, to), count, timeoutMs }),
    serve: async (name, at) => {
      const hosts = at === undefined ? ['::'] : families.map((each) => inFamily(each, at));
      await call('serve', { name, hosts });
    },
    servePorts: async (name, from, count) => void (await call('servePorts', { name, from, count })),
    get: async (url) => {
      const { protocol, hostname, port, pathname } = new URL(url);
      const host = inFamily(family, hostname);
      const at = host.includes(':') ? `[${host}]` : host;
      return (
        (await call<Answer | null>('get', { url: `${protocol}//${at}:${port}${pathname}` })) ?? undefined
      );
    },
    send: (to, { isConnected = false } = {}) => {
      const key = `send ${++last}`;
      const answers: { readonly name: string; readonly number: number }[] = [];
      const waits = new Set<() => void>();
      heard.set(key, (text) => {
        const [name = '', , number] = text.split(' ');
        answers.push({ name, number: Number(number) });
        for (const tell of waits) tell();
      });
      void call('send', { ...place(family, to), key, isConnected });
      return {
        answers: () => answers,
        sent: () => call('sent', { key }),
        heard: async (name) => {
          const from = answers.length;
          for (;;) {
            const found = answers.slice(from).find((answer) => answer.name === name);
            if (found !== undefined) return found.number;
            const { promise, resolve } = Promise.withResolvers<void>();
            waits.add(resolve);
            await promise;
            waits.delete(resolve);
          }
        },
        [Symbol.dispose]: () => void call('stop', { key }),
      };
    },
    keepConnecting: (to) => {
      const key = `keep ${++last}`;
      void call('keep', { ...place(family, to), key, timeoutMs: 60_000 });
      return { stop: () => call('stop', { key }) };
    },
  });
  return { child, of };
}

const both = (ops: (to: <T>(value: T) => T) => readonly NetOp[]): readonly NetOp[] =>
  families.flatMap((family) => ops((value) => inFamily(family, value)));

const quick = (link: string): NetOp => ({
  op: 'setSysctl',
  key: `net/ipv6/conf/${link}/accept_dad`,
  value: '0',
});

/** Pods of another node, which is but the link there. */
async function makeFar(netlink: Netlink, path: string): Promise<void> {
  const netns: NetnsRef = { kind: 'path', path };
  await netlink.createNetns(path);
  await netlink.apply(ownNetns, [
    { op: 'addLink', name: 'far0', link: { kind: 'veth', peerName: 'eth0', peerNetns: netns } },
    quick('far0'),
    { op: 'setLink', name: 'far0', up: true },
    ...both((of) => [{ op: 'ensureAddress', name: 'far0', address: of(`${farGateway}/24`) }]),
  ]);
  await netlink.apply(netns, [
    { op: 'setLink', name: 'lo', up: true },
    quick('eth0'),
    { op: 'setLink', name: 'eth0', up: true },
    ...both((of) => [
      ...[farClient, '10.244.1.10'].map((ip) =>
        of({ op: 'ensureAddress' as const, name: 'eth0', address: `${ip}/32` }),
      ),
      { op: 'ensureRoute', destination: of(`${farGateway}/32`), dev: 'eth0', scope: 'link' },
      of({ op: 'ensureRoute' as const, destination: 'default', gateway: farGateway, source: farClient }),
    ]),
  ]);
}

/** Both the node and whoever the peers play; the calling process's first thread stays in the node's namespace. */
export async function startPacketNet(name: string): Promise<(family: TestFamily) => PacketNet> {
  const netlink = createSyncNetlink();
  if (unshare(CLONE_NEWNET) !== 0) throw new Error('unshare the network namespace');
  const netnsOf = (peer: string): string => `${tmpdir()}/podwright-test-${name}-${process.pid}-${peer}`;
  const at = (peer: string): NetnsRef => ({ kind: 'path', path: netnsOf(peer) });
  await netlink.apply(ownNetns, [
    { op: 'setLink', name: 'lo', up: true },
    { op: 'setSysctl', key: 'net.ipv4.ip_forward', value: '1' },
    { op: 'setSysctl', key: 'net.ipv6.conf.all.forwarding', value: '1' },
    { op: 'ensureLink', name: 'cni0', link: { kind: 'bridge' }, mac: '0a:58:0a:f4:00:01' },
    quick('cni0'),
    { op: 'setLink', name: 'cni0', up: true },
    ...both((of) => [{ op: 'ensureAddress', name: 'cni0', address: of('10.244.0.1/24') }]),
  ]);
  const names = ['a', 'b', 'c'];
  for (const [i, pod] of names.entries()) {
    await netlink.createNetns(netnsOf(pod));
    const peer = { kind: 'veth', peerName: 'eth0', peerNetns: at(pod) } as const;
    await netlink.apply(ownNetns, [
      { op: 'addLink', name: `veth-${pod}`, link: peer },
      quick(`veth-${pod}`),
      { op: 'setLink', name: `veth-${pod}`, master: 'cni0', up: true },
      // With br_netfilter loaded, translation to the sender itself stays on layer 2 and leaves by the port it came from.
      { op: 'setBridgePort', name: `veth-${pod}`, hairpin: true },
    ]);
    await netlink.apply(at(pod), [
      { op: 'setLink', name: 'lo', up: true },
      quick('eth0'),
      { op: 'setLink', name: 'eth0', up: true },
      ...both((of) => [
        { op: 'ensureAddress', name: 'eth0', address: of(`10.244.0.${i + 10}/32`) },
        { op: 'ensureRoute', destination: of('10.244.0.1/32'), dev: 'eth0', scope: 'link' },
        { op: 'ensureRoute', destination: 'default', gateway: of('10.244.0.1'), dev: 'eth0' },
      ]),
    ]);
  }
  await netlink.createNetns(netnsOf('out'));
  const peer = { kind: 'veth', peerName: 'eth0', peerNetns: at('out') } as const;
  await netlink.apply(ownNetns, [
    { op: 'addLink', name: 'uplink', link: peer },
    quick('uplink'),
    { op: 'setLink', name: 'uplink', up: true },
    ...both((of) => [
      { op: 'ensureAddress', name: 'uplink', address: of('192.0.2.1/24') },
      // Without a way to an address that is not the node's, its own processes could not even begin to send there.
      { op: 'ensureRoute', destination: of('203.0.113.0/24'), gateway: of('192.0.2.9') },
    ]),
  ]);
  await netlink.apply(at('out'), [
    quick('eth0'),
    { op: 'setLink', name: 'eth0', up: true },
    ...both((of) => [
      { op: 'ensureAddress', name: 'eth0', address: of('192.0.2.9/24') },
      // Whatever other addresses it has, it asks from this one (RFC 6724 would take the most similar).
      ...['10.96.0.0/16', '203.0.113.0/24', '10.244.0.0/16'].map((destination) =>
        of({ op: 'ensureRoute' as const, destination, gateway: '192.0.2.1', source: '192.0.2.9' }),
      ),
      { op: 'ensureAddress', name: 'eth0', address: of(`${balancerIp}/32`) },
    ]),
  ]);
  await makeFar(netlink, netnsOf('far'));
  await netlink.apply(ownNetns, planServiceRoutes({ networks, nodeIps }, await netlink.state(ownNetns)));
  const peers = [
    ...names.map((pod, i) => startPeer(netnsOf(pod), `10.244.0.${i + 10}`)),
    startPeer(netnsOf('far'), '10.244.1.10'),
    startPeer(netnsOf('out'), '192.0.2.9'),
    startPeer('', '192.0.2.1'),
  ] as const;
  for (const [i, pod] of names.entries()) await peers[i]?.of('ip').serve(pod);
  await peers.at(-3)?.of('ip').serve('far', '10.244.1.10');
  await peers.at(-2)?.of('ip').serve('balancer');
  return (family) => {
    const [a, b, c, far, outside, node] = peers.map((each) => each.of(family)) as unknown as readonly [
      Peer,
      Peer,
      Peer,
      Peer,
      Peer,
      Peer,
    ];
    return {
      pods: [a, b, c],
      far,
      outside,
      node,
      [Symbol.asyncDispose]: async () => {
        for (const { child } of peers) child.kill('SIGKILL');
        for (const one of [...names, 'far', 'out']) await netlink.removeNetns(netnsOf(one));
      },
    };
  };
}
