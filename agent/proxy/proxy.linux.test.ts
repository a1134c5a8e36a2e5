import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock, type Clock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import type { EndpointSlice, Node, Service, ServiceSpec } from '#api/generated/objects.ts';
import { createInformerCache } from '#client/informer.ts';
import { ownNetns } from '#native/netlink/netlink.ts';
import { createSyncNetlink } from '#native/netlink/sync.ts';
import { createSyncNft } from '#native/nft/nft.linux.ts';
import { createXtables } from '#native/xtables/xtables.linux.ts';
import {
  chiSquare,
  families,
  namesOf,
  networks,
  nodeIps,
  silenceMs,
  startPacketNet,
  type PacketNet,
  type Peer,
  type TestFamily,
} from './packet-net.fixture.ts';
import { removeIptables } from './iptables/remove-iptables.ts';
import { startProxy, type Proxy } from './proxy.ts';
import { proxyModes, type ProxyMode } from './service-rules.ts';
import { inFamily } from './services.fixture.ts';

/** The proxy on a real kernel, of each mode and family: one suite, whose node and pods packet-net.fixture.ts makes. */
const bridgeNetfilter = '/proc/sys/net/bridge/bridge-nf-call-iptables';
const isRoot = process.getuid?.() === 0;
const hasIptables = existsSync('/usr/sbin/iptables-restore') && existsSync('/usr/sbin/ip6tables-restore');

const netlink = createSyncNetlink();
const nft = createSyncNft();
const xtables = createXtables(process.env, nft);
/** What is looked at now and then is looked at soon. */
const clock: Clock = { ...systemClock, after: (ms, callback) => systemClock.after(ms / 20, callback) };

const throwIt = (error: unknown): void => {
  throw error;
};
const services = createInformerCache<Service>(throwIt);
const slices = createInformerCache<EndpointSlice>(throwIt);
const nodes = createInformerCache<Node>(throwIt);
let version = 10;
let net: (family: TestFamily) => PacketNet;
let proxy: Proxy;

function start(mode: ProxyMode): Promise<Proxy> {
  return startProxy({
    ...{ services, endpointSlices: slices, nodes, nodeName: 'node', nodeIps, networks },
    ...{ mode, nft, xtables, clock, log: silentLogger, health: { host: '', port: 10_256 } },
  });
}

interface Backends {
  readonly protocol?: 'TCP' | 'UDP';
  readonly port?: number;
}

/** Services and endpoints of a family, in addresses of IPv4. */
function speakerOf(family: TestFamily) {
  const putEndpoints = (name: string, backends: readonly Peer[], given: Backends = {}): Promise<void> => {
    const { protocol = 'TCP', port = 8080 } = given;
    const metadata = {
      ...{ namespace: 'd', name: `${name}-${family}-1`, uid: `${name}-${family}-1` },
      ...{
        resourceVersion: String(++version),
        labels: { 'kubernetes.io/service-name': `${name}-${family}` },
      },
    };
    const endpoints = backends.map(({ ip }) => ({
      addresses: [ip],
      conditions: { ready: true },
      nodeName: 'node',
    }));
    const slice: EndpointSlice = { addressType: 'IPv4', metadata, ports: [{ port, protocol }], endpoints };
    slices.apply({ type: 'MODIFIED', object: inFamily(family, slice) });
    return proxy.idle();
  };
  const put = (
    name: string,
    spec: ServiceSpec,
    backends: readonly Peer[],
    protocol: 'TCP' | 'UDP' = 'TCP',
  ): Promise<void> => {
    const ports = [{ port: 80, protocol, ...spec.ports?.[0] }];
    const ingress = [{ ip: '203.0.113.80' }];
    const object: Service = {
      metadata: {
        ...{ namespace: 'd', name: `${name}-${family}`, uid: `${name}-${family}` },
        resourceVersion: String(++version),
      },
      spec: { clusterIPs: [spec.clusterIP ?? ''], ...spec, ports },
      ...(spec.type === 'LoadBalancer' ? { status: { loadBalancer: { ingress } } } : {}),
    };
    services.apply({ type: 'MODIFIED', object: inFamily(family, object) });
    return putEndpoints(name, backends, { protocol });
  };
  const remove = (name: string): Promise<void> => {
    const full = `${name}-${family}`;
    const metadata = { namespace: 'd', name: full, uid: full, resourceVersion: String(++version) };
    services.apply({ type: 'DELETED', object: { metadata } });
    return proxy.idle();
  };
  return { put, putEndpoints, remove };
}

