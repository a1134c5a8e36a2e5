import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import type { EndpointSlice, Node, Service, ServiceSpec } from '#api/generated/objects.ts';
import { createInformerCache } from '#client/informer.ts';
import { ownNetns, type NetOp } from '#native/netlink/netlink.ts';
import { createSyncNetlink } from '#native/netlink/sync.ts';
import { createSyncNft } from '#native/nft/nft.linux.ts';
import type { NftOp } from '#native/nft/nft.ts';
import { CLONE_NEWNET } from '#native/sys/constants.ts';
import { unshare } from '#native/sys/libc.ts';
import { startProxy, type Proxy } from './proxy.ts';

/**
 * The proxy on a real kernel. This process's main thread moves into a network namespace of its own, which plays the node;
 * pods are further namespaces on a bridge, set up as the bridge plugin's `routed` mode does.
 */
const bridgeNetfilter = '/proc/sys/net/bridge/bridge-nf-call-iptables';
const isRoot = process.getuid?.() === 0;

const netlink = createSyncNetlink();
const nft = createSyncNft();
const throwIt = (error: unknown): void => {
  throw error;
};

interface Pod {
  readonly name: string;
  readonly netns: string;
  readonly ip: string;
}

const pods: readonly Pod[] = ['a', 'b', 'c'].map((name, i) => ({
  name,
  netns: `/run/netns/podwright-test-proxy-${process.pid}-${name}`,
  ip: `10.244.0.${i + 10}`,
}));
const [podA, podB, podC] = pods as readonly [Pod, Pod, Pod];

/** A host of the nodes' link that is no node: packets from outside. */
const outside = { netns: `/run/netns/podwright-test-proxy-${process.pid}-out`, ip: '192.0.2.9' };

const servers: ChildProcess[] = [];
let proxy: Proxy;
let version = 10;
const services = createInformerCache<Service>(throwIt);
const slices = createInformerCache<EndpointSlice>(throwIt);
const nodes = createInformerCache<Node>(throwIt);
const tableRef = { family: 'ip', name: 'podwright-proxy' } as const;

const hostOps: readonly NetOp[] = [
  { op: 'setLink', name: 'lo', up: true },
  { op: 'setSysctl', key: 'net.ipv4.ip_forward', value: '1' },
  { op: 'ensureLink', name: 'cni0', link: { kind: 'bridge' }, mac: '0a:58:0a:f4:00:01' },
  { op: 'setLink', name: 'cni0', up: true },
  { op: 'ensureAddress', name: 'cni0', address: '10.244.0.1/24' },
  { op: 'ensureRoute', destination: '10.96.0.0/12', dev: 'lo', scope: 'link', source: '10.244.0.1' },
];

async function joinPod(pod: Pod): Promise<void> {
  await netlink.createNetns(pod.netns);
  const peer = { kind: 'veth', peerName: 'eth0', peerNetns: { kind: 'path', path: pod.netns } } as const;
  await netlink.apply(ownNetns, [
    { op: 'addLink', name: `veth-${pod.name}`, link: peer },
    { op: 'setLink', name: `veth-${pod.name}`, master: 'cni0', up: true },
    // With br_netfilter loaded, translation to the sender itself stays on layer 2 and leaves by the port it came from.
    { op: 'setBridgePort', name: `veth-${pod.name}`, hairpin: true },
  ]);
  await netlink.apply({ kind: 'path', path: pod.netns }, [
    { op: 'setLink', name: 'lo', up: true },
    { op: 'setLink', name: 'eth0', up: true },
    { op: 'ensureAddress', name: 'eth0', address: `${pod.ip}/32` },
    { op: 'ensureRoute', destination: '10.244.0.1/32', dev: 'eth0', scope: 'link' },
    { op: 'ensureRoute', destination: 'default', gateway: '10.244.0.1', dev: 'eth0' },
  ]);
}

