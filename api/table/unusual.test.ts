import { describe, expect, it } from 'vitest';
import { rulesOf } from '#api/kinds/rules-of.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { findKind, type Kind } from '#api/schema/kinds.ts';
import { tableColumns, tableRow } from './table.ts';

const now = Date.parse('2026-11-20T10:00:00Z');
const deletionTimestamp = '2026-11-20T10:00:30Z';

function kindAt(path: string): Kind {
  const [group = '', version = '', resource = ''] = path.split('/');
  const kind = findKind(group, version, resource);
  if (kind === undefined) throw new Error(`no kind ${path}`);
  return kind;
}

function cell(path: string, column: string, object: JsonObject): unknown {
  const kind = kindAt(path);
  const place = tableColumns(kind).findIndex(({ name }) => name === column);
  return tableRow(kind, { metadata: { name: 'x' }, ...object }, now).cells[place];
}

interface Case {
  readonly name: string;
  readonly object: JsonObject;
  readonly want: unknown;
}

function asShown(path: string, column: string, cases: readonly Case[]): void {
  describe(`${column} of ${path}`, () => {
    it.each(cases)('$name', ({ object, want }) => {
      expect(cell(path, column, object)).toBe(want);
    });
  });
}

const hosts = (...names: readonly (string | undefined)[]): JsonObject => ({
  spec: { rules: names.map((host) => (host === undefined ? {} : { host })) },
});

// kube-apiserver counts the rules, whether they name a host or not.
asShown('networking.k8s.io/v1/ingresses', 'Hosts', [
  { name: 'no rule', object: hosts(), want: '*' },
  { name: 'rules without a host', object: hosts(undefined, undefined), want: '*' },
  { name: 'one of two has a host', object: hosts(undefined, 'a'), want: 'a' },
  { name: 'three', object: hosts('a', 'b', 'c'), want: 'a,b,c' },
  {
    name: 'a fourth rule without a host',
    object: hosts('a', 'b', 'c', undefined),
    want: 'a,b,c + 1 more...',
  },
  { name: 'rules without a host first', object: hosts(undefined, 'a', 'b', 'c'), want: 'a,b,c' },
  {
    name: 'five hosts behind a rule without one',
    object: hosts(undefined, 'a', 'b', 'c', 'd', 'e'),
    want: 'a,b,c + 3 more...',
  },
]);

const scaled = (metrics: readonly JsonObject[], currentMetrics: readonly JsonObject[] = []): JsonObject => ({
  spec: { scaleTargetRef: {}, metrics },
  status: { currentMetrics },
});
const averageOf = (averageValue: string): JsonObject => ({
  target: { averageValue },
  current: { averageValue },
});
const memory = { name: 'memory', ...averageOf('20Mi') };

asShown('autoscaling/v2/horizontalpodautoscalers', 'Targets', [
  { name: 'none', object: scaled([]), want: '<none>' },
  {
    name: 'pods, nothing known',
    object: scaled([{ type: 'Pods', pods: averageOf('5') }]),
    want: '<unknown>/5',
  },
  {
    name: 'pods',
    object: scaled([{ type: 'Pods', pods: averageOf('5') }], [{ type: 'Pods', pods: averageOf('4') }]),
    want: '4/5',
  },
  {
    name: 'an amount of a resource',
    object: scaled([{ type: 'Resource', resource: memory }], [{ type: 'Resource', resource: memory }]),
    want: 'memory: 20Mi/20Mi',
  },
  {
    name: 'an amount of a container',
    object: scaled([{ type: 'ContainerResource', containerResource: memory }]),
    want: 'memory: <unknown>/20Mi',
  },
  {
    name: 'a resource without a target',
    object: scaled([{ type: 'Resource', resource: { name: 'cpu', target: {} } }]),
    want: 'cpu: <unknown>/<auto>',
  },
  {
    name: 'means of another object and of outside',
    object: scaled([
      { type: 'Object', object: averageOf('1') },
      { type: 'External', external: averageOf('2') },
    ]),
    want: '<unknown>/1 (avg), <unknown>/2 (avg)',
  },
  {
    name: 'a value of outside',
    object: scaled(
      [{ type: 'External', external: { target: { value: '7' } } }],
      [{ type: 'External', external: { current: { value: '6' } } }],
    ),
    want: '6/7',
  },
  { name: 'of a type that is not known', object: scaled([{ type: 'Other' }]), want: '<unknown type>' },
  {
    name: 'more than two',
    object: scaled([1, 2, 3, 4].map((value) => ({ type: 'Pods', pods: averageOf(`${value}`) }))),
    want: '<unknown>/1, <unknown>/2 + 2 more...',
  },
]);

const v1 = (annotations: JsonObject, percent?: number): JsonObject => ({
  apiVersion: 'autoscaling/v1',
  metadata: { name: 'x', annotations },
  spec: { scaleTargetRef: {}, ...(percent === undefined ? {} : { targetCPUUtilizationPercentage: percent }) },
});
const kept = (name: string, value: readonly JsonObject[]): JsonObject => ({
  [`autoscaling.alpha.kubernetes.io/${name}`]: JSON.stringify(value),
});
const podsOfV1 = { type: 'Pods', pods: { metricName: 'm', targetAverageValue: '5' } };

asShown('autoscaling/v1/horizontalpodautoscalers', 'Targets', [
  { name: 'a share of the processor', object: v1({}, 70), want: 'cpu: <unknown>/70%' },
  {
    name: 'with what v1 cannot say',
    object: v1(kept('metrics', [podsOfV1]), 70),
    want: 'cpu: <unknown>/70%, <unknown>/5',
  },
  { name: 'nothing but that', object: v1(kept('metrics', [podsOfV1])), want: '<unknown>/5' },
]);

