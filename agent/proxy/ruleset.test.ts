import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Endpoint, EndpointSlice, Service, ServiceSpec } from '#api/objects.ts';
import type { NftElement, NftOp, NftTable } from '#native/nft/nft.ts';
import { renderTable } from '#native/nft/render.ts';
import { renderContribution, slotCount, type Contribution } from './contribution.ts';
import { describeWalk, walkPacket, type Packet, type WalkOptions } from './packet-walk.ts';
import { createRuleset } from './ruleset.ts';
import { computeProxyPorts, type ProxyPort } from './service-map.ts';
import { computeStaleFlows } from './stale-flows.ts';
import { familyFacts } from './table-layout.ts';

const node = { name: 'node-1', zone: 'zone-a' };
const tableOptions = { family: 'ip', clusterCidr: '10.244.0.0/16', serviceCidr: '10.96.0.0/12' } as const;

/** An endpoint `10.244.0.x` of this node, or `10.244.1.x` of another. */
function endpoint(ip: string, changes: Partial<Endpoint> = {}): Endpoint {
  return {
    addresses: [ip],
    nodeName: ip.startsWith('10.244.0.') ? 'node-1' : 'node-2',
    conditions: { ready: true },
    ...changes,
  };
}

const local = endpoint('10.244.0.5');
const remote = endpoint('10.244.1.5');
const terminating = { ready: false, serving: true, terminating: true };

function ports(spec: ServiceSpec, endpoints: readonly Endpoint[], name = 'web'): readonly ProxyPort[] {
  const service: Service = {
    metadata: { namespace: 'd', name },
    spec: {
      clusterIP: '10.96.0.80',
      clusterIPs: [spec.clusterIP ?? '10.96.0.80'],
      ports: [{ port: 80, protocol: 'TCP' }],
      ...spec,
    },
  };
  const slice: EndpointSlice = {
    addressType: 'IPv4',
    ports: [{ port: 8080, protocol: spec.ports?.[0]?.protocol ?? 'TCP' }],
    endpoints,
  };
  return computeProxyPorts(service, [slice], node, 'ip');
}

function contribution(spec: ServiceSpec, endpoints: readonly Endpoint[], name = 'web'): Contribution {
  return renderContribution(ports(spec, endpoints, name), familyFacts.ip);
}

function tableOf(spec: ServiceSpec, endpoints: readonly Endpoint[]): NftTable {
  const ruleset = createRuleset(tableOptions);
  ruleset.set('d/web', contribution(spec, endpoints));
  return ruleset.takeTable();
}

const sources = {
  pod: '10.244.0.9',
  'pod of another node': '10.244.1.9',
  'the pod itself': '10.244.0.5',
  outside: '192.0.2.9',
  node: '192.0.2.1',
};

/** `from <whom>, to <address:port>`, in words. */
function walk(
  table: NftTable,
  from: keyof typeof sources,
  to: string,
  protocol: Packet['protocol'] = 6,
): string {
  const [target = '', port = ''] = to.split(':');
  const options: WalkOptions = { from: from === 'node' ? 'node' : 'interface', nodeIps: ['192.0.2.1'] };
  return describeWalk(
    walkPacket(table, { source: sources[from], target, protocol, port: Number(port) }, options),
  );
}

const nodePort = { type: 'NodePort', ports: [{ port: 80, nodePort: 30_080, protocol: 'TCP' }] } as const;
const localPolicy = { ...nodePort, externalTrafficPolicy: 'Local' } as const;
const both = 'one of 10.244.0.5:8080, 10.244.1.5:8080';