async function joinOutside(): Promise<void> {
  await netlink.createNetns(outside.netns);
  const peer = { kind: 'veth', peerName: 'eth0', peerNetns: { kind: 'path', path: outside.netns } } as const;
  await netlink.apply(ownNetns, [
    { op: 'addLink', name: 'uplink', link: peer },
    { op: 'setLink', name: 'uplink', up: true },
    { op: 'ensureAddress', name: 'uplink', address: '192.0.2.1/24' },
    // Without a way to an address that is not the node's, its own processes could not even begin to send there.
    { op: 'ensureRoute', destination: '203.0.113.0/24', gateway: '192.0.2.9' },
  ]);
  await netlink.apply({ kind: 'path', path: outside.netns }, [
    { op: 'setLink', name: 'eth0', up: true },
    { op: 'ensureAddress', name: 'eth0', address: `${outside.ip}/24` },
    { op: 'ensureRoute', destination: '10.96.0.0/12', gateway: '192.0.2.1' },
    { op: 'ensureRoute', destination: '203.0.113.0/24', gateway: '192.0.2.1' },
  ]);
}

/** Runs JavaScript inside a namespace ('' is the node itself). */
function runIn(netns: string, script: string): ChildProcess {
  const command = netns === '' ? [] : ['nsenter', `--net=${netns}`];
  const [file = '', ...args] = [...command, process.execPath, '-e', script];
  return spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] });
}

/** Answers every TCP connection and UDP packet on 8080 with its name and whom it sees. */
async function serve(pod: Pod): Promise<void> {
  const server = runIn(
    pod.netns,
    `const name = ${JSON.stringify(pod.name)};
     require('net').createServer(s => { s.on('error', () => {}); s.end(name + ' ' + s.remoteAddress.replace('::ffff:', '')); }).listen(8080, '0.0.0.0', () => {
       const u = require('dgram').createSocket('udp4');
       u.on('message', (m, from) => u.send(name + ' ' + from.address, from.port, from.address));
       const other = require('dgram').createSocket('udp4');
       other.on('message', (m, from) => other.send(name + 2 + ' ' + from.address, from.port, from.address));
       u.bind(8080, () => other.bind(8082, () => console.log('ready')));
     });`,
  );
  servers.push(server);
  await once(server.stdout as Readable, 'data');
}

/** Long enough for an answer to come in a quiet moment: that none comes is true however busy the machine is. */
const silenceMs = 1500;

/** What `count` connections from a place got: `name client-address`, an errno, or `timeout`. */
async function connect(netns: string, to: string, count = 1, timeoutMs = 60_000): Promise<readonly string[]> {
  const [host = '', port = ''] = to.split(':');
  const client = runIn(
    netns,
    `(async () => { const net = require('net'); const out = [];
     for (let i = 0; i < ${count}; i++) out.push(await new Promise(done => {
       const s = net.connect({ host: ${JSON.stringify(host)}, port: ${port}, timeout: ${timeoutMs} });
       let text = ''; s.on('data', d => text += d); s.on('end', () => done(text));
       s.on('timeout', () => { s.destroy(); done('timeout'); }); s.on('error', e => done(e.code));
     })); console.log(JSON.stringify(out)); })()`,
  );
  const [data] = (await once(client.stdout as Readable, 'data')) as [Buffer];
  return JSON.parse(data.toString()) as string[];
}

/** What an HTTP server answers to somebody in the namespace; undefined if nobody listens. */
async function get(
  netns: string,
  url: string,
): Promise<{ readonly status: number; readonly weight?: string; readonly body: unknown } | undefined> {
  const client = runIn(
    netns,
    `require('http').get(${JSON.stringify(url)}, (r) => {
       let text = ''; r.on('data', d => text += d);
       r.on('end', () => console.log(JSON.stringify({
         status: r.statusCode, weight: r.headers['x-load-balancing-endpoint-weight'], body: JSON.parse(text) })));
     }).on('error', () => console.log('null'));`,
  );
  const [data] = (await once(client.stdout as Readable, 'data')) as [Buffer];
  return JSON.parse(data.toString()) ?? undefined;
}