beforeAll(async () => {
  if (!isRoot) return;
  net = await startPacketNet('proxy');
  services.replace([], '1');
  slices.replace([], '1');
  nodes.replace([{ metadata: { name: 'node', resourceVersion: '1' } }], '1');
});

afterAll(async () => {
  if (isRoot) await net('ip')[Symbol.asyncDispose]();
});

describe.each(proxyModes)('packets of %s', (mode) => {
  const canRun = isRoot && (mode !== 'iptables' || hasIptables);

  beforeAll(async () => {
    if (canRun) proxy = await start(mode);
  });
  afterAll(async () => {
    if (canRun) await proxy[Symbol.asyncDispose]();
  });

  describe.skipIf(!canRun).each(families)('%s (needs root, and iptables for its mode)', (family) => {
    const { put, putEndpoints, remove } = speakerOf(family);
    let [a, b, c, outside, node]: Peer[] = [];
    const at = <T>(value: T): T => inFamily(family, value);
    /** What the agent forwards itself has the node's address. */
    const seen = (client: string): string => at(mode === 'userspace' ? '10.244.0.1' : client);

    beforeAll(() => {
      const all = net(family);
      [a, b, c, outside, node] = [...all.pods, all.outside, all.node];
    });
    const pods = () => [a, b, c, outside, node] as readonly [Peer, Peer, Peer, Peer, Peer];

    test('a pod and the node reach all backends by the ClusterIP, with TCP and UDP, and they see the pod', async () => {
      const [a, b, c, , node] = pods();
      await put('web', { clusterIP: '10.96.0.80' }, [a, b]);
      await put('udp', { clusterIP: '10.96.0.80' }, [a, b], 'UDP');
      const replies = [...(await c.connect('10.96.0.80:80', 20)), ...(await c.ask('10.96.0.80:80', 20))];
      expect(namesOf(replies)).toEqual(new Set(['a', 'b']));
      expect(new Set(replies.map((reply) => reply.split(' ')[1]))).toEqual(new Set([seen(c.ip)]));
      expect(namesOf(await node.connect('10.96.0.80:80', 20))).toEqual(new Set(['a', 'b']));
      expect(namesOf(await node.ask('10.96.0.80:80', 20))).toEqual(new Set(['a', 'b']));
      await remove('udp');
    });

    test('each backend has its share', async () => {
      const [a, b, c, outside] = pods();
      await put('share', { clusterIP: '10.96.0.79' }, [a, b, c]);
      const tcp = await outside.connect('10.96.0.79:80', 120);
      // By chance once in 10,000 of more than 18.4 (two degrees of freedom); in turn never of any.
      expect(chiSquare(tcp, ['a', 'b', 'c'])).toBeLessThan(mode === 'userspace' ? 1e-9 : 18.4);
      await put('share', { clusterIP: '10.96.0.79' }, [a, b, c], 'UDP');
      // A client's port that comes again is the same flow, and has no turn.
      const udp = await outside.ask('10.96.0.79:80', 60);
      expect(chiSquare(udp, ['a', 'b', 'c'])).toBeLessThan(mode === 'userspace' ? 1 : 18.4);
      await remove('share');
    });

    test('a pod reaches itself through its Service', async () => {
      const [a] = pods();
      await put('self', { clusterIP: '10.96.0.81' }, [a]);
      expect(await a.connect('10.96.0.81:80')).toEqual([at('a 10.244.0.1')]);
      await put('self', { clusterIP: '10.96.0.81' }, [a], 'UDP');
      expect(await a.ask('10.96.0.81:80')).toEqual([at('a 10.244.0.1')]);
    });

    test.skipIf(!existsSync(bridgeNetfilter))('the same with and without br_netfilter', async () => {
      const [a, , c] = pods();
      await put('self', { clusterIP: '10.96.0.81' }, [a]);
      for (const value of ['0', '1']) {
        await netlink.apply(ownNetns, [
          { op: 'setSysctl', key: 'net.bridge.bridge-nf-call-iptables', value },
        ]);
        expect(await a.connect('10.96.0.81:80')).toEqual([at('a 10.244.0.1')]);
        expect(await c.connect('10.96.0.81:80', 5)).toEqual(Array(5).fill(`a ${seen(c.ip)}`));
      }
    });

    test('without endpoints, and by a port that the Service does not have, all is refused at once', async () => {
      const [a, , c, outside, node] = pods();
      const ports = [{ port: 80, nodePort: 30_083 }];
      await put('empty', { clusterIP: '10.96.0.82', type: 'NodePort', ports }, []);
      await put('web', { clusterIP: '10.96.0.80' }, [a]);
      for (const to of ['10.96.0.82:80', '10.96.0.80:81'])
        for (const from of [c, node]) expect(await from.connect(to)).toEqual(['ECONNREFUSED']);
      expect(await c.ask('10.96.0.80:80')).toEqual(['ECONNREFUSED']);
      expect(await outside.connect('192.0.2.1:30083')).toEqual(['ECONNREFUSED']);
    });

    test('a backend that is not ready gets nothing from the next connection on', async () => {
      const [a, b, c] = pods();
      await put('web', { clusterIP: '10.96.0.80' }, [a, b]);
      await putEndpoints('web', [b]);
      expect(namesOf(await c.connect('10.96.0.80:80', 10))).toEqual(new Set(['b']));
    });

    test.each(['TCP', 'UDP'] as const)(
      'ClientIP affinity keeps a client of %s at one backend while it is there',
      async (protocol) => {
        const [a, b, c] = pods();
        const ask = (count: number) =>
          protocol === 'TCP' ? c.connect('10.96.0.83:80', count) : c.ask('10.96.0.83:80', count);
        await put('sticky', { clusterIP: '10.96.0.83', sessionAffinity: 'ClientIP' }, [a, b], protocol);
        const before = namesOf(await ask(20));
        expect(before.size).toBe(1);
        const other = before.has('a') ? b : a;
        await putEndpoints('sticky', [other], { protocol });
        const [name] = namesOf(await ask(3));
        expect(before.has(name ?? '')).toBe(false);
        await putEndpoints('sticky', [a, b], { protocol });
        expect(namesOf(await ask(20))).toEqual(new Set([name]));
        await remove('sticky');
      },
    );

    test('affinity ends with its time', async () => {
      const [a, b, c] = pods();
      const clientIP = { timeoutSeconds: 1 };
      await put(
        'short',
        { clusterIP: '10.96.0.78', sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP } },
        [a, b],
      );
      // Each second is a new choice: of forty all alike once in 10^12.
      const names = new Set<string>();
      await expect
        .poll(
          async () => {
            for (const name of namesOf(await c.connect('10.96.0.78:80'))) names.add(name);
            return names.size;
          },
          { timeout: 120_000, interval: 1_200 },
        )
        .toBe(2);
      await remove('short');
    });

    test('a node port answers from outside with the node in between, from the node itself and from pods', async () => {
      const [a, , c, outside, node] = pods();
      const ports = [{ port: 80, nodePort: 30_080 }];
      for (const protocol of ['TCP', 'UDP'] as const) {
        await put('np', { clusterIP: '10.96.0.84', type: 'NodePort', ports }, [a], protocol);
        const ask = (peer: Peer) =>
          protocol === 'TCP' ? peer.connect('192.0.2.1:30080') : peer.ask('192.0.2.1:30080');
        expect(await ask(outside)).toEqual([at('a 10.244.0.1')]);
        for (const peer of [node, c]) expect(namesOf(await ask(peer))).toEqual(new Set(['a']));
      }
    });

    test('externalTrafficPolicy Local keeps the client address, and drops where no backend is; pods reach all', async () => {
      const [a, b, c, outside] = pods();
      const ports = [{ port: 80, nodePort: 30_081 }];
      const spec: ServiceSpec = {
        clusterIP: '10.96.0.85',
        type: 'NodePort',
        externalTrafficPolicy: 'Local',
        ports,
      };
      await put('npl', spec, [a]);
      // The pod answers to an address that it reaches by the node alone.
      expect(await outside.connect('192.0.2.1:30081')).toEqual([`a ${seen(outside.ip)}`]);
      const elsewhere = slices.get(`d/npl-${family}-1`);
      const endpoints = [{ addresses: [at(b.ip)], conditions: { ready: true }, nodeName: 'other' }];
      const metadata = { ...elsewhere?.metadata, resourceVersion: String(++version) };
      slices.apply({ type: 'MODIFIED', object: { ...elsewhere, metadata, endpoints } as EndpointSlice });
      await proxy.idle();
      expect(await outside.connect('192.0.2.1:30081', 1, silenceMs)).toEqual(['timeout']);
      expect(namesOf(await c.connect('192.0.2.1:30081'))).toEqual(new Set(['b']));
    });

    test('internalTrafficPolicy Local leads to backends of this node, or nowhere', async () => {
      const [a, , c] = pods();
      const spec: ServiceSpec = { clusterIP: '10.96.0.77', internalTrafficPolicy: 'Local' };
      await put('internal', spec, [a]);
      expect(namesOf(await c.connect('10.96.0.77:80', 5))).toEqual(new Set(['a']));
      const slice = slices.get(`d/internal-${family}-1`);
      const endpoints = [{ addresses: [at(a.ip)], conditions: { ready: true }, nodeName: 'other' }];
      const metadata = { ...slice?.metadata, resourceVersion: String(++version) };
      slices.apply({ type: 'MODIFIED', object: { ...slice, metadata, endpoints } as EndpointSlice });
      await proxy.idle();
      expect(await c.connect('10.96.0.77:80', 1, silenceMs)).toEqual(['timeout']);
      await remove('internal');
    });

    test('an external IP leads to the backends', async () => {
      const [, b, c, outside, node] = pods();
      await put('ext', { clusterIP: '10.96.0.86', externalIPs: ['203.0.113.5'] }, [b]);
      for (const from of [outside, c, node])
        expect(namesOf(await from.connect('203.0.113.5:80'))).toEqual(new Set(['b']));
    });

    test('a UDP client moves on when its backend goes, and finds the first one of a Service that had none', async () => {
      const [a, b, c] = pods();
      await put('udp', { clusterIP: '10.96.0.87' }, [a], 'UDP');
      await put('late', { clusterIP: '10.96.0.88' }, [], 'UDP');
      using moving = c.send('10.96.0.87:80');
      using early = c.send('10.96.0.88:80');
      await moving.heard('a');
      await putEndpoints('udp', [b], { protocol: 'UDP' });
      await moving.heard('b');
      await putEndpoints('late', [b], { protocol: 'UDP' });
      await early.heard('b');
    });

    test('a UDP client, however it came, moves on when the port that answers changes', async () => {
      const [a, , c, outside] = pods();
      const ports = [{ port: 80, nodePort: 30_092 }];
      const spec: ServiceSpec = {
        type: 'LoadBalancer',
        clusterIP: '10.96.0.92',
        externalIPs: ['203.0.113.92'],
        ports,
      };
      await put('udp-port', spec, [a], 'UDP');
      const ways: readonly (readonly [Peer, string])[] = [
        [c, '10.96.0.92:80'],
        [outside, '203.0.113.92:80'],
        [outside, '203.0.113.80:80'],
        [outside, '192.0.2.1:30092'],
        [c, '10.244.0.1:30092'],
      ];
      using stack = new DisposableStack();
      const clients = ways.map(([from, to]) => stack.use(from.send(to)));
      for (const client of clients) await client.heard('a');
      await putEndpoints('udp-port', [a], { protocol: 'UDP', port: 8082 });
      for (const client of clients) await client.heard('a2');
      await remove('udp-port');
    });

    test('UDP flows end when their Service turns to TCP, and with it', async () => {
      const [a, , c] = pods();
      const ends: readonly (readonly [string, () => Promise<void>])[] = [
        ['10.96.0.93', () => put('udp-end', { clusterIP: '10.96.0.93' }, [a], 'TCP')],
        ['10.96.0.89', () => remove('udp-end')],
      ];
      for (const [clusterIP, end] of ends) {
        await put('udp-end', { clusterIP }, [a], 'UDP');
        using client = c.send(`${clusterIP}:80`);
        await client.heard('a');
        await end();
        const flow = { protocol: 17, originalDestination: at(clusterIP), port: 80 };
        const only = [{ ip: at(a.ip), port: 8080 }];
        expect(await nft.flushConntrack(ownNetns, [{ ...flow, replies: { only } }])).toBe(0);
      }
    });

    test('loadBalancerSourceRanges lets in who is in one', async () => {
      const [a, , c, outside, node] = pods();
      const ports = [{ port: 80, nodePort: 30_082 }];
      const put30 = (...loadBalancerSourceRanges: string[]): Promise<void> =>
        put('lb', { type: 'LoadBalancer', clusterIP: '10.96.0.90', ports, loadBalancerSourceRanges }, [a]);
      await put30('10.0.0.0/8', '192.0.2.8/29');
      expect(await outside.connect('203.0.113.80:80')).toEqual([at('a 10.244.0.1')]);
      expect(await c.connect('203.0.113.80:80')).toEqual([`a ${seen(c.ip)}`]);
      await put30('192.0.2.16/29', '198.51.100.0/24');
      const refused = [outside, c, node].map((from) => from.connect('203.0.113.80:80', 1, silenceMs));
      expect(await Promise.all(refused)).toEqual([['timeout'], ['timeout'], ['timeout']]);
      expect(await outside.connect('192.0.2.1:30082')).toEqual([at('a 10.244.0.1')]);
      expect(await outside.connect('10.96.0.90:80')).toEqual([at('a 10.244.0.1')]);
      await put30();
      expect(await outside.connect('203.0.113.80:80')).toEqual([at('a 10.244.0.1')]);
      await remove('lb');
    });

    test('healthCheckNodePort tells load balancers whether endpoints are here', async () => {
      const [a, b, , outside] = pods();
      const spec: ServiceSpec = {
        ...{ type: 'LoadBalancer', clusterIP: '10.96.0.91', externalTrafficPolicy: 'Local' },
        healthCheckNodePort: 30_990,
      };
      await put('checked', spec, [a, b]);
      const ask = () => outside.get('http://192.0.2.1:30990/healthz');
      const answer = (localEndpoints: number) => ({
        status: localEndpoints > 0 ? 200 : 503,
        weight: String(localEndpoints),
        body: {
          service: { namespace: 'd', name: `checked-${family}` },
          localEndpoints,
          serviceProxyHealthy: true,
        },
      });
      expect(await ask()).toEqual(answer(2));
      await putEndpoints('checked', []);
      expect(await ask()).toEqual(answer(0));
      await put('checked', { ...spec, healthCheckNodePort: 30_991 }, [a]);
      expect(await ask()).toBeUndefined();
      expect(await outside.get('http://192.0.2.1:30991/')).toEqual(answer(1));
      await remove('checked');
      expect(await outside.get('http://192.0.2.1:30991/')).toBeUndefined();
    });

    test('port 10256 says that the node may get connections, until it is about to go', async () => {
      const [, , , outside] = pods();
      const ask = (path: string) => outside.get(`http://192.0.2.1:10256/${path}`);
      const tell = (taints: readonly { readonly key: string; readonly effect: 'NoSchedule' }[]): void => {
        const metadata = { name: 'node', resourceVersion: String(++version) };
        nodes.apply({ type: 'MODIFIED', object: { metadata, spec: { taints } } });
      };
      tell([]);
      expect(await ask('healthz')).toMatchObject({ status: 200, body: { nodeEligible: true } });
      tell([{ key: 'ToBeDeletedByClusterAutoscaler', effect: 'NoSchedule' }]);
      expect(await ask('healthz')).toMatchObject({ status: 503, body: { nodeEligible: false } });
      expect(await ask('livez')).toMatchObject({ status: 200 });
    });

    test.skipIf(!existsSync('/usr/sbin/nft'))(
      'rules that somebody removed come back by themselves',
      async () => {
        const [a, , c] = pods();
        await put('web', { clusterIP: '10.96.0.80' }, [a]);
        execFileSync('nft', ['flush', 'ruleset']);
        await expect
          .poll(() => c.connect('10.96.0.80:80', 1, silenceMs), { timeout: 60_000 })
          .toEqual([`a ${seen(c.ip)}`]);
        await putEndpoints('web', [c]);
        expect(namesOf(await c.connect('10.96.0.80:80', 3))).toEqual(new Set(['c']));
      },
    );
  });
});

