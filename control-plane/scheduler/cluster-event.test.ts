import { expect, it } from 'vitest';
import type { Node, Pod, PodAffinityTerm } from '#api/generated/objects.ts';
import {
  claimEvent,
  deviceClaimEvent,
  namespaceEvent,
  nodeEvent,
  placedPodEvents,
  volumeEvent,
  type ClusterEvent,
} from './cluster-event.ts';
import { defaultProfile } from './profile.ts';

const node = (change: Partial<Node> = {}): Node => ({
  metadata: { name: 'n', labels: { zone: 'a' } },
  status: { allocatable: { cpu: '2', pods: '10' } },
  ...change,
});
const pod = (labels: Record<string, string>, spec: Partial<Pod['spec']> = {}): Pod => ({
  metadata: { name: 'p', namespace: 'default', labels },
  spec: { containers: [{ name: 'c', image: 'i' }], ...spec },
});
const asking = (cpu: string): Partial<Pod['spec']> => ({
  containers: [{ name: 'c', image: 'i', resources: { requests: { cpu } } }],
});
const term = { labelSelector: { matchLabels: { app: 'db' } }, topologyKey: 'zone' };
const near = pod(
  {},
  { affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term] } } },
);
const far = pod(
  {},
  { affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term] } } },
);
const spread = pod(
  { app: 'db' },
  {
    topologySpreadConstraints: [
      {
        maxSkew: 1,
        topologyKey: 'zone',
        whenUnsatisfiable: 'DoNotSchedule',
        labelSelector: term.labelSelector,
      },
    ],
  },
);
const onPort = (hostPort: number): Pod =>
  pod({}, { containers: [{ name: 'c', image: 'i', ports: [{ containerPort: 1, hostPort }] }] });
const [db, web] = [pod({ app: 'db' }), pod({ app: 'web' })];
const claiming = pod({}, { volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'data' } }] });
const onDisk = pod({}, { volumes: [{ name: 'd', gcePersistentDisk: { pdName: 'd' } }] });
const withDevice = pod({}, { resourceClaims: [{ name: 'd', resourceClaimName: 'gpu' }] });
const free = { spec: {} };
const given = { spec: {}, status: { allocation: {} } };
const added = nodeEvent(undefined, node());
const became = (change: Partial<Node>, from: Partial<Node> = {}): readonly ClusterEvent[] =>
  nodeEvent(node(from), node(change));
const tainted: Partial<Node> = { spec: { taints: [{ key: 'k', effect: 'NoSchedule' }] } };
const large: Partial<Node> = { status: { allocatable: { cpu: '8', pods: '10' } } };
const gone = (one: Pod) => placedPodEvents(one, undefined);
const placed = (one: Pod) => placedPodEvents(undefined, one);

const moved: Partial<Node> = { metadata: { name: 'n', labels: { zone: 'b' } } };
const labelled = (name: string): readonly ClusterEvent[] =>
  namespaceEvent(name, { metadata: { name } }, { metadata: { name, labels: { a: 'b' } } });
const joining = (labels: Record<string, string>, ...terms: readonly PodAffinityTerm[]): Pod =>
  pod(labels, { affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: terms } } });
const nearItself = joining({ app: 'db' }, term);
const nearBoth = joining({}, term, { ...term, labelSelector: { matchLabels: { tier: 'x' } } });
const nearOthers = joining({}, { ...term, namespaceSelector: { matchLabels: { a: 'b' } } });
const [constraint] = spread.spec?.topologySpreadConstraints ?? [];
const spreadOverTolerated = pod(
  {},
  constraint && { topologySpreadConstraints: [{ ...constraint, nodeTaintsPolicy: 'Honor' }] },
);
const ending: Pod = { ...db, metadata: { ...db?.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } };
const ofGroup = pod({}, { schedulingGroup: { podGroupName: 'g' } });

