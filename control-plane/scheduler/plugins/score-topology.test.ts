import { expect, it } from 'vitest';
import type {
  Affinity,
  Node,
  Pod,
  PodAffinityTerm,
  TopologySpreadConstraint,
} from '#api/generated/objects.ts';
import { pluginArgs } from '#control-plane/scheduler/config/plugin-args.ts';
import { scoreNodes } from '#control-plane/scheduler/decide.ts';
import { scorePlugins } from '#control-plane/scheduler/plugins.ts';
import { defaultProfile } from '#control-plane/scheduler/profile.ts';
import { nodeInfo, type NodeInfo } from '#control-plane/scheduler/snapshot.ts';

// Rows of the tables of kube-scheduler's podtopologyspread and interpodaffinity (scoring). Its scores are rounded down and ours are not: they are less
// than one apart. Where all nodes are alike, how many points they have does not matter.

const hostname = 'kubernetes.io/hostname';
const labelled = (letters: string): Readonly<Record<string, string>> =>
  Object.fromEntries([...letters].map((letter) => [letter, '']));

/** A pod: letters of its labels, after `namespace/` and before what it wants. */
type Running = string | { readonly labels: string; readonly affinity?: Affinity; readonly isGoing?: true };

interface Row {
  readonly name: string;
  readonly plugin: 'PodTopologySpread' | 'InterPodAffinity';
  readonly args?: object;
  readonly pod: Partial<NonNullable<Pod['spec']>>;
  /** Letters. */
  readonly labels?: string;
  readonly namespace?: string;
  /** `label=value`; each has its hostname, but those with `!`. Those that are refused are in capitals. */
  readonly nodes: Readonly<Record<string, string>>;
  readonly running?: Readonly<Record<string, readonly Running[]>>;
  /** A Service selects pods with the letter f. */
  readonly hasService?: boolean;
  readonly want: readonly number[];
}

const spread = (
  letter: string | undefined,
  topologyKey: string,
  more: Partial<TopologySpreadConstraint> = {},
): TopologySpreadConstraint => ({
  ...{ topologyKey, maxSkew: 1, whenUnsatisfiable: 'ScheduleAnyway' },
  ...(letter === undefined
    ? {}
    : { labelSelector: { matchExpressions: [...letter].map((key) => ({ key, operator: 'Exists' })) } }),
  ...more,
});
const by = (...topologySpreadConstraints: readonly TopologySpreadConstraint[]) => ({
  topologySpreadConstraints,
});
const onNodes = (letter?: string, more: Partial<TopologySpreadConstraint> = {}) =>
  by(spread(letter, hostname, more));
const [ab, abcd] = [
  { a: '', b: '' },
  { a: '', b: '', c: '', d: '' },
];
const zones = { a: 'zone=1', b: 'zone=1', c: 'zone=2', d: 'zone=2' };
const dRefused = { a: 'zone=1', b: 'zone=1', c: 'zone=2', D: 'zone=2' };
const both = by(spread('f', 'zone'), spread('b', hostname));
const named = { a: 'node=a f=', b: 'node=b f=', c: 'node=c' };
const namedPods = { a: ['f', 'f'], b: ['f'], c: ['f'] };
const ofF = { nodeSelector: { f: '' } };
const affine: Affinity = {
  nodeAffinity: {
    requiredDuringSchedulingIgnoredDuringExecution: {
      nodeSelectorTerms: [{ matchExpressions: [{ key: 'f', operator: 'In', values: [''] }] }],
    },
  },
};

