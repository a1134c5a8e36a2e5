/** Who gets to a Service's backends, by which of its addresses and ports. */
import { existsSync } from 'node:fs';
import { expect } from 'vitest';
import { farClient, farGateway, namesOf, silenceMs, type Peer } from '#agent/proxy/packet-net.fixture.ts';
import { inFamily } from '#agent/proxy/services.fixture.ts';
import { masqueradeMark } from '#agent/proxy/table-layout.ts';
import { ownNetns } from '#native/netlink/netlink.ts';
import type { NftLoad, NftRule, NftTable } from '#native/nft/nft.ts';
import { createSyncNetlink } from '#native/netlink/sync.ts';
import { endpointAt } from './bench.fixture.ts';
import type { Row } from './row.fixture.ts';
import { openSctp } from './sctp-packets.fixture.ts';

const bridgeNetfilter = '/proc/sys/net/bridge/bridge-nf-call-iptables';
const netlink = createSyncNetlink();

export const reachRows: readonly Row[] = [
  {
    name: 'a pod and the node reach all backends by the ClusterIP, with TCP and UDP, and they see the pod',
    shows: ['ClusterIP', 'host-network clients'],
    run: async ({ put, seen, a, b, c, node }) => {
      await put('web', { clusterIP: '10.96.0.80' }, [a, b]);
      await put('udp', { clusterIP: '10.96.0.80' }, [a, b], 'UDP');
      const replies = [...(await c.connect('10.96.0.80:80', 20)), ...(await c.ask('10.96.0.80:80', 20))];
      expect(namesOf(replies)).toEqual(new Set(['a', 'b']));
      expect(new Set(replies.map((reply) => reply.split(' ')[1]))).toEqual(new Set([seen(c.ip)]));
      expect(namesOf(await node.connect('10.96.0.80:80', 20))).toEqual(new Set(['a', 'b']));
      expect(namesOf(await node.ask('10.96.0.80:80', 20))).toEqual(new Set(['a', 'b']));
    },
  },
  {
    name: 'SCTP gets to a backend, and its answer back',
    shows: ['SCTP'],
    // A kernel with sockets of SCTP would answer by itself that nobody listens.
    canRun: () => !existsSync('/proc/net/sctp'),
    run: async ({ put, at, family, a, b, c, outside }) => {
      const ports = [{ port: 80, nodePort: 30_070 }];
      await put('sctp', { clusterIP: '10.96.0.70', type: 'NodePort', ports }, [a], 'SCTP');
      using client = openSctp(c.netns, family);
      using other = openSctp(b.netns, family);
      using stranger = openSctp(outside.netns, family);
      using server = openSctp(a.netns, family);
      const ways = [
        { from: client, ip: '10.96.0.70', port: 80, source: c.ip },
        { from: stranger, ip: '192.0.2.1', port: 30_070, source: '10.244.0.1' },
      ];
      for (const [i, { from, ip, port, source }] of ways.entries()) {
        const tag = 7_000 + i;
        from.send({ chunk: 'init', tag, sourcePort: 5_000 + i, to: at(ip), port });
        const init = await server.heard('init', tag);
        // With the node in between the port may be another, too.
        expect(init).toMatchObject({ from: at(source), port: 8080 });
        server.send({ chunk: 'init-ack', tag, sourcePort: 8080, to: init.from, port: init.sourcePort });
        expect(await from.heard('init-ack', tag)).toMatchObject({
          from: at(ip),
          sourcePort: port,
          port: 5_000 + i,
        });
      }
      expect(other.all()).toEqual([]);
    },
  },
  {
    name: 'a Service answers by each of its ports: of another protocol, and of a name that pods have at numbers of their own',
    shows: ['several ports', 'one number of two protocols', 'named targetPort', 'appProtocol'],
    run: async ({ put, putSlices, a, b, c }) => {
      const ports = [
        { name: 'web', port: 80, targetPort: 'http', appProtocol: 'kubernetes.io/h2c' },
        { name: 'ask', port: 80, targetPort: 'ask', protocol: 'UDP' },
        { name: 'more', port: 81, targetPort: 'more' },
      ] as const;
      const at = (web: number, more: number) => [
        { name: 'web', port: web, protocol: 'TCP' as const, appProtocol: 'kubernetes.io/h2c' },
        { name: 'ask', port: web, protocol: 'UDP' as const },
        { name: 'more', port: more, protocol: 'TCP' as const },
      ];
      await put('ports', { clusterIP: '10.96.0.71', ports: [...ports] }, []);
      await putSlices('ports', [
        { ports: at(8080, 8082), endpoints: [a] },
        { ports: at(8082, 8080), endpoints: [b] },
      ]);
      expect(namesOf(await c.connect('10.96.0.71:80', 20))).toEqual(new Set(['a', 'b2']));
      expect(namesOf(await c.ask('10.96.0.71:80', 20))).toEqual(new Set(['a', 'b2']));
      expect(namesOf(await c.connect('10.96.0.71:81', 20))).toEqual(new Set(['a2', 'b']));
    },
  },
  {
    name: 'of a Service of both families each address leads to the endpoints of its family',
    shows: ['addresses of two families'],
    run: async ({ putDual, family, a, b, c, node }) => {
      await putDual('dual', '10.96.0.72', { ip: a, ip6: b });
      for (const from of [c, node])
        expect(namesOf(await from.connect('10.96.0.72:80', 10))).toEqual(
          new Set([family === 'ip' ? 'a' : 'b']),
        );
    },
  },
  {
    name: 'a pod reaches itself through its Service',
    shows: ['hairpin'],
    run: async ({ put, at, a }) => {
      const spec = {
        type: 'NodePort' as const,
        clusterIP: '10.96.0.81',
        externalIPs: ['203.0.113.7'],
        ports: [{ port: 80, nodePort: 30_084 }],
      };
      for (const [protocol, ask] of [
        ['TCP', a.connect],
        ['UDP', a.ask],
      ] as const) {
        await put('self', spec, [a], protocol);
        for (const to of ['10.96.0.81:80', '203.0.113.7:80', '192.0.2.1:30084'])
          expect(await ask(to)).toEqual([at('a 10.244.0.1')]);
      }
    },
  },
  {
    name: 'the same with and without br_netfilter',
    shows: ['hairpin'],
    canRun: () => existsSync(bridgeNetfilter),
    run: async ({ put, at, seen, a, c }) => {
      await put('self', { clusterIP: '10.96.0.81' }, [a]);
      for (const value of ['0', '1']) {
        await netlink.apply(ownNetns, [
          { op: 'setSysctl', key: 'net.bridge.bridge-nf-call-iptables', value },
        ]);
        expect(await a.connect('10.96.0.81:80')).toEqual([at('a 10.244.0.1')]);
        expect(await c.connect('10.96.0.81:80', 5)).toEqual(Array(5).fill(`a ${seen(c.ip)}`));
      }
    },
  },
  {
    name: 'a node port answers from outside with the node in between, from the node itself and from pods',
    shows: ['NodePort'],
    run: async ({ put, at, a, c, outside, node }) => {
      const ports = [{ port: 80, nodePort: 30_080 }];
      for (const protocol of ['TCP', 'UDP'] as const) {
        await put('np', { clusterIP: '10.96.0.84', type: 'NodePort', ports }, [a], protocol);
        const ask = (peer: Peer) =>
          protocol === 'TCP' ? peer.connect('192.0.2.1:30080') : peer.ask('192.0.2.1:30080');
        expect(await ask(outside)).toEqual([at('a 10.244.0.1')]);
        for (const peer of [node, c]) expect(namesOf(await ask(peer))).toEqual(new Set(['a']));
      }
    },
  },
  {
    name: 'a pod of another node gets by a node port to endpoints here with its address under externalTrafficPolicy Local, else to any with that of the node',
    shows: ['externalTrafficPolicy Local from within'],
    run: async ({ put, at, seen, a, far }) => {
      const spec = {
        clusterIP: '10.96.0.63',
        type: 'NodePort',
        ports: [{ port: 80, nodePort: 30_079 }],
      } as const;
      const local = { ...spec, externalTrafficPolicy: 'Local' } as const;
      // It is on the client's own node, and would answer it past this one.
      const there = endpointAt(far, { nodeName: 'other' });
      for (const protocol of ['TCP', 'UDP'] as const) {
        const ask = () =>
          protocol === 'TCP' ? far.connect('192.0.2.1:30079', 8) : far.ask('192.0.2.1:30079', 8);
        await put('far', local, [a, there], protocol);
        expect(new Set(await ask())).toEqual(new Set([`a ${seen(farClient)}`]));
        for (const one of [local, spec]) {
          await put('far', one, [there], protocol);
          expect(new Set(await ask())).toEqual(new Set([at(`far ${farGateway}`)]));
        }
      }
    },
  },
  {
    name: 'node ports are served at the addresses that nodePortAddresses has, and at no other',
    shows: ['nodePortAddresses'],
    run: async ({ put, restart, at, a, c, node, outside }) => {
      const ports = [{ port: 80, nodePort: 30_085 }];
      await put('at', { clusterIP: '10.96.0.73', type: 'NodePort', ports }, [a]);
      const answers = async (to: string): Promise<readonly string[]> => [
        ...namesOf(await c.connect(`${to}:30085`)),
        ...namesOf(await node.connect(`${to}:30085`)),
      ];
      expect([await answers('192.0.2.1'), await answers('10.244.0.1')]).toEqual([
        ['a', 'a'],
        ['a', 'a'],
      ]);
      await restart({ nodePortCidrs: [at('192.0.2.0/24')] });
      const refused = ['ECONNREFUSED', 'ECONNREFUSED'];
      expect([await answers('192.0.2.1'), await answers('10.244.0.1')]).toEqual([['a', 'a'], refused]);
      expect(namesOf(await outside.connect('192.0.2.1:30085'))).toEqual(new Set(['a']));
    },
  },
  {
    name: 'a node port is at 127.0.0.1 where that is asked for, and the mode can',
    shows: ['node ports at 127.0.0.1'],
    except: (_mode, family) =>
      family === 'ip6' ? 'what is sent to ::1 cannot leave by another interface' : undefined,
    run: async ({ mode, put, restart, a, node }) => {
      const ports = [{ port: 80, nodePort: 30_086 }];
      await put('near', { clusterIP: '10.96.0.74', type: 'NodePort', ports }, [a]);
      const ask = () => node.connect('127.0.0.1:30086');
      expect(await ask()).toEqual(['ECONNREFUSED']);
      await restart({ hasLocalhostNodePorts: true });
      expect(namesOf(await ask())).toEqual(new Set([mode === 'iptables' ? 'a' : 'ECONNREFUSED']));
      const key = 'net/ipv4/conf/all/route_localnet';
      await netlink.apply(ownNetns, [{ op: 'setSysctl', key, value: '0' }]);
    },
  },
  {
    name: 'an external IP leads to the backends',
    shows: ['externalIPs'],
    run: async ({ put, b, c, outside, node }) => {
      await put('ext', { clusterIP: '10.96.0.86', externalIPs: ['203.0.113.5'] }, [b]);
      for (const from of [outside, c, node])
        expect(namesOf(await from.connect('203.0.113.5:80'))).toEqual(new Set(['b']));
    },
  },
  {
    name: 'an external IP that two Services have is the first one’s, however each writes it',
    shows: ['externalIPs'],
    run: async ({ put, remove, family, a, b, c }) => {
      const other = family === 'ip' ? '203.000.113.006' : inFamily(family, '203.0.113.6').toUpperCase();
      await put('one', { clusterIP: '10.96.0.61', externalIPs: ['203.0.113.6'] }, [a]);
      await put('two', { clusterIP: '10.96.0.62', externalIPs: [other] }, [b]);
      const answers = async () => [
        ...namesOf(await c.connect('203.0.113.6:80', 4)),
        ...namesOf(await c.connect('10.96.0.62:80')),
      ];
      expect(await answers()).toEqual(['a', 'b']);
      await remove('one');
      expect(await answers()).toEqual(['b', 'b']);
    },
  },
  {
    name: 'an address of a load balancer leads to the backends, unless that forwards connections itself',
    shows: ['addresses of load balancers', 'ipMode'],
    run: async ({ put, a, c, outside, node }) => {
      // Without node ports there is the address alone.
      const spec = {
        type: 'LoadBalancer',
        clusterIP: '10.96.0.75',
        allocateLoadBalancerNodePorts: false,
      } as const;
      const ports = [{ port: 8080 }];
      await put('vip', { ...spec, ports }, [a]);
      for (const from of [outside, c, node])
        expect(namesOf(await from.connect('203.0.113.80:8080'))).toEqual(new Set(['a']));
      for (const from of [c, node])
        expect(namesOf(await from.connect('203.0.113.81:8080'))).toEqual(new Set(['balancer']));
    },
  },
  {
    name: 'a backend of the host network answers pods, the node and others, by UDP where it listens at the address of the node',
    shows: ['host-network backends'],
    run: async ({ put, a, c, outside, node }) => {
      // Whoever listens at any address answers a pod from the node's address on the bridge, whom the pod never asked (kubernetes#95565).
      await node.serve('host', '192.0.2.1');
      const ports = [{ port: 80, nodePort: 30_087 }];
      for (const protocol of ['TCP', 'UDP'] as const) {
        await put('host', { clusterIP: '10.96.0.76', type: 'NodePort', ports }, [endpointAt(node)], protocol);
        const ask = (peer: Peer, to: string) => (protocol === 'TCP' ? peer.connect(to) : peer.ask(to));
        for (const from of [a, c])
          expect(namesOf(await ask(from, '10.96.0.76:80'))).toEqual(new Set(['host']));
        expect(namesOf(await ask(node, '10.96.0.76:80'))).toEqual(new Set(['host']));
        expect(namesOf(await ask(outside, '192.0.2.1:30087'))).toEqual(new Set(['host']));
      }
    },
  },
  {
    name: 'masqueradeAll: whoever sends to a Service comes with the address of the node',
    shows: ['masquerade'],
    run: async ({ put, restart, at, seen, a, c }) => {
      await put('all', { clusterIP: '10.96.0.69' }, [a]);
      expect(await c.connect('10.96.0.69:80')).toEqual([`a ${seen(c.ip)}`]);
      await restart({ masqueradesAll: true });
      expect(await c.connect('10.96.0.69:80')).toEqual([at('a 10.244.0.1')]);
      expect(await c.ask('10.96.0.69:80')).toEqual(['ECONNREFUSED']);
    },
  },
  {
    name: 'what leaves with the address of the node has no mark any more',
    shows: ['masquerade'],
    // A tunnel's packets have it from those within, and would be translated, too (kubernetes#92035).
    run: async ({ nft, family, put, a, outside }) => {
      const ref = { family, name: 'leaving' } as const;
      const rule = (counter: string, left: NftLoad, mask?: number): NftRule => ({
        exprs: [
          mask === undefined
            ? { expr: 'match', left, op: '==', right: 'new' }
            : { expr: 'match', left, op: '!=', right: 0, mask },
          { expr: 'counter', name: counter },
        ],
      });
      const table: NftTable = {
        ...ref,
        ...{ sets: [], elements: {} },
        counters: ['begun', 'marked'].map((name) => ({ name, packets: 0, bytes: 0 })),
        chains: [
          {
            name: 'last',
            hook: { type: 'filter', hook: 'postrouting', priority: 300 },
            rules: [
              rule('begun', { load: 'ct state' }),
              rule('marked', { load: 'meta mark' }, masqueradeMark),
            ],
          },
        ],
      };
      await put(
        'np',
        { type: 'NodePort', clusterIP: '10.96.0.60', ports: [{ port: 80, nodePort: 30_078 }] },
        [a],
      );
      await nft.commit(ownNetns, [{ op: 'replaceTable', table }]);
      await using _table = {
        [Symbol.asyncDispose]: () => nft.commit(ownNetns, [{ op: 'removeTable', table: ref }]),
      };

      expect(namesOf(await outside.connect('192.0.2.1:30078'))).toEqual(new Set(['a']));
      const counted = new Map(
        (await nft.counters(ownNetns, ref)).map(({ name, packets }) => [name, packets]),
      );
      expect(counted.get('begun')).toBeGreaterThan(0);
      expect(counted.get('marked')).toBe(0);
    },
  },
  {
    name: 'Services that another proxy has taken, and headless ones, are left alone',
    shows: ['service-proxy-name', 'headless'],
    run: async ({ put, a, c }) => {
      const labels = ['service.kubernetes.io/service-proxy-name', 'service.kubernetes.io/headless'];
      for (const label of labels) {
        await put('other', { clusterIP: '10.96.0.68' }, [a]);
        expect(namesOf(await c.connect('10.96.0.68:80'))).toEqual(new Set(['a']));
        await put('other', { clusterIP: '10.96.0.68' }, [a], { labels: { [label]: 'other' } });
        expect(await c.connect('10.96.0.68:80', 1, silenceMs)).toEqual(['ECONNREFUSED']);
      }
    },
  },
];