describe('packets', () => {
  test.each<[string, ServiceSpec, readonly Endpoint[], keyof typeof sources, string, string]>([
    ['ClusterIP', {}, [local, remote], 'pod', '10.96.0.80:80', both],
    ['ClusterIP', {}, [local, remote], 'node', '10.96.0.80:80', both],
    ['ClusterIP', {}, [local], 'outside', '10.96.0.80:80', "10.244.0.5:8080 with the node's address"],
    [
      'ClusterIP, hairpin',
      {},
      [local],
      'the pod itself',
      '10.96.0.80:80',
      "10.244.0.5:8080 with the node's address",
    ],
    ['another port', {}, [local], 'pod', '10.96.0.80:81', 'reject'],
    ['another port', {}, [local], 'node', '10.96.0.80:81', 'reject'],
    ['no endpoints', {}, [], 'pod', '10.96.0.80:80', 'reject'],
    ['no endpoints', {}, [], 'node', '10.96.0.80:80', 'reject'],
    [
      'none ready',
      {},
      [endpoint('10.244.0.5', { conditions: { ready: false } })],
      'pod',
      '10.96.0.80:80',
      'reject',
    ],
    [
      'all terminating',
      {},
      [endpoint('10.244.0.5', { conditions: terminating })],
      'pod',
      '10.96.0.80:80',
      '10.244.0.5:8080',
    ],
    [
      'some terminating',
      {},
      [local, endpoint('10.244.1.5', { conditions: terminating })],
      'pod',
      '10.96.0.80:80',
      '10.244.0.5:8080',
    ],
    [
      'internal Local',
      { internalTrafficPolicy: 'Local' },
      [local, remote],
      'pod',
      '10.96.0.80:80',
      '10.244.0.5:8080',
    ],
    [
      'internal Local, none here',
      { internalTrafficPolicy: 'Local' },
      [remote],
      'pod',
      '10.96.0.80:80',
      'drop',
    ],
    ['affinity', { sessionAffinity: 'ClientIP' }, [local, remote], 'pod', '10.96.0.80:80', both],
    ['NodePort', nodePort, [local, remote], 'outside', '192.0.2.1:30080', `${both} with the node's address`],
    ['NodePort', nodePort, [local, remote], 'pod', '192.0.2.1:30080', `${both} with the node's address`],
    [
      "NodePort, a pod of the backend's node",
      { ...nodePort, sessionAffinity: 'ClientIP' },
      [remote],
      'pod of another node',
      '192.0.2.1:30080',
      "10.244.1.5:8080 with the node's address",
    ],
    ['NodePort', nodePort, [local, remote], 'node', '192.0.2.1:30080', both],
    ['NodePort of another host', nodePort, [local], 'pod', '198.51.100.7:30080', '198.51.100.7:30080'],
    ['NodePort, no endpoints', nodePort, [], 'outside', '192.0.2.1:30080', 'reject'],
    ['NodePort Local', localPolicy, [local, remote], 'outside', '192.0.2.1:30080', '10.244.0.5:8080'],
    ['NodePort Local', localPolicy, [local, remote], 'pod', '192.0.2.1:30080', both],
    ['NodePort Local, none here', localPolicy, [remote], 'outside', '192.0.2.1:30080', 'drop'],
    ['NodePort Local, none here', localPolicy, [remote], 'pod', '192.0.2.1:30080', '10.244.1.5:8080'],
    [
      'NodePort Local, last one terminating',
      localPolicy,
      [remote, endpoint('10.244.0.5', { conditions: terminating })],
      'outside',
      '192.0.2.1:30080',
      '10.244.0.5:8080',
    ],
    [
      'NodePort with affinity',
      { ...nodePort, sessionAffinity: 'ClientIP' },
      [local, remote],
      'outside',
      '192.0.2.1:30080',
      `${both} with the node's address`,
    ],
    [
      'external IP',
      { externalIPs: ['203.0.113.5'] },
      [local, remote],
      'outside',
      '203.0.113.5:80',
      `${both} with the node's address`,
    ],
    [
      'external IP Local',
      { externalIPs: ['203.0.113.5'], externalTrafficPolicy: 'Local' },
      [local, remote],
      'outside',
      '203.0.113.5:80',
      '10.244.0.5:8080',
    ],
    ['not a Service', {}, [local], 'pod', '198.51.100.7:80', '198.51.100.7:80'],
  ])('%s, from %4$s to %5$s', (_name, spec, endpoints, from, to, want) => {
    expect(walk(tableOf(spec, endpoints), from, to)).toBe(want);
  });

  test('another protocol of the same port is another Service', () => {
    expect(walk(tableOf({}, [local]), 'pod', '10.96.0.80:80', 17)).toBe('reject');
  });
});