const rows: readonly {
  readonly plugin: string;
  readonly of?: Pod;
  readonly after: readonly ClusterEvent[];
  readonly want: boolean;
}[] = [
  { plugin: 'NodeUnschedulable', after: became({}, { spec: { unschedulable: true } }), want: true },
  { plugin: 'NodeUnschedulable', after: became(large), want: false },
  { plugin: 'VolumeBinding', of: claiming, after: claimEvent('default/data', undefined, {}), want: true },
  {
    plugin: 'DynamicResources',
    of: withDevice,
    after: deviceClaimEvent('default/gpu', undefined, free),
    want: true,
  },
  {
    plugin: 'DynamicResources',
    of: withDevice,
    after: deviceClaimEvent('default/other', undefined, free),
    want: false,
  },
  {
    plugin: 'DynamicResources',
    of: withDevice,
    after: deviceClaimEvent('default/other', given, free),
    want: true,
  },
  {
    plugin: 'DynamicResources',
    of: withDevice,
    after: deviceClaimEvent('default/gpu', given, given),
    want: false,
  },
  { plugin: 'DynamicResources', of: withDevice, after: [{ kind: 'devices' }], want: true },
  { plugin: 'DynamicResources', of: withDevice, after: gone(db), want: false },
  { plugin: 'VolumeBinding', of: claiming, after: claimEvent('default/other', undefined, {}), want: false },
  { plugin: 'VolumeBinding', of: claiming, after: claimEvent('default/data', {}, {}), want: false },
  { plugin: 'VolumeBinding', of: claiming, after: volumeEvent(undefined, {}), want: true },
  { plugin: 'VolumeBinding', of: claiming, after: volumeEvent({}, undefined), want: false },
  { plugin: 'VolumeBinding', of: claiming, after: added, want: true },
  { plugin: 'VolumeBinding', of: claiming, after: gone(claiming), want: false },
  { plugin: 'VolumeRestrictions', of: claiming, after: gone(claiming), want: true },
  { plugin: 'VolumeRestrictions', of: claiming, after: gone(db), want: false },
  { plugin: 'VolumeRestrictions', of: onDisk, after: gone(onDisk), want: true },
  { plugin: 'VolumeRestrictions', of: onDisk, after: gone(claiming), want: false },
  { plugin: 'NodeVolumeLimits', of: claiming, after: [{ kind: 'csiNode' }], want: true },
  { plugin: 'NodeVolumeLimits', of: claiming, after: [{ kind: 'detached' }], want: true },
  { plugin: 'NodeVolumeLimits', of: web, after: [{ kind: 'detached' }], want: false },
  { plugin: 'NodeVolumeLimits', of: claiming, after: gone(claiming), want: true },
  { plugin: 'NodeVolumeLimits', of: claiming, after: gone(db), want: false },
  { plugin: 'VolumeBinding', of: claiming, after: [{ kind: 'capacity' }], want: true },
  { plugin: 'TaintToleration', after: became({}, tainted), want: true },
  { plugin: 'TaintToleration', after: became(tainted), want: false },
  { plugin: 'TaintToleration', after: gone(web), want: false },
  { plugin: 'NodeAffinity', of: pod({}, { nodeSelector: { zone: 'b' } }), after: added, want: false },
  {
    plugin: 'NodeAffinity',
    of: pod({}, { nodeSelector: { zone: 'b' } }),
    after: became({ metadata: { name: 'n', labels: { zone: 'b' } } }),
    want: true,
  },
  { plugin: 'NodePorts', of: onPort(80), after: gone(onPort(80)), want: true },
  { plugin: 'NodePorts', of: onPort(80), after: gone(onPort(81)), want: false },
  { plugin: 'NodeResourcesFit', of: pod({}, asking('4')), after: became(large), want: true },
  { plugin: 'NodeResourcesFit', of: pod({}, asking('9')), after: became(large), want: false },
  { plugin: 'NodeResourcesFit', of: pod({}, asking('4')), after: became(tainted, large), want: false },
  { plugin: 'NodeResourcesFit', after: gone(web), want: true },
  { plugin: 'NodeResourcesFit', after: placed(web), want: false },
  {
    plugin: 'NodeResourcesFit',
    after: placedPodEvents(pod({}, asking('2')), pod({}, asking('1'))),
    want: true,
  },
  { plugin: 'PodTopologySpread', of: spread, after: placed(db), want: true },
  { plugin: 'PodTopologySpread', of: spread, after: placed(web), want: false },
  { plugin: 'PodTopologySpread', of: spread, after: nodeEvent(node(), undefined), want: true },
  { plugin: 'InterPodAffinity', of: near, after: placed(db), want: true },
  { plugin: 'InterPodAffinity', of: near, after: placed(web), want: false },
  { plugin: 'InterPodAffinity', of: near, after: placedPodEvents(web, db), want: true },
  { plugin: 'InterPodAffinity', of: far, after: gone(db), want: true },
  { plugin: 'InterPodAffinity', of: far, after: gone(web), want: false },
  { plugin: 'InterPodAffinity', of: db, after: gone(far), want: true },
  { plugin: 'InterPodAffinity', of: near, after: became(tainted), want: false },
  { plugin: 'InterPodAffinity', of: near, after: became(moved), want: true },
  { plugin: 'InterPodAffinity', of: near, after: nodeEvent(node(), undefined), want: true },
  { plugin: 'InterPodAffinity', of: near, after: gone(db), want: false },
  { plugin: 'InterPodAffinity', of: nearItself, after: gone(db), want: true },
  { plugin: 'InterPodAffinity', of: nearBoth, after: placed(db), want: false },
  { plugin: 'InterPodAffinity', of: near, after: labelled('other'), want: false },
  { plugin: 'InterPodAffinity', of: near, after: labelled('default'), want: true },
  { plugin: 'InterPodAffinity', of: nearOthers, after: labelled('other'), want: true },
  { plugin: 'NodePorts', of: onPort(80), after: became(tainted), want: false },
  { plugin: 'NodePorts', of: onPort(80), after: added, want: true },
  { plugin: 'NodeName', of: pod({}, { nodeName: 'n' }), after: added, want: true },
  { plugin: 'NodeName', of: pod({}, { nodeName: 'm' }), after: added, want: false },
  { plugin: 'NodeDeclaredFeatures', after: became(large), want: false },
  {
    plugin: 'NodeDeclaredFeatures',
    after: became({ status: { ...node().status, declaredFeatures: ['F'] } }),
    want: true,
  },
  { plugin: 'VolumeBinding', of: claiming, after: became(large), want: false },
  { plugin: 'VolumeBinding', of: claiming, after: became(moved), want: true },
  { plugin: 'VolumeZone', of: claiming, after: became(tainted), want: false },
  { plugin: 'VolumeZone', of: claiming, after: became(moved), want: true },
  { plugin: 'NodeVolumeLimits', of: claiming, after: [{ kind: 'csiDriver' }], want: true },
  { plugin: 'NodeVolumeLimits', of: claiming, after: [{ kind: 'capacity' }], want: false },
  { plugin: 'DynamicResources', of: withDevice, after: became(tainted), want: false },
  { plugin: 'DynamicResources', of: withDevice, after: became(moved), want: true },
  { plugin: 'PodTopologySpread', of: spread, after: became(large), want: false },
  { plugin: 'PodTopologySpread', of: spread, after: became(moved), want: true },
  { plugin: 'PodTopologySpread', of: spread, after: became({ metadata: { name: 'n' } }), want: true },
  {
    plugin: 'PodTopologySpread',
    of: spread,
    after: nodeEvent(undefined, { metadata: { name: 'n' } }),
    want: false,
  },
  { plugin: 'PodTopologySpread', of: spread, after: placedPodEvents(db, ending), want: true },
  { plugin: 'PodTopologySpread', of: spreadOverTolerated, after: became(tainted), want: true },
  { plugin: 'NodeResourcesFit', after: placedPodEvents(db, ending), want: false },
  { plugin: 'GangScheduling', of: ofGroup, after: [{ kind: 'podGroup', key: 'default/g' }], want: true },
  { plugin: 'GangScheduling', of: ofGroup, after: [{ kind: 'podGroup', key: 'default/h' }], want: false },
];

it.each(rows)('$plugin: $want', ({ plugin, of = pod({}), after, want }) => {
  const hint = defaultProfile.hints.get(plugin);
  const answers = after.map((event) => hint?.mayHelp(of, event, () => ({})));
  expect(answers.includes(true)).toBe(want);
});

it('of each plugin that refuses pods there is what helps, and what does not', () => {
  const wants = [...defaultProfile.hints.keys()].map((name) => [
    name,
    new Set(rows.flatMap(({ plugin, want }) => (plugin === name ? want : []))).size,
  ]);
  expect(wants.filter(([, size]) => size !== 2)).toEqual([]);
});

it('a heartbeat, and a status of a pod that runs, are no event', () => {
  const heard = { ...node().status, conditions: [{ type: 'Ready', status: 'True' }] };
  expect(nodeEvent(node(), node({ status: heard }))).toEqual([]);
  expect(placedPodEvents(web, { ...web, status: { phase: 'Running' } })).toEqual([]);
});
