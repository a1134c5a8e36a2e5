import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createFakeClock, systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import type { Namespace, NetworkPolicy, NetworkPolicySpec, Pod } from '#api/generated/objects.ts';
import { createFakeApiClient } from '#client/client.fake.ts';
import { createInformerCache } from '#client/informer.ts';
import { ownNetns } from '#native/netlink/netlink.ts';
import { createSyncNetlink } from '#native/netlink/sync.ts';
import { createSyncNft } from '#native/nft/nft.linux.ts';
import { CLONE_NEWNET } from '#native/sys/constants.ts';
import { unshare } from '#native/sys/libc.ts';
import { createPolicies, type Policies } from './enforce-policies.ts';
import { policyTable } from './policy-layout.ts';
import { podOf } from './policy.fixture.ts';
import type { TierSource } from './tiers/follow-tiers.ts';
import { parseTierPolicy } from './tiers/parse-tier-policy.ts';
import type { TierPolicy } from './tiers/tier-policy.ts';

/*
 * Policies on a real kernel. This process's main thread moves into a network namespace of its own, which plays the node; pods are
 * further namespaces behind a routed bridge, each with one program that serves and calls.
 */
const netlink = createSyncNetlink();
const nft = createSyncNft();
const table = policyTable('ip');

const podNames = ['a', 'b', 'c'] as const;
type Name = (typeof podNames)[number] | 'node';
const ips: Readonly<Record<Name, string>> = {
  node: '10.244.0.1',
  a: '10.244.0.10',
  b: '10.244.0.11',
  c: '10.244.0.12',
};
const netnsOf = (name: string): string => `${tmpdir()}/podwright-test-policy-${process.pid}-${name}`;

/** Serves TCP and UDP on 8080 and 8081 (echo), and does what it is told. */
const program = `
  const net = require('net'), dgram = require('dgram');
  const held = new Map();
  for (const port of [8080, 8081]) {
    net.createServer((s) => { s.on('error', () => {}); s.pipe(s); }).listen(port, '0.0.0.0');
    const u = dgram.createSocket('udp4'); u.on('message', (m, f) => u.send(m, f.port, f.address)); u.bind(port);
  }
  const tcp = (host, port, ms) => new Promise((done) => {
    const s = net.connect({ host, port }); let timer = setTimeout(() => { s.destroy(); done('nothing'); }, ms);
    s.on('error', (e) => { clearTimeout(timer); done(e.code); });
    s.once('data', () => { clearTimeout(timer); done('ok'); }); s.write('x'); s.unref = undefined; s.name = host + port;
    held.set(s.name, s);
  });
  const say = (host, port, ms) => new Promise((done) => {
    const s = held.get(host + port); const timer = setTimeout(() => done('nothing'), ms);
    s.once('data', () => { clearTimeout(timer); done('ok'); }); s.write('y');
  });
  const sockets = new Map();
  const udp = (host, port, ms) => new Promise((done) => {
    const key = host + port; const u = sockets.get(key) ?? dgram.createSocket('udp4'); sockets.set(key, u);
    u.removeAllListeners('message');
    const again = setInterval(() => u.send('x', port, host, () => {}), 100); u.send('x', port, host, () => {});
    const timer = setTimeout(() => { clearInterval(again); done('nothing'); }, ms);
    u.on('message', () => { clearInterval(again); clearTimeout(timer); done('ok'); });
  });
  process.on('message', async ({ id, verb, host, port, ms }) =>
    process.send({ id, answer: await { tcp, udp, say }[verb](host, port, ms) }));
  process.on('disconnect', () => process.exit());
  process.send({ id: 0 });
`;

const programs = new Map<Name, ChildProcess>();
let lastId = 0;