describe('endpoints by topology hints', () => {
  const near = (zone: string): Partial<Endpoint> => ({ hints: { forZones: [{ name: zone }] } });
  test.each([
    [
      'all have hints, some for our zone',
      [endpoint('10.244.1.1', near('zone-a')), endpoint('10.244.1.2', near('zone-b'))],
      ['10.244.1.1'],
    ],
    [
      'one has none',
      [endpoint('10.244.1.1', near('zone-a')), endpoint('10.244.1.2')],
      ['10.244.1.1', '10.244.1.2'],
    ],
    [
      'none for our zone',
      [endpoint('10.244.1.1', near('zone-b')), endpoint('10.244.1.2', near('zone-c'))],
      ['10.244.1.1', '10.244.1.2'],
    ],
    [
      'for our node',
      [
        endpoint('10.244.0.1', { hints: { forNodes: [{ name: 'node-1' }] } }),
        endpoint('10.244.1.2', { hints: { forNodes: [{ name: 'node-2' }] } }),
      ],
      ['10.244.0.1'],
    ],
  ])('%s', (_name, endpoints, want) =>
    expect(ports({}, endpoints)[0]?.backends.map((item) => item.ip)).toEqual(want),
  );
});

test('Services that are not ours get nothing', () => {
  expect(ports({ clusterIP: 'None' }, [local])).toEqual([]);
  expect(ports({ type: 'ExternalName' }, [local])).toEqual([]);
});

test('the table of a Service of each kind', async () => {
  const ruleset = createRuleset(tableOptions);
  ruleset.set('d/web', contribution({ ...localPolicy }, [local, remote]));
  ruleset.set(
    'd/sticky',
    contribution({ clusterIP: '10.96.0.81', sessionAffinity: 'ClientIP' }, [local], 'sticky'),
  );
  ruleset.set('d/empty', contribution({ clusterIP: '10.96.0.82' }, [], 'empty'));
  await expect(`${renderTable(ruleset.takeTable())}\n`).toMatchFileSnapshot('golden/services.nft');
});

describe('slotCount()', () => {
  test.each([
    [1, 1],
    [32, 32],
    [33, 256],
    [64, 256],
    [65, 512],
    [1000, 4096],
  ])('%i backends: %i slots', (backends, want) => expect(slotCount(backends)).toBe(want));
});

/** What a kernel would hold: elements by set, and rules by chain, as text. */
function createModel(table: NftTable): {
  readonly commit: (ops: readonly NftOp[]) => void;
  readonly text: () => string;
} {
  const sets = new Map(table.sets.map((set) => [set.name, new Map<string, NftElement>()]));
  const chains = new Map(
    table.chains.map((chain) => [chain.name, chain.rules.map((rule) => JSON.stringify(rule))]),
  );
  const setOf = (name: string): Map<string, NftElement> => sets.get(name) ?? fail(`no set ${name}`);
  for (const [name, elements] of Object.entries(table.elements))
    for (const item of elements) setOf(name).set(item.key.join(), item);
  const fail = (message: string): never => {
    throw new Error(message);
  };
  const run = (op: NftOp): void => {
    switch (op.op) {
      case 'addSet':
        return void (sets.has(op.set.name)
          ? fail(`set ${op.set.name} is there`)
          : sets.set(op.set.name, new Map()));
      case 'removeSet':
        return void (sets.delete(op.name) || fail(`no set ${op.name}`));
      case 'addChain':
        return void (chains.has(op.chain.name)
          ? fail(`chain ${op.chain.name} is there`)
          : chains.set(op.chain.name, []));
      case 'removeChain':
        return void (chains.delete(op.name) || fail(`no chain ${op.name}`));
      case 'flushChain':
        return void (chains.has(op.name) ? chains.set(op.name, []) : fail(`no chain ${op.name}`));
      case 'addRule':
        return void (chains.get(op.chain) ?? fail(`no chain ${op.chain}`)).push(JSON.stringify(op.rule));
      case 'addElements':
        for (const item of op.elements) {
          if (setOf(op.set.name).has(item.key.join())) fail(`element ${item.key.join()} is there`);
          setOf(op.set.name).set(item.key.join(), item);
        }
        return;
      case 'removeElements':
        for (const item of op.elements)
          if (!setOf(op.set.name).delete(item.key.join())) fail(`no element ${item.key.join()}`);
        return;
      default:
        fail(`unexpected ${op.op}`);
    }
  };
  return {
    commit: (ops) => ops.forEach(run),
    text: () =>
      JSON.stringify([
        [...sets]
          .filter(([, items]) => items.size > 0)
          .map(([name, items]) => [name, [...items].toSorted()])
          .toSorted(),
        [...chains].map(([name, rules]) => [name, rules.toSorted()]).toSorted(),
      ]),
  };
}

