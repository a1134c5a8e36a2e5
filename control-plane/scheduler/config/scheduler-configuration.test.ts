import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { JsonObject } from '#api/meta/object.ts';
import { schedulerFields } from './scheduler-fields.ts';
import {
  readSchedulerConfiguration,
  schedulerSettings,
  schedulerWithoutEffect,
} from './scheduler-configuration.ts';
import type { Point } from './plugin-points.ts';

const head = 'apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n';

function namesAt(plugins: JsonObject, point: Point): readonly string[] {
  const [profile] = schedulerSettings({ profiles: [{ plugins }] }).profiles;
  return (profile?.plugins[point] ?? []).map(({ name, weight }) => (weight > 0 ? `${name}=${weight}` : name));
}
const named = (...names: string[]) => names.map((name) => ({ name }));
const scores = [
  ...['TaintToleration=3', 'NodeAffinity=2', 'NodeResourcesFit=1', 'VolumeBinding', 'PodTopologySpread=2'],
  ...['InterPodAffinity=2', 'DynamicResources=2', 'NodeResourcesBalancedAllocation=1', 'ImageLocality=1'],
];

it.each<[string, JsonObject, Point, readonly string[]]>([
  ['nothing', {}, 'score', scores],
  [
    'all of a point off, one on',
    { score: { disabled: named('*'), enabled: [{ name: 'ImageLocality', weight: 7 }] } },
    'score',
    ['ImageLocality=7'],
  ],
  [
    'one plugin off everywhere',
    { multiPoint: { disabled: named('PodTopologySpread') } },
    'filter',
    [
      ...['NodeUnschedulable', 'NodeName', 'TaintToleration=3', 'NodeAffinity=2', 'NodePorts'],
      ...['NodeResourcesFit=1', 'VolumeRestrictions', 'NodeVolumeLimits', 'VolumeBinding', 'VolumeZone'],
      ...['InterPodAffinity=2', 'DynamicResources=2', 'NodeDeclaredFeatures'],
    ],
  ],
  [
    'another weight everywhere, in its place',
    { multiPoint: { enabled: [{ name: 'NodeAffinity', weight: 9 }] } },
    'score',
    scores.with(1, 'NodeAffinity=9'),
  ],
  [
    'another weight at a point comes first',
    { score: { enabled: [{ name: 'NodeAffinity', weight: 9 }] } },
    'score',
    ['NodeAffinity=9', ...scores.filter((name) => !name.startsWith('NodeAffinity'))],
  ],
  [
    'nothing but what is said',
    { multiPoint: { disabled: named('*'), enabled: named('PrioritySort', 'DefaultBinder', 'NodePorts') } },
    'filter',
    ['NodePorts'],
  ],
  [
    'preemption off',
    { postFilter: { disabled: named('DefaultPreemption') } },
    'postFilter',
    ['DynamicResources=2'],
  ],
])('plugins: %s', (_name, plugins, point, want) => {
  expect(namesAt(plugins, point)).toEqual(want);
});

const args = (name: string, value: JsonObject): JsonObject => ({
  profiles: [{ pluginConfig: [{ name, args: value }] }],
});
const fit = (scoringStrategy: JsonObject): JsonObject => args('NodeResourcesFit', { scoringStrategy });
const ofFirst = 'initializing profiles: creating profile for scheduler name default-scheduler: ';
const place = 'profiles[0].pluginConfig[0].args';
const extender = (change: JsonObject): JsonObject => ({ urlPrefix: 'http://127.0.0.1:1', ...change });