const spreadRows: readonly Omit<Row, 'plugin'>[] = [
  { name: 'nobody is there', pod: onNodes('f'), nodes: ab, want: [100, 100] },
  {
    ...{ name: 'as many on each', pod: onNodes('f'), nodes: ab, running: { a: ['f'], b: ['f'] } },
    want: [100, 100],
  },
  {
    ...{ name: '2/1/0/3', pod: onNodes('f'), nodes: abcd },
    running: { a: ['f', 'f'], b: ['f'], d: ['f', 'f', 'f'] },
    want: [20, 60, 100, 0],
  },
  {
    ...{ name: 'no selector', pod: onNodes(), nodes: abcd },
    running: { a: ['f', 'f'], b: ['f'], d: ['f', 'f', 'f'] },
    want: [100, 100, 100, 100],
  },
  {
    ...{ name: '2/1/0/3, a skew of 2', pod: onNodes('f', { maxSkew: 2 }), nodes: abcd },
    running: { a: ['f', 'f'], b: ['f'], d: ['f', 'f', 'f'] },
    want: [33, 66, 100, 16],
  },
  {
    ...{ name: '4/3/2/1, a skew of 3', pod: onNodes('f', { maxSkew: 3 }), nodes: abcd },
    running: { a: ['f', 'f', 'f', 'f'], b: ['f', 'f', 'f'], c: ['f', 'f'], d: ['f'] },
    want: [44, 66, 77, 100],
  },
  {
    ...{
      name: '4/3/2/1, of a Service, by the defaults of the system',
      pod: {},
      nodes: abcd,
      hasService: true,
    },
    running: { a: ['f', 'f', 'f', 'f'], b: ['f', 'f', 'f'], c: ['f', 'f'], d: ['f'] },
    want: [44, 66, 77, 100],
  },
  {
    ...{ name: 'the same, where one is in no zone', pod: {}, hasService: true },
    nodes: { a: 'topology.kubernetes.io/zone=1', b: '' },
    running: { a: Array.from({ length: 9 }, () => 'f'), b: ['f', 'f', 'f', 'f', 'f', 'f'] },
    want: [32, 100], // (9 + 9) log 4 + 2 + 4 = 31, and 6 log 4 + 2 = 10; without zones log 3 were 35.
  },
  {
    ...{ name: '4/2/1/3, of which the last is refused', pod: onNodes('f') },
    nodes: { a: '', b: '', c: '', D: '' },
    running: { a: ['f', 'f', 'f', 'f'], b: ['f', 'f'], c: ['f'], D: ['f', 'f', 'f'] },
    want: [33, 83, 100],
  },
  {
    ...{ name: '4/2/1/3, of which one has no such label', pod: onNodes('f') },
    nodes: { a: '', b: '!', c: '', D: '' },
    running: { a: ['f', 'f', 'f', 'f'], b: ['f', 'f'], c: ['f'], D: ['f', 'f', 'f'] },
    want: [16, 0, 100],
  },
  {
    ...{ name: '4/2/1/3 in two zones', pod: by(spread('f', 'zone')), nodes: dRefused },
    running: { a: ['f', 'f', 'f', 'f'], b: ['f', 'f'], c: ['f'], D: ['f', 'f', 'f'] },
    want: [75, 75, 100],
  },
  {
    ...{ name: '2/1/2/4 by zone and node', pod: by(spread('f', 'zone'), spread('f', hostname)) },
    nodes: { a: 'zone=1', B: 'zone=1', c: 'zone=2', D: 'zone=2' },
    running: { a: ['f', 'f'], B: ['f'], c: ['f', 'f'], D: ['f', 'f', 'f', 'f'] },
    want: [100, 63],
  },
  {
    ...{ name: 'two by zone', pod: by(spread('f', 'zone'), spread('b', 'zone')) },
    nodes: { a: 'zone=1', B: 'zone=1', c: 'zone=2', D: 'zone=2' },
    running: { a: ['fb', 'f'], B: ['fb'], D: ['f', 'fb', 'f'] },
    want: [85, 100],
  },
  {
    ...{ name: 'by zone, and others by node', pod: both, nodes: zones },
    running: { a: ['f'], b: ['fb'], d: ['f', 'b'] },
    want: [60, 20, 100, 60],
  },
  {
    ...{ name: 'by zone, and others by node, of which some have none', pod: both, nodes: zones },
    running: { b: ['b'], c: ['f'], d: ['fb'] },
    want: [100, 60, 40, 0],
  },
  {
    ...{ name: 'by zone, and others by node, of which one is refused', pod: both, nodes: dRefused },
    running: { a: ['f'], b: ['fb'], D: ['f', 'b'] },
    want: [50, 25, 100],
  },
  {
    ...{ name: 'of other namespaces', pod: onNodes('f'), nodes: ab },
    running: { a: ['other/f', 'f'], b: ['f', 'f'] },
    want: [100, 33], // 2 to 4 by round numbers
  },
  {
    ...{ name: 'of those that go', pod: onNodes('f'), nodes: ab },
    running: { a: [{ labels: 'f', isGoing: true }], b: ['f'] },
    want: [100, 0],
  },
  {
    ...{ name: 'more domains than there are', pod: by(spread('f', 'node', { maxSkew: 2, minDomains: 10 })) },
    ...{ nodes: named, running: { a: ['f', 'f'], b: ['f', 'f'], c: ['f'] } },
    want: [75, 75, 100],
  },
  {
    ...{ name: 'node selector honoured', pod: { ...ofF, ...by(spread('f', 'node')) } },
    ...{ nodes: named, running: namedPods, want: [0, 33, 100] },
  },
  {
    name: 'node selector ignored',
    pod: { ...ofF, ...by(spread('f', 'node', { nodeAffinityPolicy: 'Ignore' })) },
    ...{ nodes: named, running: namedPods, want: [66, 100, 100] },
  },
  {
    ...{ name: 'node affinity honoured', pod: { affinity: affine, ...by(spread('f', 'node')) } },
    ...{ nodes: named, running: namedPods, want: [0, 33, 100] },
  },
  {
    ...{ name: 'taints honoured', pod: by(spread('f', 'node', { nodeTaintsPolicy: 'Honor' })) },
    ...{ nodes: { ...named, c: 'node=c taint=' }, running: namedPods, want: [0, 33, 100] },
  },
  {
    ...{ name: 'taints ignored', pod: by(spread('f', 'node')) },
    ...{ nodes: { ...named, c: 'node=c taint=' }, running: namedPods, want: [66, 100, 100] },
  },
  {
    ...{ name: 'labels of the pod for a selector', labels: 'fb' },
    pod: by(spread('', 'zone', { matchLabelKeys: ['f'] }), spread('', hostname, { matchLabelKeys: ['b'] })),
    ...{ nodes: zones, running: { a: ['f'], b: ['fb'], c: ['f', 'b'] } },
    want: [60, 20, 60, 100],
  },
  {
    ...{ name: 'labels of the pod beside a selector', labels: 'fbz' },
    pod: by(spread('f', 'zone'), spread('b', hostname, { matchLabelKeys: ['z'] })),
    ...{ nodes: zones, running: { a: ['f'], b: ['fbz'], c: ['f', 'b', 'bz'] } },
    want: [60, 20, 60, 100],
  },
];