test('changes lead to the same table as making it whole, whatever happens to Services', () => {
  const change = fc.record({
    key: fc.constantFrom('d/a', 'd/b', 'd/c'),
    isGone: fc.boolean(),
    backends: fc.subarray(['10.244.0.1', '10.244.0.2', '10.244.1.3', '10.244.1.4']),
    isSticky: fc.boolean(),
    isLocal: fc.boolean(),
    shared: fc.boolean(),
    takes: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 25 }), (changes) => {
      const ruleset = createRuleset(tableOptions);
      const model = createModel(ruleset.takeTable());
      for (const { key, isGone, backends, isSticky, isLocal, shared, takes } of changes) {
        const spec: ServiceSpec = {
          ...nodePort,
          ports: [{ port: 80, protocol: 'TCP', nodePort: 30_000 + key.charCodeAt(2) }],
          clusterIP: `10.96.0.${key.charCodeAt(2)}`,
          ...(isSticky ? { sessionAffinity: 'ClientIP' } : {}),
          ...(isLocal ? { externalTrafficPolicy: 'Local' } : {}),
          ...(shared ? { externalIPs: ['203.0.113.5'] } : {}),
        };
        ruleset.set(
          key,
          isGone
            ? undefined
            : contribution(
                spec,
                backends.map((ip) => endpoint(ip)),
                key,
              ),
        );
        if (takes) model.commit(ruleset.takeChanges());
      }
      model.commit(ruleset.takeChanges());
      expect(model.text()).toBe(createModel(ruleset.takeTable()).text());
    }),
  );
});

test('one change among many Services is a change of that Service alone', () => {
  const ruleset = createRuleset(tableOptions);
  for (let i = 0; i < 100; i++)
    ruleset.set(`d/${i}`, contribution({ clusterIP: `10.96.1.${i}` }, [local, remote], `${i}`));
  ruleset.takeTable();
  ruleset.set('d/7', contribution({ clusterIP: '10.96.1.7' }, [remote], '7'));
  const ops = ruleset.takeChanges();
  expect(ops.map((op) => op.op)).toEqual(['addSet', 'removeElements', 'addElements', 'addRule']);
  ruleset.set('d/8', contribution({ clusterIP: '10.96.1.8' }, [remote], '8'));
  expect(ruleset.takeChanges().map((op) => op.op)).toEqual(['removeElements', 'addElements']);
});

describe('computeStaleFlows()', () => {
  const udp = { ports: [{ port: 53, protocol: 'UDP' }] } as const;
  const flows = (before: readonly Endpoint[], after: readonly Endpoint[], spec: ServiceSpec = udp): unknown =>
    computeStaleFlows(ports(spec, before), ports(spec, after), ['192.0.2.1']);
  const flow = { protocol: 17, originalDestination: '10.96.0.80', port: 53 };
  test.each([
    ['a backend goes', [local, remote], [remote], [{ ...flow, replySource: '10.244.0.5' }]],
    ['the last backend goes', [local], [], [{ ...flow, replySource: '10.244.0.5' }]],
    ['the first backend comes', [], [local], [flow]],
    ['a further backend comes', [local], [local, remote], []],
    ['nothing changes', [local], [local], []],
  ])('%s', (_name, before, after, want) => expect(flows(before, after)).toEqual(want));

  test('TCP ends by itself', () => expect(flows([local], [], {})).toEqual([]));
});