const ended = (reason: string, exitCode: number): JsonObject => ({
  state: { terminated: { reason, exitCode } },
});
const runs = { ready: true, state: { running: {} } };
const ofContainers = (...containerStatuses: readonly JsonObject[]): JsonObject => ({
  spec: { containers: containerStatuses.map((_, index) => ({ name: `c${index}` })) },
  status: {
    phase: 'Running',
    containerStatuses: containerStatuses.map((each) => ({ restartCount: 0, ...each })),
  },
});
const done = ended('Completed', 0);

asShown('/v1/pods', 'Status', [
  { name: 'one of two failed', object: ofContainers(done, ended('Error', 1)), want: 'Error' },
  { name: 'the first of two failed', object: ofContainers(ended('OOMKilled', 137), done), want: 'OOMKilled' },
  { name: 'two failed', object: ofContainers(done, ended('B', 1), ended('C', 1)), want: 'B' },
  { name: 'one failed, one runs', object: ofContainers(done, ended('Error', 1), runs), want: 'Error' },
  { name: 'one is done, one runs and is not ready', object: ofContainers(done, runs), want: 'NotReady' },
  { name: 'all are done', object: ofContainers(done, done), want: 'Completed' },
  {
    name: 'on a node that is lost',
    object: {
      metadata: { deletionTimestamp },
      spec: { containers: [] },
      status: { phase: 'Running', reason: 'NodeLost' },
    },
    want: 'Unknown',
  },
  {
    name: 'held back',
    object: {
      spec: { containers: [] },
      status: {
        phase: 'Pending',
        conditions: [{ type: 'PodScheduled', status: 'False', reason: 'SchedulingGated' }],
      },
    },
    want: 'SchedulingGated',
  },
]);

const goes = { metadata: { deletionTimestamp } };
const reservedFor = [{ resource: 'pods', name: 'p', uid: 'u' }];

asShown('resource.k8s.io/v1/resourceclaims', 'State', [
  { name: 'new', object: {}, want: 'pending' },
  { name: 'given', object: { status: { allocation: {} } }, want: 'allocated' },
  { name: 'used', object: { status: { allocation: {}, reservedFor } }, want: 'allocated,reserved' },
  {
    name: 'used, and goes',
    object: { ...goes, status: { allocation: {}, reservedFor } },
    want: 'deleted,allocated,reserved',
  },
  { name: 'goes', object: goes, want: 'deleted' },
  { name: 'not given, though wanted', object: { status: { reservedFor } }, want: 'pending' },
]);

asShown('resource.k8s.io/v1/resourceslices', 'Node', [
  { name: 'of one node', object: { spec: { nodeName: 'n' } }, want: 'n' },
  { name: 'of all nodes', object: { spec: { allNodes: true } }, want: '' },
]);

for (const kind of ['validatingadmissionpolicybindings', 'mutatingadmissionpolicybindings']) {
  asShown(`admissionregistration.k8s.io/v1/${kind}`, 'ParamRef', [
    { name: 'none', object: { spec: {} }, want: '<unset>' },
    { name: 'in a namespace', object: { spec: { paramRef: { name: 'p', namespace: 'n' } } }, want: 'n/p' },
    { name: 'in none', object: { spec: { paramRef: { name: 'p' } } }, want: '*/p' },
    {
      name: 'by labels',
      object: { spec: { paramRef: { selector: { matchLabels: { a: 'b' } } } } },
      want: '&LabelSelector{MatchLabels:map[string]string{a: b,},MatchExpressions:[]LabelSelectorRequirement{},}',
    },
    { name: 'all', object: { spec: { paramRef: { namespace: 'n' } } }, want: '<unset>' },
  ]);
}

const started = { startTime: '2026-11-20T09:00:00Z' };
const failed = { type: 'Failed', status: 'True', lastTransitionTime: '2026-11-20T09:10:00Z' };

asShown('batch/v1/jobs', 'Duration', [
  { name: 'not begun', object: { spec: {}, status: {} }, want: '' },
  { name: 'under way', object: { spec: {}, status: started }, want: '60m' },
  {
    name: 'done',
    object: { spec: {}, status: { ...started, completionTime: '2026-11-20T09:05:00Z' } },
    want: '5m',
  },
  {
    name: 'failed, which has no time of completion',
    object: { spec: {}, status: { ...started, conditions: [failed] } },
    want: '60m',
  },
]);

asShown('/v1/events', 'Source', [
  {
    name: 'component and host',
    object: { involvedObject: {}, source: { component: 'c', host: 'h' } },
    want: 'c, h',
  },
  { name: 'a host alone', object: { involvedObject: {}, source: { host: 'h' } }, want: ', h' },
  {
    name: 'the newer names',
    object: { involvedObject: {}, reportingComponent: 'r', reportingInstance: 'i' },
    want: 'r, i',
  },
]);

it('rows of FlowSchemas are in the order in which they are asked, in lists', () => {
  const compare = rulesOf(kindAt('flowcontrol.apiserver.k8s.io/v1/flowschemas')).compareRows;
  const named = (name: string, matchingPrecedence: number): JsonObject => ({
    metadata: { name },
    spec: { matchingPrecedence },
  });
  const given = [named('b', 9), named('c', 10), named('a', 10), named('d', 1)];
  expect(given.toSorted(compare).map((each) => (each['metadata'] as JsonObject)['name'])).toEqual([
    ...['d', 'b', 'a', 'c'],
  ]);
});