/** A client that sends a packet every 20 ms from the same port to `address[:port]`; resolves `heard(name)` when that pod answers. */
function sendForEver(netns: string, to: string): { readonly heard: (name: string) => Promise<void> } {
  const client = runIn(
    netns,
    `const u = require('dgram').createSocket('udp4');
     u.on('message', m => console.log(String(m)));
     setInterval(() => u.send('x', ${to.split(':')[1] ?? 80}, ${JSON.stringify(to.split(':')[0])}, () => {}), 20);
     u.on('error', () => {});`,
  );
  servers.push(client);
  const stdout = client.stdout as Readable;
  return {
    heard: async (name) => {
      for await (const data of stdout.iterator({ destroyOnReturn: false }))
        if (String(data).includes(`${name} `)) return;
    },
  };
}

function remove(name: string): Promise<void> {
  const metadata = { namespace: 'd', name, uid: name, resourceVersion: String(++version) };
  services.apply({ type: 'DELETED', object: { metadata } });
  return proxy.idle();
}

function put(
  name: string,
  spec: ServiceSpec,
  backends: readonly Pod[],
  protocol: 'TCP' | 'UDP' = 'TCP',
): Promise<void> {
  const meta = { namespace: 'd', uid: name, resourceVersion: String(++version) };
  const ports = [{ port: 80, protocol, ...spec.ports?.[0] }];
  services.apply({
    type: 'MODIFIED',
    object: {
      metadata: { ...meta, name },
      spec: { clusterIPs: [spec.clusterIP ?? ''], ...spec, ports },
      ...(spec.type === 'LoadBalancer'
        ? { status: { loadBalancer: { ingress: [{ ip: '203.0.113.80' }] } } }
        : {}),
    },
  });
  return putEndpoints(name, backends, protocol);
}

function putEndpoints(
  name: string,
  backends: readonly Pod[],
  protocol: 'TCP' | 'UDP' = 'TCP',
  port = 8080,
): Promise<void> {
  slices.apply({
    type: 'MODIFIED',
    object: {
      addressType: 'IPv4',
      metadata: {
        namespace: 'd',
        name: `${name}-1`,
        uid: `${name}-1`,
        resourceVersion: String(++version),
        labels: { 'kubernetes.io/service-name': name },
      },
      ports: [{ port, protocol }],
      endpoints: backends.map((pod) => ({
        addresses: [pod.ip],
        conditions: { ready: true },
        nodeName: 'node',
      })),
    },
  });
  return proxy.idle();
}

const namesOf = (replies: readonly string[]): ReadonlySet<string> =>
  new Set(replies.map((reply) => reply.split(' ')[0] ?? ''));