it.each<[JsonObject, string]>([
  [
    { percentageOfNodesToScore: 101 },
    'percentageOfNodesToScore: Invalid value: 101: not in valid range [0-100]',
  ],
  [{ parallelism: 0 }, 'parallelism: Invalid value: 0: should be an integer value greater than zero'],
  [{ podInitialBackoffSeconds: 0 }, 'podInitialBackoffSeconds: Invalid value: 0: must be greater than 0'],
  [
    { podMaxBackoffSeconds: 1, podInitialBackoffSeconds: 2 },
    'podMaxBackoffSeconds: Invalid value: 1: must be greater than or equal to PodInitialBackoffSeconds',
  ],
  [
    { leaderElection: { resourceLock: 'endpoints' } },
    'leaderElection.resourceLock: Invalid value: "endpoints": resourceLock value must be "leases"',
  ],
  [{ profiles: [{}, {}] }, 'profiles[0].schedulerName: Required value'],
  [
    { profiles: [{ schedulerName: 'a' }, { schedulerName: 'a' }] },
    'profiles[1].schedulerName: Duplicate value: "profiles[0].schedulerName"',
  ],
  [
    { profiles: [{ plugins: { filter: { enabled: named('Nodes') } } }] },
    `${ofFirst}FilterPlugin "Nodes" does not exist`,
  ],
  [
    { profiles: [{ plugins: { filter: { enabled: named('ImageLocality') } } }] },
    `${ofFirst}plugin "ImageLocality" does not extend FilterPlugin plugin`,
  ],
  [
    { profiles: [{ plugins: { filter: { enabled: named('NodePorts', 'NodePorts') } } }] },
    `${ofFirst}plugin "NodePorts" already registered as "FilterPlugin"`,
  ],
  [
    { profiles: [{ plugins: { queueSort: { disabled: named('*') } } }] },
    `${ofFirst}only one queue sort plugin required for profile with scheduler name "default-scheduler", but got 0`,
  ],
  [
    { profiles: [{ plugins: { bind: { disabled: named('*') } } }] },
    `${ofFirst}at least one bind plugin is needed for profile with scheduler name "default-scheduler"`,
  ],
  [
    { profiles: [{ plugins: { filter: { enabled: named('EBSLimits') } } }] },
    'profiles[0].plugins.filter.enabled[0]: Invalid value: "EBSLimits": was invalid in version "v1"',
  ],
  [
    { profiles: [{ pluginConfig: [...named('NodePorts'), ...named('NodePorts')] }] },
    'profiles[0].pluginConfig[1]: Duplicate value: "NodePorts"',
  ],
  [
    fit({ type: 'Least' }),
    `${place}.scoringStrategy.type: Unsupported value: "Least": supported values: "LeastAllocated", "MostAllocated", "RequestedToCapacityRatio"`,
  ],
  [
    fit({ type: 'MostAllocated', resources: [{ name: 'cpu', weight: 101 }] }),
    `${place}.scoringStrategy.resources[0].weight: Invalid value: 101: resource weight of cpu not in valid range (0, 100]`,
  ],
  [
    fit({ type: 'RequestedToCapacityRatio' }),
    `${place}.scoringStrategy.requestedToCapacityRatio: Required value: must be specified when type is RequestedToCapacityRatio`,
  ],
  [
    fit({
      type: 'RequestedToCapacityRatio',
      requestedToCapacityRatio: {
        shape: [
          { utilization: 50, score: 1 },
          { utilization: 50, score: 11 },
        ],
      },
    }),
    `${place}.scoringStrategy.requestedToCapacityRatio.shape[1].utilization: Invalid value: 50: values must be sorted in increasing order; ${place}.scoringStrategy.requestedToCapacityRatio.shape[1].score: Invalid value: 11: not in valid range [0, 10]`,
  ],
  [fit({ typo: 1 }), 'decoding args for plugin NodeResourcesFit: scoringStrategy.typo: unknown field'],
  [
    args('NodeResourcesFit', { kind: 'NodeAffinityArgs' }),
    'decoding args for plugin NodeResourcesFit: kind: "NodeAffinityArgs", not "NodeResourcesFitArgs"',
  ],
  [
    args('NodeResourcesFit', { ignoredResourceGroups: ['a/b'] }),
    `${place}.ignoredResourceGroups[0]: Invalid value: "a/b": resource group name can't contain '/'`,
  ],
  [
    args('InterPodAffinity', { hardPodAffinityWeight: 101 }),
    `${place}.hardPodAffinityWeight: Invalid value: 101: not in valid range [0, 100]`,
  ],
  [
    args('PodTopologySpread', {
      defaultConstraints: [{ maxSkew: 0, topologyKey: '', whenUnsatisfiable: 'x' }],
    }),
    `${place}.defaultingType: Invalid value: "System": when .defaultConstraints are not empty; ${place}.defaultConstraints[0].maxSkew: Invalid value: 0: not in valid range (0, inf); ${place}.defaultConstraints[0].topologyKey: Required value: can not be empty; ${place}.defaultConstraints[0].whenUnsatisfiable: Unsupported value: "x": supported values: "DoNotSchedule", "ScheduleAnyway"`,
  ],
  [
    args('NodeAffinity', {
      addedAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [] } },
    }),
    `${place}.addedAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms: Required value: must have at least one node selector term`,
  ],
  [
    args('VolumeBinding', { bindTimeoutSeconds: -1 }),
    `${place}.bindTimeoutSeconds: Invalid value: -1: invalid BindTimeoutSeconds, should not be a negative value`,
  ],
  [
    args('DefaultPreemption', { minCandidateNodesPercentage: 0, minCandidateNodesAbsolute: 0 }),
    `${place}.minCandidateNodesPercentage: Invalid value: 0: cannot be zero at the same time as minCandidateNodesAbsolute`,
  ],
  [
    args('NodeResourcesBalancedAllocation', { resources: [{ name: 'cpu', weight: 2 }] }),
    `${place}.resources[0].weight: Invalid value: 2: must be 1`,
  ],
  [
    args('DynamicResources', { bindingTimeout: '100ms' }),
    `${place}.bindingTimeout: Invalid value: "100ms": must be at least 1 second`,
  ],
  [
    { extenders: [extender({ prioritizeVerb: 'p' })] },
    'extenders[0].weight: Invalid value: 0: must have a positive weight applied to it',
  ],
  [
    { extenders: Array.from({ length: 17 }, () => extender({})) },
    'extenders: Invalid value: 17: must be 16 at most',
  ],
  [
    { extenders: [{ urlPrefix: 'x' }] },
    'extenders[0].urlPrefix: Invalid value: "x": must be an http or https URL',
  ],
  [
    { extenders: [extender({ bindVerb: 'b' }), extender({ bindVerb: 'b' })] },
    'extenders: Invalid value: "found 2 extenders implementing bind": only one extender can implement bind',
  ],
  [
    { extenders: [extender({ managedResources: [{ name: 'cpu' }] })] },
    'extenders[0].managedResources[0].name: Invalid value: "cpu": is an invalid extended resource name',
  ],
])('%j is refused', (given, message) => {
  expect(() => schedulerSettings(given)).toThrow(message);
});

