/** What becomes of what no backend may have, of flows whose backend goes, and what the node tells of it. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { expect } from 'vitest';
import { namesOf, silenceMs, type Peer } from '#agent/proxy/packet-net.fixture.ts';
import type { Endpoint, ServiceSpec } from '#api/generated/objects.ts';
import { ownNetns } from '#native/netlink/netlink.ts';
import { endpointAt } from './bench.fixture.ts';
import type { Row } from './row.fixture.ts';

export const endRows: readonly Row[] = [
  {
    name: 'without endpoints, and by a port that the Service does not have, all is refused at once',
    shows: ['refusal without endpoints'],
    run: async ({ put, a, c, outside, node }) => {
      const spec: ServiceSpec = {
        ...{ clusterIP: '10.96.0.82', type: 'LoadBalancer', externalIPs: ['203.0.113.82'] },
        ports: [{ port: 80, nodePort: 30_083 }],
      };
      await put('empty', spec, []);
      await put('web', { clusterIP: '10.96.0.80' }, [a]);
      for (const to of ['10.96.0.82:80', '10.96.0.80:81', '203.0.113.82:80', '203.0.113.80:80'])
        for (const from of [c, node]) expect(await from.connect(to)).toEqual(['ECONNREFUSED']);
      expect(await c.ask('10.96.0.80:80')).toEqual(['ECONNREFUSED']);
      for (const to of ['192.0.2.1:30083', '203.0.113.82:80', '203.0.113.80:80'])
        expect(await outside.connect(to)).toEqual(['ECONNREFUSED']);
      await put('empty', spec, [], 'UDP');
      for (const to of ['192.0.2.1:30083', '203.0.113.82:80'])
        expect(await outside.ask(to)).toEqual(['ECONNREFUSED']);
    },
  },
  {
    name: 'a UDP client moves on when its backend goes, and finds the first one of a Service that had none',
    shows: ['flows of UDP', 'backends of a node that is gone'],
    run: async ({ put, putEndpoints, a, b, c }) => {
      await put('udp', { clusterIP: '10.96.0.87' }, [a], 'UDP');
      await put('late', { clusterIP: '10.96.0.88' }, [], 'UDP');
      using moving = c.send('10.96.0.87:80');
      using early = c.send('10.96.0.88:80');
      await moving.heard('a');
      await putEndpoints('udp', [b], { protocol: 'UDP' });
      await moving.heard('b');
      await putEndpoints('late', [b], { protocol: 'UDP' });
      await early.heard('b');
    },
  },
  {
    name: 'a UDP client stays with a backend that terminates while it serves, and moves on when it does no more',
    shows: ['flows of UDP'],
    run: async ({ put, putEndpoints, a, b, c }) => {
      await put('udp-last', { clusterIP: '10.96.0.95' }, [a], 'UDP');
      using client = c.send('10.96.0.95:80');
      await client.heard('a');
      const ending = (serving: boolean): Endpoint =>
        endpointAt(a, { conditions: { ready: false, serving, terminating: true } });
      await putEndpoints('udp-last', [ending(true), endpointAt(b)], { protocol: 'UDP' });
      const sent = await client.sent();
      while ((await client.heard('a')) <= sent);
      expect(client.answers().filter(({ name }) => name === 'b')).toEqual([]);
      await putEndpoints('udp-last', [ending(false), endpointAt(b)], { protocol: 'UDP' });
      await client.heard('b');
    },
  },
  {
    name: 'a UDP client, however it came, moves on when the port that answers changes',
    shows: ['flows of UDP'],
    run: async ({ put, putEndpoints, a, c, outside }) => {
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
    },
  },
  {
    name: 'UDP flows end when their Service turns to TCP, when nothing answers any more, and with it',
    shows: ['flows of UDP'],
    run: async ({ put, putEndpoints, remove, at, nft, a, c }) => {
      const ends: readonly (readonly [string, () => Promise<void>])[] = [
        ['10.96.0.93', () => put('udp-end', { clusterIP: '10.96.0.93' }, [a], 'TCP')],
        ['10.96.0.94', () => putEndpoints('udp-end', [], { protocol: 'UDP' })],
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
    },
  },
  {
    name: 'loadBalancerSourceRanges lets in who is in one',
    shows: ['loadBalancerSourceRanges'],
    run: async ({ put, at, seen, a, c, outside, node }) => {
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
    },
  },
  {
    name: 'healthCheckNodePort tells load balancers whether endpoints are here',
    shows: ['healthCheckNodePort'],
    run: async ({ family, put, putEndpoints, remove, a, b, outside }) => {
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
    },
  },
  {
    name: 'port 10256 says that the node may get connections, until it is about to go',
    shows: ['healthz and livez'],
    run: async ({ tellNode, outside }) => {
      const ask = (path: string) => outside.get(`http://192.0.2.1:10256/${path}`);
      tellNode({});
      expect(await ask('healthz')).toMatchObject({ status: 200, body: { nodeEligible: true } });
      tellNode({ taints: ['ToBeDeletedByClusterAutoscaler'] });
      expect(await ask('healthz')).toMatchObject({ status: 503, body: { nodeEligible: false } });
      expect(await ask('livez')).toMatchObject({ status: 200 });
    },
  },
  {
    name: 'rules that somebody removed come back by themselves',
    shows: ['rules of others'],
    canRun: () => existsSync('/usr/sbin/nft'),
    run: async ({ put, putEndpoints, seen, a, c }) => {
      await put('web', { clusterIP: '10.96.0.80' }, [a]);
      execFileSync('nft', ['flush', 'ruleset']);
      await expect
        .poll(() => c.connect('10.96.0.80:80', 1, silenceMs), { timeout: 60_000 })
        .toEqual([`a ${seen(c.ip)}`]);
      await putEndpoints('web', [c]);
      expect(namesOf(await c.connect('10.96.0.80:80', 3))).toEqual(new Set(['c']));
    },
  },
];