async function startProgram(name: Name): Promise<void> {
  const command =
    name === 'node'
      ? [process.execPath, '-e', program]
      : ['nsenter', `--net=${netnsOf(name)}`, process.execPath, '-e', program];
  const [file = '', ...args] = command;
  const child = spawn(file, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  child.setMaxListeners(50);
  programs.set(name, child);
  await once(child, 'message');
}

/** What comes back: `ok`, `nothing` within the time, or an error. */
async function call(
  verb: 'tcp' | 'udp' | 'say',
  from: Name,
  to: Name,
  { port = 8080, ms = 20_000 } = {},
): Promise<string> {
  const child = programs.get(from);
  if (child === undefined) throw new Error(`no program in ${from}`);
  const id = ++lastId;
  const { promise, resolve } = Promise.withResolvers<string>();
  const onMessage = (message: { readonly id: number; readonly answer: string }): void => {
    if (message.id !== id) return;
    child.off('message', onMessage);
    resolve(message.answer);
  };
  child.on('message', onMessage);
  child.send({ id, verb, host: ips[to], port, ms });
  return promise;
}

/** Long enough for what would pass to have passed. */
const deniedMs = 700;
const denied = { ms: deniedMs };

const caches = {
  policies: createInformerCache<NetworkPolicy>((error) => {
    throw error;
  }),
  pods: createInformerCache<Pod>(() => {}),
  namespaces: createInformerCache<Namespace>(() => {}),
};
let version = 1;
let policies: Policies;

type TierHandler = Parameters<TierSource['onChange']>[0];
const tierHandlers = new Set<TierHandler>();
let tierPolicies: readonly TierPolicy[] = [];
const tiers: TierSource = {
  onChange: (handler) => {
    tierHandlers.add(handler);
    for (const policy of tierPolicies) handler(policy.name, policy);
    return { [Symbol.dispose]: () => void tierHandlers.delete(handler) };
  },
  onSynced: () => ({ [Symbol.dispose]: () => {} }),
  hasSynced: true,
  find: () => undefined,
  list: () => [],
  freshen: async () => {},
};

/** Policies of the cluster, by their names. */
async function setTiers(specs: Readonly<Record<string, object>>): Promise<void> {
  const before = tierPolicies;
  tierPolicies = Object.entries(specs).map(([name, spec]) =>
    parseTierPolicy('ClusterNetworkPolicy', { metadata: { name }, ...{ spec } }),
  );
  for (const handler of tierHandlers) {
    for (const { name } of before) handler(name, undefined);
    for (const policy of tierPolicies) handler(policy.name, policy);
  }
  await policies.idle();
}

function open(): Policies {
  return createPolicies({
    nodeName: 'here',
    client: createFakeApiClient(createFakeClock()),
    policies: caches.policies,
    allPods: () => caches.pods,
    namespaces: () => caches.namespaces,
    ownPods: caches.pods,
    families: ['ip', 'ip6'],
    tiers,
    nft,
    netlink,
    clock: systemClock,
    log: silentLogger,
    warn: () => {},
  });
}

const attachedOf = (name: (typeof podNames)[number]) => ({
  sandboxId: name,
  uid: `x-${name}`,
  namespace: 'x',
  name,
  ips: [ips[name]],
});

async function setPolicies(specs: Readonly<Record<string, NetworkPolicySpec>>): Promise<void> {
  version += 1;
  const resourceVersion = String(version);
  caches.policies.replace(
    Object.entries(specs).map(([name, spec]) => ({
      metadata: { namespace: 'x', name, uid: name, resourceVersion },
      spec,
    })),
    resourceVersion,
  );
  await policies.idle();
}

async function joinPod(name: (typeof podNames)[number]): Promise<void> {
  await netlink.createNetns(netnsOf(name));
  const inPod = { kind: 'path', path: netnsOf(name) } as const;
  const link = { kind: 'veth', peerName: 'eth0', peerNetns: inPod } as const;
  await netlink.apply(ownNetns, [
    { op: 'addLink', name: `veth-${name}`, link },
    { op: 'setLink', name: `veth-${name}`, master: 'cni0', up: true },
  ]);
  await netlink.apply(inPod, [
    { op: 'setLink', name: 'lo', up: true },
    { op: 'setLink', name: 'eth0', up: true },
    { op: 'ensureAddress', name: 'eth0', address: `${ips[name]}/32` },
    { op: 'ensureRoute', destination: `${ips.node}/32`, dev: 'eth0', scope: 'link' },
    { op: 'ensureRoute', destination: 'default', gateway: ips.node, dev: 'eth0' },
  ]);
}

const only = (name: string): NetworkPolicySpec['podSelector'] => ({ matchLabels: { pod: name } });

describe.skipIf(process.getuid?.() !== 0)('policies on the kernel (needs root)', () => {
  beforeAll(async () => {
    unshare(CLONE_NEWNET);
    await netlink.apply(ownNetns, [
      { op: 'setLink', name: 'lo', up: true },
      { op: 'setSysctl', key: 'net.ipv4.ip_forward', value: '1' },
      { op: 'ensureLink', name: 'cni0', link: { kind: 'bridge' }, mac: '0a:58:0a:f4:00:01' },
      { op: 'setLink', name: 'cni0', up: true },
      { op: 'ensureAddress', name: 'cni0', address: '10.244.0.1/24' },
      { op: 'setSysctl', key: 'net.ipv4.conf.cni0.send_redirects', value: '0' },
    ]);
    for (const name of podNames) await joinPod(name);
    await Promise.all([...podNames, 'node' as const].map(startProgram));
    caches.pods.replace(
      podNames.map((name) => {
        const pod = podOf('x', name, { labels: { pod: name }, ips: [ips[name]] });
        return { ...pod, metadata: { ...pod.metadata, resourceVersion: '1' } };
      }),
      '1',
    );
    caches.namespaces.replace(
      [{ metadata: { name: 'x', uid: 'x', resourceVersion: '1', labels: { ns: 'x' } } }],
      '1',
    );
    caches.policies.replace([], '1');
    policies = open();
    policies.start(podNames.map(attachedOf));
    await policies.idle();
  }, 60_000);

  afterAll(async () => {
    await policies?.[Symbol.asyncDispose]();
    for (const child of programs.values()) child.kill('SIGKILL');
    for (const name of podNames) await netlink.removeNetns(netnsOf(name));
  });

  it('let through what they allow, by protocol and port, and the node always', async () => {
    await setPolicies({
      deny: { podSelector: {}, policyTypes: ['Ingress', 'Egress'] },
      'to-a': {
        podSelector: only('a'),
        ingress: [{ from: [{ podSelector: only('b') }], ports: [{ port: 8080 }] }],
      },
      'from-b': {
        podSelector: only('b'),
        policyTypes: ['Egress'],
        egress: [{ to: [{ ipBlock: { cidr: '10.244.0.0/24', except: ['10.244.0.12/32'] } }] }],
      },
    });
    expect(await call('tcp', 'b', 'a')).toBe('ok');
    const others = await Promise.all([
      call('tcp', 'c', 'a', denied),
      call('tcp', 'b', 'a', { port: 8081, ...denied }),
      call('udp', 'b', 'a', denied),
      call('tcp', 'b', 'c', denied),
      call('tcp', 'a', 'b', denied),
    ]);
    expect(others).toEqual(others.map(() => 'nothing'));
    const own = [
      call('tcp', 'node', 'a'),
      call('udp', 'node', 'c'),
      call('tcp', 'c', 'node'),
      call('tcp', 'a', 'a'),
    ];
    expect(await Promise.all(own)).toEqual(['ok', 'ok', 'ok', 'ok']);
    const counted = new Map(
      (await nft.counters(ownNetns, table)).map(({ name, packets }) => [name, packets]),
    );
    expect(counted.get('allowed-in/x/to-a')).toBe(1);
    expect(counted.get('dropped-in/x/to-a')).toBeGreaterThanOrEqual(2);
    expect(counted.get('dropped-out/x/deny')).toBeGreaterThanOrEqual(2);
  });

  it('cut connections that they come to forbid, both ways, and keep the others', async () => {
    const open = { podSelector: only('a'), ingress: [{ from: [{ podSelector: {} }] }] };
    await setPolicies({ open });
    const begun = [
      call('tcp', 'b', 'a'),
      call('udp', 'b', 'a'),
      call('tcp', 'c', 'a'),
      call('tcp', 'node', 'a'),
    ];
    expect(await Promise.all(begun)).toEqual(['ok', 'ok', 'ok', 'ok']);
    await setPolicies({ open: { ...open, ingress: [{ from: [{ podSelector: only('c') }] }] } });
    await vi.waitFor(async () => expect(await nft.flows(ownNetns, [ips.b])).toEqual([]), {
      timeout: 20_000,
      interval: 50,
    });
    const after = [
      call('say', 'b', 'a', denied),
      call('udp', 'b', 'a', denied),
      call('say', 'c', 'a'),
      call('say', 'node', 'a'),
    ];
    expect(await Promise.all(after)).toEqual(['nothing', 'nothing', 'ok', 'ok']);
  });

  it('of the cluster decide before them, reach to the node, and cut what they come to forbid', async () => {
    await setPolicies({ deny: { podSelector: {}, policyTypes: ['Ingress', 'Egress'] } });
    const podC = { pods: { podSelector: only('c') } };
    const [toA, fromC] = [{ pods: { podSelector: only('a') } }, podC];
    const tcp = [{ tcp: { destinationPort: { number: 8080 } } }];
    const accept = {
      tier: 'Admin',
      priority: 1,
      subject: { namespaces: { matchLabels: { ns: 'x' } } },
      ingress: [{ action: 'Accept', from: [fromC], protocols: tcp }],
      egress: [{ action: 'Accept', to: [toA], protocols: tcp }],
    };
    await setTiers({ accept });
    const first = [
      call('tcp', 'c', 'a'),
      call('tcp', 'c', 'node'),
      call('udp', 'c', 'a', denied),
      call('tcp', 'b', 'a', denied),
    ];
    expect(await Promise.all(first)).toEqual(['ok', 'ok', 'nothing', 'nothing']);
    const node = [{ networks: [`${ips.node}/32`] }];
    const shut = { tier: 'Admin', priority: 0, subject: podC, egress: [{ action: 'Deny', to: node }] };
    await setTiers({ accept, shut });
    await vi.waitFor(
      async () =>
        expect((await nft.flows(ownNetns, [ips.c])).filter(({ target }) => target === ips.node)).toEqual([]),
      { timeout: 20_000, interval: 50 },
    );
    const then = [
      call('say', 'c', 'node', denied),
      call('udp', 'c', 'node', denied),
      call('say', 'c', 'a'),
      call('tcp', 'b', 'node'),
      call('tcp', 'node', 'c'),
      call('udp', 'node', 'c'),
    ];
    expect(await Promise.all(then)).toEqual(['nothing', 'nothing', 'ok', 'ok', 'ok', 'ok']);
    const counted = new Map(
      (await nft.counters(ownNetns, table)).map(({ name, packets }) => [name, packets]),
    );
    expect(counted.get('denied-out/ClusterNetworkPolicy/shut')).toBeGreaterThanOrEqual(1);
    await setTiers({});
    await setPolicies({});
    expect(await nft.hasTable(ownNetns, table)).toBe(false);
    // Where nothing else decides: the last tier.
    await setTiers({
      last: { ...accept, tier: 'Baseline', egress: [{ action: 'Deny', to: [toA] }], ingress: [] },
    });
    const last = [call('tcp', 'b', 'a', denied), call('tcp', 'a', 'c')];
    expect(await Promise.all(last)).toEqual(['nothing', 'ok']);
    await setTiers({});
  });

  it('hold while no agent runs and are taken over as they are', async () => {
    await setPolicies({ shut: { podSelector: only('a') } });
    expect(await call('tcp', 'b', 'a', denied)).toBe('nothing');
    const list = (): string =>
      execFileSync('nft', ['list', 'table', table.family, table.name], { encoding: 'utf8' });
    const before = list();
    await policies[Symbol.asyncDispose]();
    expect(await call('tcp', 'c', 'a', denied)).toBe('nothing');
    expect(list().replaceAll(/packets \d+ bytes \d+/g, '')).toBe(
      before.replaceAll(/packets \d+ bytes \d+/g, ''),
    );
    const counted = list();
    policies = open();
    policies.start(podNames.map(attachedOf));
    await policies.idle();
    expect(list()).toBe(counted);
  });

  it('are back within a second or two when somebody flushes everything', async () => {
    await setPolicies({ shut: { podSelector: only('a') } });
    execFileSync('nft', ['flush', 'ruleset']);
    await vi.waitFor(async () => expect(await nft.hasTable(ownNetns, table)).toBe(true), { timeout: 20_000 });
    expect(await call('tcp', 'b', 'a', denied)).toBe('nothing');
  });
});