describe.skipIf(!isRoot)('proxy on the kernel (needs root)', () => {
  beforeAll(async () => {
    expect(unshare(CLONE_NEWNET)).toBe(0);
    await netlink.apply(ownNetns, hostOps);
    for (const pod of pods) await joinPod(pod);
    await joinOutside();
    await Promise.all([podA, podB].map(serve));
    services.replace([], '1');
    slices.replace([], '1');
    nodes.replace([{ metadata: { name: 'node', resourceVersion: '1' } }], '1');
    proxy = await startProxy({
      services,
      endpointSlices: slices,
      nodes,
      nodeName: 'node',
      nodeIps: ['192.0.2.1'],
      healthPort: 10_256,
      networks: [{ family: 4, clusterCidr: '10.244.0.0/16', serviceCidr: '10.96.0.0/12' }],
      nft,
      clock: systemClock,
      log: silentLogger,
    });
  });

  afterAll(async () => {
    await proxy[Symbol.asyncDispose]();
    for (const server of servers) server.kill('SIGKILL');
    for (const { netns } of [...pods, outside]) await netlink.removeNetns(netns);
  });

  test('a pod reaches both backends by the ClusterIP, and they see the pod', async () => {
    await put('web', { clusterIP: '10.96.0.80' }, [podA, podB]);
    const replies = await connect(podC.netns, '10.96.0.80:80', 40);
    expect(namesOf(replies)).toEqual(new Set(['a', 'b']));
    expect(new Set(replies.map((reply) => reply.split(' ')[1]))).toEqual(new Set([podC.ip]));
  });

  test('a process of the node reaches the ClusterIP', async () => {
    await put('web', { clusterIP: '10.96.0.80' }, [podA, podB]);
    expect(namesOf(await connect('', '10.96.0.80:80', 20))).toEqual(new Set(['a', 'b']));
  });

  test('a pod reaches itself through its Service', async () => {
    await put('self', { clusterIP: '10.96.0.81' }, [podA]);
    expect(await connect(podA.netns, '10.96.0.81:80')).toEqual(['a 10.244.0.1']);
  });

  test.skipIf(!existsSync(bridgeNetfilter))('the same with and without br_netfilter', async () => {
    await put('self', { clusterIP: '10.96.0.81' }, [podA]);
    for (const value of ['0', '1']) {
      await netlink.apply(ownNetns, [{ op: 'setSysctl', key: 'net.bridge.bridge-nf-call-iptables', value }]);
      expect(await connect(podA.netns, '10.96.0.81:80')).toEqual(['a 10.244.0.1']);
      expect(await connect(podC.netns, '10.96.0.81:80', 5)).toEqual(Array(5).fill(`a ${podC.ip}`));
    }
  });

  test('a Service without endpoints refuses at once, from pods and from the node', async () => {
    await put('empty', { clusterIP: '10.96.0.82' }, []);
    expect(await connect(podC.netns, '10.96.0.82:80')).toEqual(['ECONNREFUSED']);
    expect(await connect('', '10.96.0.82:80')).toEqual(['ECONNREFUSED']);
  });

  test('a port that the Service does not have refuses at once', async () => {
    await put('web', { clusterIP: '10.96.0.80' }, [podA]);
    expect(await connect(podC.netns, '10.96.0.80:81')).toEqual(['ECONNREFUSED']);
    expect(await connect('', '10.96.0.80:81')).toEqual(['ECONNREFUSED']);
  });

  test('a backend that is not ready gets nothing from the next connection on', async () => {
    await put('web', { clusterIP: '10.96.0.80' }, [podA, podB]);
    await putEndpoints('web', [podB]);
    expect(namesOf(await connect(podC.netns, '10.96.0.80:80', 20))).toEqual(new Set(['b']));
  });

  test('ClientIP affinity keeps a client on one backend while it is there', async () => {
    await put('sticky', { clusterIP: '10.96.0.83', sessionAffinity: 'ClientIP' }, [podA, podB]);
    const before = namesOf(await connect(podC.netns, '10.96.0.83:80', 20));
    expect(before.size).toBe(1);
    const other = before.has('a') ? podB : podA;
    await putEndpoints('sticky', [other]);
    expect(namesOf(await connect(podC.netns, '10.96.0.83:80', 5))).toEqual(new Set([other.name]));
    await putEndpoints('sticky', [podA, podB]);
    expect(namesOf(await connect(podC.netns, '10.96.0.83:80', 20))).toEqual(new Set([other.name]));
  });

  test('a node port answers from outside with the node in between, and from the node itself', async () => {
    await put('np', { clusterIP: '10.96.0.84', type: 'NodePort', ports: [{ port: 80, nodePort: 30_080 }] }, [
      podA,
    ]);
    expect(await connect(outside.netns, '192.0.2.1:30080')).toEqual(['a 10.244.0.1']);
    expect(namesOf(await connect('', '192.0.2.1:30080'))).toEqual(new Set(['a']));
    expect(namesOf(await connect(podC.netns, '192.0.2.1:30080'))).toEqual(new Set(['a']));
  });

  test('externalTrafficPolicy Local keeps the client address', async () => {
    const ports = [{ port: 80, nodePort: 30_081 }];
    await put('npl', { clusterIP: '10.96.0.85', type: 'NodePort', externalTrafficPolicy: 'Local', ports }, [
      podA,
    ]);
    // The pod answers to an address that it reaches by the node alone.
    expect(await connect(outside.netns, '192.0.2.1:30081')).toEqual([`a ${outside.ip}`]);
  });

  test('an external IP leads to the backends', async () => {
    await put('ext', { clusterIP: '10.96.0.86', externalIPs: ['203.0.113.5'] }, [podB]);
    expect(namesOf(await connect(outside.netns, '203.0.113.5:80'))).toEqual(new Set(['b']));
  });

  test('a UDP client moves on when its backend goes', async () => {
    await put('udp', { clusterIP: '10.96.0.87' }, [podA], 'UDP');
    const { heard } = sendForEver(podC.netns, '10.96.0.87');
    await heard('a');
    await putEndpoints('udp', [podB], 'UDP');
    await heard('b');
  });

  test('a UDP client finds the first backend of a Service that had none', async () => {
    await put('udp-late', { clusterIP: '10.96.0.88' }, [], 'UDP');
    const { heard } = sendForEver(podC.netns, '10.96.0.88');
    await putEndpoints('udp-late', [podB], 'UDP');
    await heard('b');
  });

  test.each([
    { name: 'its address', from: podC.netns, to: '10.96.0.92:80' },
    { name: 'an external address', from: outside.netns, to: '203.0.113.92:80' },
    { name: 'the address of a load balancer', from: outside.netns, to: '203.0.113.80:80' },
    { name: 'a node port', from: outside.netns, to: '192.0.2.1:30092' },
    { name: 'a node port of another address of the node', from: podC.netns, to: '10.244.0.1:30092' },
  ])('a UDP client that came by $name moves on when the port that answers changes', async ({ from, to }) => {
    const ports = [{ port: 80, nodePort: 30_092 }];
    const spec: ServiceSpec = {
      type: 'LoadBalancer',
      clusterIP: '10.96.0.92',
      externalIPs: ['203.0.113.92'],
      ports,
    };
    await put('udp-port', spec, [podA], 'UDP');
    const { heard } = sendForEver(from, to);
    await heard('a');
    await putEndpoints('udp-port', [podA], 'UDP', 8082);
    await heard('a2');
    await remove('udp-port');
  });

  test('UDP flows end when their Service turns to TCP', async () => {
    await put('udp-tcp', { clusterIP: '10.96.0.93' }, [podA], 'UDP');
    await sendForEver(podC.netns, '10.96.0.93').heard('a');
    await put('udp-tcp', { clusterIP: '10.96.0.93' }, [podA], 'TCP');
    const flow = { protocol: 17, originalDestination: '10.96.0.93', port: 80 };
    const only = [{ ip: podA.ip, port: 8080 }];
    expect(await nft.flushConntrack(ownNetns, [{ ...flow, replies: { only } }])).toBe(0);
  });

  test('UDP flows end with their Service', async () => {
    await put('udp-gone', { clusterIP: '10.96.0.89' }, [podA], 'UDP');
    await sendForEver(podC.netns, '10.96.0.89').heard('a');
    await remove('udp-gone');
    const flow = { protocol: 17, originalDestination: '10.96.0.89', port: 80 };
    const only = [{ ip: podA.ip, port: 8080 }];
    expect(await nft.flushConntrack(ownNetns, [{ ...flow, replies: { only } }])).toBe(0);
  });

  test('loadBalancerSourceRanges lets in who is in one', async () => {
    const ports = [{ port: 80, nodePort: 30_082 }];
    const put30 = (...loadBalancerSourceRanges: string[]): Promise<void> =>
      put('lb', { type: 'LoadBalancer', clusterIP: '10.96.0.90', ports, loadBalancerSourceRanges }, [podA]);
    await put30('10.0.0.0/8', '192.0.2.8/29');
    expect(await connect(outside.netns, '203.0.113.80:80')).toEqual(['a 10.244.0.1']);
    expect(await connect(podC.netns, '203.0.113.80:80')).toEqual([`a ${podC.ip}`]);
    await put30('192.0.2.16/29', '198.51.100.0/24');
    expect(await connect(outside.netns, '203.0.113.80:80', 1, silenceMs)).toEqual(['timeout']);
    expect(await connect(podC.netns, '203.0.113.80:80', 1, silenceMs)).toEqual(['timeout']);
    expect(await connect('', '203.0.113.80:80', 1, silenceMs)).toEqual(['timeout']);
    expect(await connect(outside.netns, '192.0.2.1:30082')).toEqual(['a 10.244.0.1']);
    expect(await connect(outside.netns, '10.96.0.90:80')).toEqual(['a 10.244.0.1']);
    await put30();
    expect(await connect(outside.netns, '203.0.113.80:80')).toEqual(['a 10.244.0.1']);
    await remove('lb');
  });

  test('healthCheckNodePort tells load balancers whether endpoints are here', async () => {
    const spec: ServiceSpec = {
      type: 'LoadBalancer',
      clusterIP: '10.96.0.91',
      externalTrafficPolicy: 'Local',
      healthCheckNodePort: 30_990,
    };
    await put('checked', spec, [podA, podB]);
    const ask = () => get(outside.netns, 'http://192.0.2.1:30990/healthz');
    const answer = (localEndpoints: number) => ({
      status: localEndpoints > 0 ? 200 : 503,
      weight: String(localEndpoints),
      body: { service: { namespace: 'd', name: 'checked' }, localEndpoints, serviceProxyHealthy: true },
    });
    expect(await ask()).toEqual(answer(2));
    await putEndpoints('checked', []);
    expect(await ask()).toEqual(answer(0));
    await put('checked', { ...spec, healthCheckNodePort: 30_991 }, [podA]);
    expect(await ask()).toBeUndefined();
    expect(await get(outside.netns, 'http://192.0.2.1:30991/')).toEqual(answer(1));
    await remove('checked');
    expect(await get(outside.netns, 'http://192.0.2.1:30991/')).toBeUndefined();
  });

  test('port 10256 says that the node may get connections, until it is about to go', async () => {
    const ask = (path: string) => get(outside.netns, `http://192.0.2.1:10256/${path}`);
    expect(await ask('healthz')).toMatchObject({ status: 200, body: { nodeEligible: true } });
    const metadata = { name: 'node', resourceVersion: String(++version) };
    const taints = [{ key: 'ToBeDeletedByClusterAutoscaler', effect: 'NoSchedule' }] as const;
    nodes.apply({ type: 'MODIFIED', object: { metadata, spec: { taints } } });
    expect(await ask('healthz')).toMatchObject({ status: 503, body: { nodeEligible: false } });
    expect(await ask('livez')).toMatchObject({ status: 200 });
  });

  test('the table comes back whole when somebody removed it', async () => {
    await put('web', { clusterIP: '10.96.0.80' }, [podA]);
    await nft.commit(ownNetns, [{ op: 'removeTable', table: { family: 'ip', name: 'podwright-proxy' } }]);
    await putEndpoints('web', [podB]);
    expect(namesOf(await connect(podC.netns, '10.96.0.80:80', 5))).toEqual(new Set(['b']));
    expect(await connect(podA.netns, '10.96.0.81:80')).toEqual(['a 10.244.0.1']);
  });

  test.each<[string, readonly NftOp[]]>([
    ['removed', [{ op: 'removeTable', table: tableRef }]],
    ['flushed', ['services', 'prerouting'].map((name) => ({ op: 'flushChain', table: tableRef, name }))],
  ])('a table that somebody %s comes back by itself', async (_name, ops) => {
    await put('web', { clusterIP: '10.96.0.80' }, [podA]);
    const rules = await nft.ruleCount(ownNetns, tableRef);
    await nft.commit(ownNetns, ops);
    expect(await nft.ruleCount(ownNetns, tableRef)).toBeLessThan(rules);
    await expect.poll(() => nft.ruleCount(ownNetns, tableRef), { timeout: 60_000 }).toBe(rules);
    expect(namesOf(await connect(podC.netns, '10.96.0.80:80', 5))).toEqual(new Set(['a']));
  });

  test.skipIf(!existsSync('/usr/sbin/nft'))('nft flush ruleset is undone', async () => {
    await put('web', { clusterIP: '10.96.0.80' }, [podA]);
    const rules = await nft.ruleCount(ownNetns, tableRef);
    execFileSync('nft', ['flush', 'ruleset']);
    await expect.poll(() => nft.ruleCount(ownNetns, tableRef), { timeout: 60_000 }).toBe(rules);
    expect(namesOf(await connect(podC.netns, '10.96.0.80:80', 5))).toEqual(new Set(['a']));
  });
});
