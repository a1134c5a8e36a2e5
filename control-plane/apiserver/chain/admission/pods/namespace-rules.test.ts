import { describe, expect, it } from 'vitest';
import type { JsonObject } from '#api/meta/object.ts';
import { withPath } from '#api/wire/json.ts';
import type { AdmissionPlugin } from '#control-plane/apiserver/chain/admission/admission.ts';
import { ask, contextWith } from '#control-plane/apiserver/chain/admission/admission.fixture.ts';
import { namespaces } from '#control-plane/apiserver/chain/admission/namespaces/namespaces.ts';
import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import { parseNodeSelectors, parseSelector, podNodeSelector } from './pod-node-selector.ts';
import { parseTolerationDefaults, podTolerationRestriction } from './pod-toleration-restriction.ts';
import { pods } from './pod.ts';
import { covers, mergeTolerations } from './tolerations.ts';

const bestEffort: JsonObject = {
  metadata: { name: 'p' },
  spec: { containers: [{ name: 'c', image: 'i' }] },
};
const burstable = withPath(bestEffort, 'spec.containers', [
  { name: 'c', image: 'i', resources: { requests: { cpu: '1' } } },
]);
const selecting = (nodeSelector: JsonObject): JsonObject =>
  withPath(bestEffort, 'spec.nodeSelector', nodeSelector);
const bearing = (tolerations: readonly JsonObject[], pod = bestEffort): JsonObject =>
  withPath(pod, 'spec.tolerations', tolerations);
const exists = (key: string, more: JsonObject = {}): JsonObject => ({ key, operator: 'Exists', ...more });
const underPressure = exists('node.kubernetes.io/memory-pressure', { effect: 'NoSchedule' });

const selectors = podNodeSelector(
  parseNodeSelectors({
    podNodeSelectorPluginConfig: { clusterDefaultNodeSelector: 'env=dev', n: 'env=dev, env = prod,disk=ssd' },
  }),
);
const openSelectors = podNodeSelector();
const restriction = podTolerationRestriction(
  parseTolerationDefaults({
    ...{ apiVersion: 'podtolerationrestriction.admission.k8s.io/v1alpha1', kind: 'Configuration' },
    default: [exists('a')],
    whitelist: [exists('a'), exists('b'), underPressure],
  }),
);
const openRestriction = podTolerationRestriction();
const nodeSelector = 'scheduler.alpha.kubernetes.io/node-selector';
const defaults = 'scheduler.alpha.kubernetes.io/defaultTolerations';
const whitelist = 'scheduler.alpha.kubernetes.io/tolerationsWhitelist';
const refusal = (cause: string) => ({ code: 403, message: `pods "p" is forbidden: ${cause}` });
const outside = 'pod node label selector labels conflict with its namespace whitelist';
const tolerates = (whose: string) => ({
  code: 500,
  message: `pod tolerations (possibly merged with namespace default tolerations) conflict with its ${whose} whitelist`,
});

async function contextOf(annotations: JsonObject): Promise<ServerContext> {
  const context = await contextWith([]);
  await context.registry.change(namespaces, { namespace: '', name: 'n' }, (entry) => ({
    write: 'put',
    object: withPath(entry?.object ?? {}, 'metadata.annotations', annotations),
  }));
  return context;
}

it.each<{
  readonly name: string;
  readonly plugin: AdmissionPlugin;
  readonly says?: JsonObject;
  readonly given: JsonObject;
  readonly old?: JsonObject;
  readonly want: JsonObject;
}>([
  { name: 'nothing', plugin: openSelectors, given: bestEffort, want: { object: bestEffort } },
  {
    name: 'what the namespace says',
    plugin: openSelectors,
    says: { [nodeSelector]: 'a=b,c=d' },
    given: selecting({ e: 'f' }),
    want: { object: selecting({ a: 'b', c: 'd', e: 'f' }) },
  },
  {
    name: 'another than the namespace says',
    plugin: openSelectors,
    says: { [nodeSelector]: 'a=b' },
    given: selecting({ a: 'c' }),
    want: refusal('pod node label selector conflicts with its namespace node label selector'),
  },
  {
    name: 'a namespace that says nonsense',
    plugin: openSelectors,
    says: { [nodeSelector]: 'a' },
    given: bestEffort,
    want: { code: 500, message: 'invalid selector: [a]' },
  },
  {
    name: 'what the cluster says, outside what the namespace may',
    plugin: selectors,
    given: bestEffort,
    want: refusal(outside),
  },
  {
    name: 'what the namespace may',
    plugin: selectors,
    says: { [nodeSelector]: 'env=prod' },
    given: selecting({ disk: 'ssd' }),
    want: { object: selecting({ env: 'prod', disk: 'ssd' }) },
  },
  {
    name: 'what the namespace may not',
    plugin: selectors,
    says: { [nodeSelector]: '' },
    given: selecting({ zone: 'z' }),
    want: refusal(outside),
  },
  { name: 'an update', plugin: selectors, given: bestEffort, old: bestEffort, want: { object: bestEffort } },
  { name: 'nothing', plugin: openRestriction, given: bestEffort, want: { object: bestEffort } },
  {
    name: 'a request: memory pressure is borne',
    plugin: openRestriction,
    given: burstable,
    want: { object: bearing([underPressure], burstable) },
  },
  {
    name: 'an update of one that requests',
    plugin: openRestriction,
    given: burstable,
    old: burstable,
    want: { object: bearing([underPressure], burstable) },
  },
  {
    name: 'what the cluster says',
    plugin: restriction,
    given: bearing([exists('b')], burstable),
    want: { object: bearing([exists('b'), exists('a'), underPressure], burstable) },
  },
  {
    name: 'what the namespace says instead',
    plugin: restriction,
    says: { [defaults]: '[{"key":"b","operator":"Exists"}]' },
    given: bestEffort,
    want: { object: bearing([exists('b')]) },
  },
  {
    name: 'a namespace that says: nothing',
    plugin: restriction,
    says: { [defaults]: '' },
    given: bestEffort,
    want: { object: bestEffort },
  },
  {
    name: 'more than the cluster lets',
    plugin: restriction,
    given: bearing([exists('c')]),
    want: tolerates('cluster'),
  },
  {
    name: 'more than the namespace lets',
    plugin: restriction,
    says: { [whitelist]: '[{"key":"a","operator":"Exists","effect":"NoExecute"}]' },
    given: bestEffort,
    want: tolerates('namespace'),
  },
  {
    name: 'a namespace that lets bear all',
    plugin: restriction,
    says: { [whitelist]: '[]' },
    given: bearing([exists('c')]),
    want: { object: bearing([exists('c'), exists('a')]) },
  },
  {
    name: 'an update that bears more than it may',
    plugin: restriction,
    given: bearing([exists('c')]),
    old: bestEffort,
    want: tolerates('cluster'),
  },
  {
    name: 'a namespace that says nonsense',
    plugin: restriction,
    says: { [defaults]: '{' },
    given: bestEffort,
    want: { code: 500, message: `namespace n: annotation ${defaults} must be a JSON list of tolerations` },
  },
])('$plugin.name: $name', async ({ plugin, says = {}, given, old, want }) => {
  expect(await ask(await contextOf(says), plugin, { kind: pods, object: given, old })).toEqual(want);
});

