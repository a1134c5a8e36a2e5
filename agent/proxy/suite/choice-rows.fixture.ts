/** Which of its backends a Service leads to. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { expect } from 'vitest';
import { keptClientsMax } from '#agent/proxy/contribution.ts';
import { chiSquare, namesOf, silenceMs } from '#agent/proxy/packet-net.fixture.ts';
import { inFamily } from '#agent/proxy/services.fixture.ts';
import type { ServiceSpec } from '#api/generated/objects.ts';
import { ownNetns } from '#native/netlink/netlink.ts';
import { endpointAt } from './bench.fixture.ts';
import type { Row } from './row.fixture.ts';

const terminating = { ready: false, serving: true, terminating: true };
const elsewhere = { nodeName: 'other' };

export const choiceRows: readonly Row[] = [
  {
    name: 'each backend has its share',
    shows: ['share of each backend'],
    run: async ({ mode, put, a, b, c, outside }) => {
      await put('share', { clusterIP: '10.96.0.79' }, [a, b, c]);
      const tcp = await outside.connect('10.96.0.79:80', 120);
      // By chance once in 10,000 of more than 18.4 (two degrees of freedom); in turn never of any.
      expect(chiSquare(tcp, ['a', 'b', 'c'])).toBeLessThan(mode === 'userspace' ? 1e-9 : 18.4);
      await put('share', { clusterIP: '10.96.0.79' }, [a, b, c], 'UDP');
      // A client's port that comes again is the same flow, and has no turn.
      const udp = await outside.ask('10.96.0.79:80', 60);
      expect(chiSquare(udp, ['a', 'b', 'c'])).toBeLessThan(mode === 'userspace' ? 1 : 18.4);
    },
  },
  {
    name: 'each of fifty backends has its share',
    shows: ['share of each backend', 'fifty endpoints'],
    run: async ({ mode, put, putSlices, a, outside }) => {
      const numbers = Array.from({ length: 50 }, (_, index) => 9_100 + index);
      await a.servePorts('a', numbers[0] ?? 0, numbers.length);
      await put('fifty', { clusterIP: '10.96.0.67' }, []);
      await putSlices(
        'fifty',
        numbers.map((port) => ({ ports: [{ port, protocol: 'TCP' }], endpoints: [a] })),
      );
      const replies = await outside.connect('10.96.0.67:80', 300);
      const names = numbers.map((port) => `a${port}`);
      // By chance once in 100,000 of more (49 degrees of freedom).
      expect(chiSquare(replies, names)).toBeLessThan(mode === 'userspace' ? 1e-9 : 104);
    },
  },
  {
    name: 'a backend that is not ready gets nothing from the next connection on',
    shows: ['readiness', 'backends of a node that is gone'],
    run: async ({ put, putEndpoints, a, b, c }) => {
      const gone = endpointAt(a, { ...elsewhere, conditions: { ready: false } });
      for (const left of [[b], [b, gone]]) {
        await put('web', { clusterIP: '10.96.0.80' }, [a, b]);
        await putEndpoints('web', left);
        expect(namesOf(await c.connect('10.96.0.80:80', 10))).toEqual(new Set(['b']));
      }
    },
  },
  {
    name: 'backends that end still answer where no other is left: anywhere, on this node, from within and from outside',
    shows: ['backends that end'],
    run: async ({ put, a, b, c, outside }) => {
      const ends = endpointAt(a, { conditions: terminating });
      const far = endpointAt(b, elsewhere);
      const ports = [{ port: 80, nodePort: 30_088 }];
      const spec: ServiceSpec = { clusterIP: '10.96.0.66', type: 'NodePort', ports };
      const answers = async () => [
        ...namesOf(await c.connect('10.96.0.66:80', 8)),
        ...namesOf(await outside.connect('192.0.2.1:30088', 8)),
      ];
      await put('end', spec, [ends, b]);
      expect(await answers()).toEqual(['b', 'b']);
      await put('end', spec, [ends]);
      expect(await answers()).toEqual(['a', 'a']);
      await put('end', { ...spec, internalTrafficPolicy: 'Local', externalTrafficPolicy: 'Local' }, [
        ends,
        far,
      ]);
      expect(await answers()).toEqual(['a', 'a']);
      const deaf = endpointAt(a, { conditions: { ...terminating, serving: false } });
      await put('end', spec, [deaf]);
      expect(await answers()).toEqual(['ECONNREFUSED', 'ECONNREFUSED']);
    },
  },
  {
    name: 'hints lead to backends of the node, else of its zone, else to all',
    shows: ['trafficDistribution'],
    run: async ({ put, tellNode, a, b, c, outside }) => {
      const hinted = (node: string, zone: string) => ({
        hints: { forNodes: [{ name: node }], forZones: [{ name: zone }] },
      });
      const zoned = (zone: string) => ({ hints: { forZones: [{ name: zone }] } });
      const web = (...backends: Parameters<typeof put>[2]) =>
        put('near', { clusterIP: '10.96.0.65' }, backends);
      const seen = async () => namesOf(await outside.connect('10.96.0.65:80', 24));
      tellNode({ zone: 'z1' });
      await web(endpointAt(a, hinted('node', 'z1')), endpointAt(b, hinted('other', 'z1')));
      expect(await seen()).toEqual(new Set(['a']));
      await web(
        endpointAt(a, hinted('third', 'z2')),
        endpointAt(b, { ...elsewhere, ...hinted('other', 'z1') }),
      );
      expect(await seen()).toEqual(new Set(['b']));
      await web(endpointAt(a, zoned('z2')), endpointAt(b, zoned('z3')));
      expect(await seen()).toEqual(new Set(['a', 'b']));
      await web(endpointAt(a, zoned('z1')), endpointAt(b, zoned('z2')), endpointAt(c));
      expect(await seen()).toEqual(new Set(['a', 'b', 'c']));
      await web(endpointAt(a, zoned('z1')), endpointAt(b, zoned('z2')));
      expect(await seen()).toEqual(new Set(['a']));
      tellNode({ zone: 'z2' });
      await web(endpointAt(a, zoned('z1')), endpointAt(b, zoned('z2')));
      expect(await seen()).toEqual(new Set(['b']));
    },
  },
  ...(['TCP', 'UDP'] as const).map((protocol): Row => ({
    name: `ClientIP affinity keeps a client of ${protocol} at one backend while it is there`,
    shows: ['sessionAffinity'],
    run: async ({ put, putEndpoints, a, b, c }) => {
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
    },
  })),
  {
    name: 'a client from outside is kept, too, whichever address it comes by',
    shows: ['sessionAffinity'],
    run: async ({ put, a, b, outside }) => {
      const spec: ServiceSpec = {
        ...{ clusterIP: '10.96.0.64', type: 'NodePort', sessionAffinity: 'ClientIP' },
        externalIPs: ['203.0.113.64'],
        ports: [{ port: 80, nodePort: 30_089 }],
      };
      // Local too, of which it was lost once (kubernetes#55429).
      for (const externalTrafficPolicy of ['Cluster', 'Local'] as const) {
        await put('kept', { ...spec, externalTrafficPolicy }, [a, b]);
        const outer = ['192.0.2.1:30089', '203.0.113.64:80', '192.0.2.1:30089'];
        const ways = externalTrafficPolicy === 'Local' ? outer : [...outer, '10.96.0.64:80'];
        const replies: string[] = [];
        for (const to of ways) replies.push(...(await outside.connect(to, 5)));
        expect(namesOf(replies).size).toBe(1);
      }
    },
  },
  {
    name: 'a client that there is no room to keep is served all the same',
    shows: ['sessionAffinity'],
    except: (mode) =>
      mode === 'nftables'
        ? undefined
        : 'its lists forget whoever was away longest (iptables: of 100; userspace: of 10,000, userspace.test.ts)',
    canRun: () => existsSync('/usr/sbin/nft'),
    run: async ({ put, family, nft, a, b, c, outside }) => {
      await put('full', { clusterIP: '10.96.0.62', sessionAffinity: 'ClientIP' }, [a, b]);
      const table = { family, name: 'podwright-proxy' } as const;
      const listed = execFileSync('nft', ['list', 'sets', family]).toString();
      const names = [...listed.matchAll(/set (clients-\S+)/g)].map(([, name = '']) => name);
      expect(names.length).toBe(2);
      const elements = Array.from({ length: keptClientsMax }, (_, i) => ({
        key: [inFamily(family, `198.${18 + (i >> 15)}.${(i >> 8) & 127}.${i & 255}`)],
      }));
      const keyTypes = [family === 'ip' ? ('ipv4_addr' as const) : ('ipv6_addr' as const)];
      for (const name of names) {
        const set = { name, keyTypes, dynamic: { timeoutMs: 10_800_000 } };
        await nft.commit(ownNetns, [{ op: 'addElements', table, set, elements }]);
      }
      for (const from of [c, outside])
        expect(namesOf(await from.connect('10.96.0.62:80', 24))).toEqual(new Set(['a', 'b']));
    },
  },
  {
    name: 'affinity ends with its time',
    shows: ['time of sessionAffinity'],
    run: async ({ put, a, b, c }) => {
      const clientIP = { timeoutSeconds: 1 };
      const spec: ServiceSpec = {
        ...{ clusterIP: '10.96.0.78', sessionAffinity: 'ClientIP' },
        sessionAffinityConfig: { clientIP },
      };
      await put('short', spec, [a, b]);
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
    },
  },
  {
    name: 'externalTrafficPolicy Local keeps the client address, and drops where no backend is; pods and the node reach all',
    shows: ['externalTrafficPolicy', 'externalTrafficPolicy Local from within'],
    run: async ({ put, seen, a, b, c, node, outside }) => {
      const spec: ServiceSpec = {
        ...{ clusterIP: '10.96.0.85', type: 'LoadBalancer', externalTrafficPolicy: 'Local' },
        externalIPs: ['203.0.113.85'],
        ports: [{ port: 80, nodePort: 30_081 }],
      };
      const ways = ['192.0.2.1:30081', '203.0.113.85:80', '203.0.113.80:80'];
      await put('npl', spec, [a, endpointAt(b, elsewhere)]);
      // The pod answers to an address that it reaches by the node alone.
      for (const to of ways)
        expect(await outside.connect(to, 6)).toEqual(Array(6).fill(`a ${seen(outside.ip)}`));
      const [byNodePort = '', ...byAddress] = ways;
      for (const to of byAddress) expect(namesOf(await c.connect(to, 24))).toEqual(new Set(['a', 'b']));
      for (const from of [c, node]) expect(namesOf(await from.connect(byNodePort, 24))).toContain('a');
      await put('npl', spec, [endpointAt(b, elsewhere)]);
      const dropped = ways.map((to) => outside.connect(to, 1, silenceMs));
      expect(await Promise.all(dropped)).toEqual([['timeout'], ['timeout'], ['timeout']]);
      // As if they asked the backends themselves (kubernetes#131765).
      for (const from of [c, node])
        for (const to of ways) expect(namesOf(await from.connect(to))).toEqual(new Set(['b']));
    },
  },
  {
    name: 'internalTrafficPolicy Local leads to backends of this node, or nowhere',
    shows: ['internalTrafficPolicy'],
    run: async ({ put, putEndpoints, a, b, c, node }) => {
      await put('internal', { clusterIP: '10.96.0.77', internalTrafficPolicy: 'Local' }, [
        a,
        endpointAt(b, elsewhere),
      ]);
      for (const from of [c, node])
        expect(namesOf(await from.connect('10.96.0.77:80', 8))).toEqual(new Set(['a']));
      await putEndpoints('internal', [endpointAt(a, elsewhere)]);
      const silent = [c, node].map((from) => from.connect('10.96.0.77:80', 1, silenceMs));
      expect(await Promise.all(silent)).toEqual([['timeout'], ['timeout']]);
    },
  },
];