it('reads a file strictly', () => {
  const directory = mkdtempSync(join(tmpdir(), 'scheduler-config-'));
  const file = join(directory, 'scheduler.yaml');
  const read = (text: string) => {
    writeFileSync(file, head + text);
    return readSchedulerConfiguration(file);
  };
  try {
    expect(read('podMaxBackoffSeconds: 30\n').settings.podMaxBackoffMs).toBe(30_000);
    expect(() => read('profile: []\n')).toThrow(`read ${file}: profile: unknown field`);
    expect(() => read('profiles:\n- plugins: {filters: {}}\n')).toThrow(
      'profiles[0].plugins.filters: unknown field',
    );
  } finally {
    rmSync(directory, { recursive: true });
  }
});

it('names what has no effect', () => {
  expect(schedulerWithoutEffect({ parallelism: 16, leaderElection: { leaderElect: true } })).toEqual([]);
  const profile = {
    plugins: { reserve: { disabled: named('VolumeBinding') } },
    pluginConfig: [{ name: 'NodePorts', args: {} }],
  };
  expect(
    schedulerWithoutEffect({ parallelism: 4, clientConnection: { qps: 50 }, profiles: [profile] }),
  ).toEqual([
    'parallelism: 4 has no effect: one thread decides',
    'clientConnection: {"qps":50} has no effect: the scheduler is in the server, which asks itself',
    'profiles[0].pluginConfig[0]: NodePorts has no effect: the plugin takes no arguments',
    'profiles[0].plugins.reserve has no effect: what a filter chose is always taken',
  ]);
});

it('has all fields of 1.36', () => expect(Object.keys(schedulerFields)).toHaveLength(11));
