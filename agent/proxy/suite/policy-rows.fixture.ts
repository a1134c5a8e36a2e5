/** What NetworkPolicies make of packets that come by a Service. */
import { existsSync } from 'node:fs';
import { expect } from 'vitest';
import { podOf, tableOf, type World } from '#agent/network/policy/policy.fixture.ts';
import { families, namesOf, silenceMs, type Peer } from '#agent/proxy/packet-net.fixture.ts';
import { inFamily } from '#agent/proxy/services.fixture.ts';
import type { NetworkPolicy, NetworkPolicySpec } from '#api/generated/objects.ts';
import { ownNetns } from '#native/netlink/netlink.ts';
import type { Bench } from './bench.fixture.ts';
import type { Row } from './row.fixture.ts';
import { openSctp } from './sctp-packets.fixture.ts';

const only = (name: string): NetworkPolicySpec['podSelector'] => ({ matchLabels: { pod: name } });

/** The three pods under a policy, on the node, until it is disposed. */
async function underPolicy(
  { nft, family, a, b, c }: Bench,
  spec: NetworkPolicySpec,
): Promise<AsyncDisposable> {
  const pods = Object.entries({ a, b, c }).map(([name, { ip }]) =>
    podOf('x', name, { labels: { pod: name }, ips: families.map((each) => inFamily(each, ip)) }),
  );
  const world: World = { namespaces: { x: {} }, pods };
  const policy: NetworkPolicy = { metadata: { namespace: 'x', name: 'policy' }, spec };
  const table = tableOf(world, [policy], family);
  await nft.commit(ownNetns, [{ op: 'replaceTable', table }]);
  return { [Symbol.asyncDispose]: () => nft.commit(ownNetns, [{ op: 'removeTable', table }]) };
}

export const policyRows: readonly Row[] = [
  {
    name: 'a NetworkPolicy holds for what comes by a Service as for what comes by itself; what the agent forwards is the node’s',
    shows: ['NetworkPolicy, from a first packet on'],
    run: async (bench) => {
      const { mode, put, a, b, c } = bench;
      const ports = [{ port: 80, nodePort: 30_063 }];
      const reaches = async (protocol: 'TCP' | 'UDP', from: Peer, to: string, want: 'a' | 'timeout') => {
        const ask = protocol === 'TCP' ? from.connect : from.ask;
        // Only what does not come has so little time.
        expect(namesOf(await ask(to, 1, want === 'timeout' ? silenceMs : undefined))).toEqual(
          new Set([want]),
        );
      };
      for (const protocol of ['TCP', 'UDP'] as const) {
        await put('policed', { clusterIP: '10.96.0.63', type: 'NodePort', ports }, [a], protocol);
        const forbidden = mode === 'userspace' ? 'a' : 'timeout';
        {
          await using _ingress = await underPolicy(bench, {
            podSelector: only('a'),
            ingress: [{ from: [{ podSelector: only('b') }] }],
          });

          await reaches(protocol, b, '10.96.0.63:80', 'a');
          await reaches(protocol, c, '10.96.0.63:80', forbidden);
          await reaches(protocol, c, '10.244.0.10:8080', 'timeout');
        }
        await using _egress = await underPolicy(bench, { podSelector: only('c'), policyTypes: ['Egress'] });

        await reaches(protocol, b, '10.96.0.63:80', 'a');
        await reaches(protocol, c, '10.96.0.63:80', forbidden);
        await reaches(protocol, c, '10.244.0.10:8080', 'timeout');
      }
    },
  },
  {
    name: 'a NetworkPolicy that allows one of TCP, UDP and SCTP allows no other by the same port',
    shows: ['NetworkPolicy, from a first packet on'],
    except: (mode) => (mode === 'nftables' ? undefined : 'what comes by no Service meets no proxy'),
    // A kernel with sockets of SCTP would answer by itself that nobody listens.
    canRun: () => !existsSync('/proc/net/sctp'),
    run: async (bench) => {
      const { at, family, a, b } = bench;
      const to = '10.244.0.10:8080';
      using client = openSctp(b.netns, family);
      using server = openSctp(a.netns, family);
      for (const [i, protocol] of (['SCTP', 'TCP', 'UDP'] as const).entries()) {
        await using _policy = await underPolicy(bench, {
          podSelector: only('a'),
          ingress: [{ ports: [{ protocol, port: 8080 }] }],
        });

        const tag = 8_000 + i;
        client.send({ chunk: 'init', tag, sourcePort: 5_100 + i, to: at(a.ip), port: 8080 });
        if (protocol === 'SCTP') await server.heard('init', tag);
        const answers = await Promise.all([
          b.connect(to, 1, protocol === 'TCP' ? undefined : silenceMs),
          b.ask(to, 1, protocol === 'UDP' ? undefined : silenceMs),
        ]);
        expect(answers.map(([one = '']) => one.split(' ')[0])).toEqual(
          ['TCP', 'UDP'].map((one) => (one === protocol ? 'a' : 'timeout')),
        );
        expect(server.all().some((packet) => packet.tag === tag)).toBe(protocol === 'SCTP');
      }
    },
  },
];