const term = (letter: string, topologyKey: string, more: Partial<PodAffinityTerm> = {}): PodAffinityTerm => ({
  topologyKey,
  labelSelector: { matchExpressions: [{ key: letter, operator: 'Exists' }] },
  ...more,
});
const towards = (weight: number, podAffinityTerm: PodAffinityTerm): Affinity => ({
  podAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight, podAffinityTerm }] },
});
const away = (weight: number, podAffinityTerm: PodAffinityTerm): Affinity => ({
  podAntiAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight, podAffinityTerm }] },
});
const [with1, with2] = [towards(5, term('1', 'region')), towards(6, term('2', 'region'))];
const [from1, from2] = [away(5, term('1', 'az')), away(5, term('2', 'az'))];
const mixed = { ...towards(8, term('1', 'region')), ...away(5, term('2', 'az')) };
const several: Affinity = {
  podAffinity: {
    preferredDuringSchedulingIgnoredDuringExecution: [
      { weight: 8, podAffinityTerm: { ...term('1', 'region'), labelSelector: exists('1', '-2') } },
      { weight: 2, podAffinityTerm: { ...term('1', 'region'), labelSelector: exists('1', '-3') } },
    ],
  },
};
const requiring = (one: PodAffinityTerm): Affinity => ({
  podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [one] },
});
const inNamespaces = { namespaces: ['x'], namespaceSelector: { matchLabels: { name: 'team' } } };
const three = { a: 'region=C', b: 'region=I', c: 'az=1' };
const regions = { a: 'region=C', b: 'region=I', c: 'region=C', d: 'region=C', e: 'region=I' };