describe.skipIf(!isRoot || !hasIptables)('from mode to mode (needs root and iptables)', () => {
  const foreign =
    '*nat\n:DOCKER - [0:0]\n-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER\n-A DOCKER -i docker0 -j RETURN\nCOMMIT\n';
  const isOurs = (name: string): boolean => /^(?:KUBE|PODWRIGHT)-/.test(name);
  const chainsLeft = async (): Promise<readonly string[]> => {
    const saved = [await xtables.save(4), await xtables.save(6)];
    return saved.flatMap((tables) =>
      [...tables.values()].flatMap((table) => [...table.keys()].filter(isOurs)),
    );
  };
  const hasTable = (): Promise<boolean> => nft.hasTable(ownNetns, { family: 'ip', name: 'podwright-proxy' });

  test('a Service answers all the time, other rules stay, and none of ours is left', async () => {
    const [{ put }, peers] = [speakerOf('ip'), net('ip')];
    const [a, b, c] = peers.pods;
    await xtables.restore(4, foreign);
    const rules = (await xtables.save(4)).get('nat')?.get('PREROUTING');
    proxy = await start('nftables');
    await put('web', { clusterIP: '10.96.0.80' }, [a, b]);
    const client = c.keepConnecting('10.96.0.80:80');
    const steps: readonly (readonly [ProxyMode, boolean, boolean])[] = [
      ['iptables', false, true],
      ['nftables', true, false],
      ['iptables', false, true],
      ['userspace', true, false],
    ];
    for (const [mode, isNft, isIptables] of steps) {
      await proxy[Symbol.asyncDispose]();
      proxy = await start(mode);
      expect([await hasTable(), (await chainsLeft()).length > 0]).toEqual([isNft, isIptables]);
      expect(namesOf(await peers.outside.connect('10.96.0.80:80', 20))).toEqual(new Set(['a', 'b']));
    }
    expect(namesOf(await client.stop())).toEqual(new Set(['a', 'b']));
    await proxy[Symbol.asyncDispose]();
    const nat = (await xtables.save(4)).get('nat');
    expect([nat?.get('PREROUTING')?.length, nat?.get('DOCKER')]).toEqual([
      rules?.length,
      ['-i docker0 -j RETURN'],
    ]);
  });

  test('a node that ends leaves no chain of it', async () => {
    proxy = await start('iptables');
    expect(await chainsLeft()).toContain('KUBE-SERVICES');
    await proxy[Symbol.asyncDispose]();
    await removeIptables(xtables);
    expect(await chainsLeft()).toEqual([]);
    await removeIptables(xtables);
  });

  test.skipIf(!existsSync('/usr/sbin/nft'))(
    'a listener takes nothing but what a rule led there',
    async () => {
      const [{ put }, peers] = [speakerOf('ip'), net('ip')];
      proxy = await start('userspace');
      await put('web', { clusterIP: '10.96.0.80' }, [peers.pods[0]]);
      const listed = execFileSync('nft', ['list', 'set', 'ip', 'podwright-proxy', 'listeners']).toString();
      const ports = [...listed.matchAll(/(?:tcp|6) \. (\d+)/g)].map(([, port = '']) => port);
      expect(ports.length).toBeGreaterThan(0);
      for (const from of [peers.outside, peers.pods[1]]) {
        const asked = ports.slice(0, 3).map((port) => from.connect(`192.0.2.1:${port}`, 1, silenceMs));
        expect(new Set((await Promise.all(asked)).flat())).toEqual(new Set(['timeout']));
      }
      expect(namesOf(await peers.outside.connect('10.96.0.80:80'))).toEqual(new Set(['a']));
      await proxy[Symbol.asyncDispose]();
    },
  );
});