describe('tolerations', () => {
  const noExecute = (seconds?: number): JsonObject => ({
    ...exists('k', { effect: 'NoExecute' }),
    ...(seconds === undefined ? {} : { tolerationSeconds: seconds }),
  });
  const equal = (value: string): JsonObject => ({ key: 'k', operator: 'Equal', value });

  it.each([
    [{ operator: 'Exists' }, exists('k'), true],
    [exists('k'), { operator: 'Exists' }, false],
    [exists('k'), exists('k', { effect: 'NoSchedule' }), true],
    [exists('k', { effect: 'NoSchedule' }), exists('k'), false],
    [exists('k'), equal('v'), true],
    [equal('v'), equal('v'), true],
    [equal('v'), equal('w'), false],
    [equal('v'), exists('k'), false],
    [exists('j'), exists('k'), false],
    [noExecute(), noExecute(5), true],
    [noExecute(5), noExecute(), false],
    [noExecute(5), noExecute(4), true],
    [noExecute(4), noExecute(5), false],
    [{ key: 'k', operator: 'Gt', value: '1' }, { key: 'k', operator: 'Gt', value: '2' }, false],
  ])('covers(%j, %j) is %s', (wide, narrow, want) => {
    expect(covers(wide, narrow)).toBe(want);
  });

  it('mergeTolerations() keeps the first of equal ones and none that another covers', () => {
    const merged = mergeTolerations([exists('a'), noExecute(5)], [noExecute(), exists('a', { value: '' })]);
    expect(merged).toEqual([exists('a'), noExecute()]);
  });
});

it.each([
  ['', {}],
  ['a=b', { a: 'b' }],
  [' example.com/a = b , c=', { 'example.com/a': 'b', c: '' }],
  ['a=b=c', 'invalid selector: [a b c]'],
  ['=b', expect.stringContaining('invalid selector: =b: ')],
  ['a=_', expect.stringContaining('invalid selector: a=_: ')],
])('parseSelector(%j)', (text, want) => {
  expect(parseSelector(text)).toEqual(want);
});

it.each([
  [{ other: {} }, 'other: unknown field'],
  [{ podNodeSelectorPluginConfig: [] }, 'podNodeSelectorPluginConfig: must have selectors by namespace'],
  [{ podNodeSelectorPluginConfig: { n: 'a' } }, 'podNodeSelectorPluginConfig.n: invalid selector: [a]'],
  [{ podNodeSelectorPluginConfig: { n: 1 } }, 'podNodeSelectorPluginConfig.n: must be a text'],
])('parseNodeSelectors(%j) is refused', (given, want) => {
  expect(() => parseNodeSelectors(given)).toThrow(want);
});

it.each([
  [{ default: [{ key: 'a', operator: 'Is' }] }, 'default[0].operator: Unsupported value: "Is"'],
  [{ whitelist: {} }, 'whitelist: not a list'],
  [{ default: Array.from({ length: 1001 }, () => ({})) }, 'default: must be 1000 at most'],
  [{ whitelist: [{ keys: 'a' }] }, 'whitelist[0].keys: unknown field'],
  [{ apiVersion: 'v1' }, 'apiVersion: "v1"'],
])('parseTolerationDefaults(%j) is refused', (given, want) => {
  const head = { apiVersion: 'podtolerationrestriction.admission.k8s.io/v1alpha1', kind: 'Configuration' };
  expect(() => parseTolerationDefaults({ ...head, ...given })).toThrow(want);
});