function exists(...keys: readonly string[]) {
  return {
    matchExpressions: keys.map((key) => ({
      key: key.replace('-', ''),
      operator: key.startsWith('-') ? 'DoesNotExist' : 'Exists',
    })),
  };
}

const affinityRows: readonly Omit<Row, 'plugin'>[] = [
  { name: 'nothing wanted', pod: {}, nodes: three, running: { a: ['1'] }, want: [0, 0, 0] },
  {
    ...{ name: 'with others in a region', pod: { affinity: with1 }, nodes: three },
    ...{ running: { a: ['1'], b: ['2'], c: ['1'] }, want: [100, 0, 0] },
  },
  {
    ...{ name: 'all of the region', pod: { affinity: with1 } },
    nodes: { a: 'region=C', b: 'region=C az=1', c: 'region=I' },
    ...{ running: { a: ['1'] }, want: [100, 100, 0] },
  },
  {
    ...{ name: 'more of them in one region', pod: { affinity: with2 }, nodes: regions },
    running: { a: ['2', '2'], b: ['2'], c: ['2'], d: ['2'], e: ['2'] },
    want: [100, 0, 100, 100, 0],
  },
  {
    ...{ name: 'several terms', pod: { affinity: several }, nodes: three },
    ...{ running: { a: ['12'], b: ['1'], c: ['1'] }, want: [20, 100, 0] },
  },
  {
    ...{ name: 'whom others want', pod: {}, labels: '2', nodes: three },
    running: { a: [{ labels: '1', affinity: with1 }], b: [{ labels: '2', affinity: with2 }] },
    want: [0, 100, 0],
  },
  {
    ...{ name: 'whom others want by namespace', pod: {}, labels: '1', namespace: 'team', nodes: three },
    running: {
      a: [{ labels: '1', affinity: towards(5, term('1', 'region', inNamespaces)) }],
      b: [{ labels: '2', affinity: with2 }],
    },
    want: [100, 0, 0],
  },
  {
    ...{
      name: 'whom others do not want by namespace',
      pod: {},
      labels: '1',
      namespace: 'team',
      nodes: three,
    },
    running: {
      a: [{ labels: '1', affinity: away(5, term('1', 'region', inNamespaces)) }],
      b: [{ labels: '2', affinity: with2 }],
    },
    want: [0, 100, 100],
  },
  {
    ...{ name: 'whom others require', pod: {}, labels: '1', nodes: three },
    running: Object.fromEntries(
      ['a', 'b'].map((on) => [on, [{ labels: '1', affinity: requiring(term('1', 'region')) }]]),
    ),
    want: [100, 100, 0],
  },
  {
    ...{ name: 'whom others require, which counts nothing', pod: {}, labels: '1', nodes: three },
    args: { hardPodAffinityWeight: 0 },
    running: { a: [{ labels: '1', affinity: requiring(term('1', 'region')) }] },
    want: [0, 0, 0],
  },
  {
    ...{ name: 'without others', pod: { affinity: from1 }, nodes: { a: 'az=1', b: 'region=C' } },
    ...{ running: { a: ['1', '1'], b: ['1', '2'] }, want: [0, 100] },
  },
  {
    ...{ name: 'whom others do not want', pod: {}, labels: '2', nodes: { a: 'az=1', b: 'az=2' } },
    running: { a: [{ labels: '1', affinity: from2 }], b: [{ labels: '2', affinity: from1 }] },
    want: [0, 100],
  },
  {
    ...{ name: 'with and without', pod: { affinity: mixed }, nodes: { a: 'region=C', b: 'az=1' } },
    ...{ running: { a: ['1'], b: ['1'] }, want: [100, 0] },
  },
  {
    ...{ name: 'with and without those like it', pod: { affinity: mixed }, labels: '1' },
    nodes: { ...regions, a: 'region=C az=1' },
    running: { a: ['1', '1'], b: ['1'], c: ['1', '1'], d: ['1'], e: ['1'] },
    want: [100, 0, 100, 100, 0],
  },
  {
    ...{ name: 'with and without, wanted and not', pod: { affinity: mixed }, labels: '1' },
    nodes: { a: 'region=C', b: 'az=1', c: 'region=I', d: 'az=2' },
    running: {
      ...{ a: ['1'], b: ['2'] },
      c: [{ labels: '', affinity: mixed }],
      d: [{ labels: '', affinity: from1 }],
    },
    want: [100, 0, 100, 0],
  },
  {
    ...{ name: 'alike in one region', pod: {}, labels: '1', nodes: { a: 'region=C', b: 'region=C' } },
    ...{ running: { a: ['1'], b: [{ labels: '', affinity: mixed }] }, want: [0, 0] },
  },
  {
    name: 'with those of namespaces, by name and by label',
    pod: { affinity: towards(5, term('1', 'region', inNamespaces)) },
    ...{ labels: '1', namespace: 'team', nodes: { a: 'region=C', b: 'region=I' } },
    ...{ running: { a: ['team/1', 'x/1', 'x/1'], b: ['y/1', 'team/1'] }, want: [100, 0] },
  },
  {
    name: 'without those of namespaces',
    pod: { affinity: away(5, term('1', 'region', inNamespaces)) },
    ...{ labels: '1', namespace: 'team', nodes: { a: 'region=C', b: 'region=I' } },
    ...{ running: { a: ['team/1', 'x/1', 'x/1'], b: ['y/1', 'team/1'] }, want: [0, 100] },
  },
  {
    ...{ name: 'what others prefer ignored', pod: {}, labels: '2', nodes: { a: 'region=C', b: 'region=I' } },
    args: { ignorePreferredTermsOfExistingPods: true },
    running: { a: [{ labels: '1', affinity: mixed }], b: [{ labels: '2', affinity: with2 }] },
    want: [0, 0],
  },
];

const rows: readonly Row[] = [
  ...spreadRows.map((row) => ({ ...row, plugin: 'PodTopologySpread' as const })),
  ...affinityRows.map((row) => ({ ...row, plugin: 'InterPodAffinity' as const })),
];

function infosOf({ nodes, running = {} }: Row): readonly NodeInfo[] {
  return Object.entries(nodes).map(([name, text]) => {
    const labels = Object.fromEntries(
      text.split(' ').flatMap((one) => (one.includes('=') ? [one.split('=')] : [])),
    );
    const node: Node = {
      metadata: { name, labels: { ...(text.includes('!') ? {} : { [hostname]: name }), ...labels } },
      spec: 'taint' in labels ? { taints: [{ key: 'k', value: 'v', effect: 'NoSchedule' }] } : {},
      status: {},
    };
    const here = (running[name] ?? []).map((one, index) => {
      const { labels: said, affinity, isGoing } = typeof one === 'string' ? { labels: one } : one;
      const [letters = '', namespace = 'n'] = said.split('/').toReversed();
      const metadata = { name: `${name}${index}`, namespace, labels: labelled(letters) };
      const pod: Pod = {
        metadata: isGoing === true ? { ...metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } : metadata,
        spec: { containers: [], affinity },
      };
      return [`${namespace}/${metadata.name}`, pod] as const;
    });
    return nodeInfo(node, new Map(here));
  });
}

it.each(rows)('$plugin: $name', (row) => {
  const { pod: spec, labels = 'f', namespace = 'n', plugin, args = {}, hasService = false, want } = row;
  const scores = scorePlugins(pluginArgs({ [plugin]: { ...args } })).filter(({ name }) => name === plugin);
  const all = infosOf(row);
  const nodes = all.filter(({ name }) => name === name.toLowerCase());
  const pod: Pod = {
    metadata: { name: 'p', namespace, labels: labelled(labels) },
    spec: { containers: [], ...spec },
  };
  const snapshot = {
    nodes: all,
    services: () => (hasService ? [{ spec: { selector: { f: '' } } }] : []),
    namespaceLabels: (name: string) => ({ name }),
  };
  const profile = { ...defaultProfile, scores: scores.map((one) => ({ ...one, weight: 1 })) };
  const got = scoreNodes({ pod, snapshot, profile }, nodes, undefined);
  const base = new Set(want).size === 1 ? (want[0] ?? 0) - (got[0] ?? 0) : 0;
  for (const [index, score] of want.entries())
    expect(Math.abs((got[index] ?? -1) + base - score), `node ${index}: ${[...got].join()}`).toBeLessThan(1);
});
