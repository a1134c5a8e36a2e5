import { expect, it, test } from 'vitest';
import type { Node, PodSpec, Taint } from '#api/generated/objects.ts';
import { nodes } from '#api/schema/kind-ref.ts';
import { startTestNode, type TestNode } from '#agent/kubelet/test-node.fixture.ts';

const gone: Taint = { key: 'gone', effect: 'NoExecute' };
const full: Taint = { key: 'full', effect: 'NoSchedule' };
const nodeOf = (labels: Readonly<Record<string, string>>, taints: readonly Taint[] = []): Node => ({
  metadata: { name: 'node-1', labels },
  spec: { taints },
});
const wanting = (key: string): Partial<PodSpec> => ({
  affinity: {
    nodeAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: {
        nodeSelectorTerms: [{ matchExpressions: [{ key, operator: 'Exists' }] }],
      },
    },
  },
});
const affinity = "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector";
const taint = "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate";

const outcomeOf = (node: TestNode): unknown => {
  const { phase, reason, message } = node.get('p')?.status ?? {};
  return phase === 'Failed' ? [reason, message] : phase;
};

test.each<[string, { seen?: Node; now?: Node; spec: Partial<PodSpec>; want: unknown }]>([
  ['asks for nothing', { now: nodeOf({}), spec: {}, want: 'Running' }],
  ['has its selector', { now: nodeOf({ a: 'b' }), spec: { nodeSelector: { a: 'b' } }, want: 'Running' }],
  [
    'has another selector',
    {
      now: nodeOf({ a: 'c' }),
      spec: { nodeSelector: { a: 'b' } },
      want: ['NodeAffinity', `Pod was rejected: ${affinity}`],
    },
  ],
  ['has its affinity', { now: nodeOf({ a: '' }), spec: wanting('a'), want: 'Running' }],
  [
    'has another affinity',
    { now: nodeOf({ a: '' }), spec: wanting('b'), want: ['NodeAffinity', `Pod was rejected: ${affinity}`] },
  ],
  [
    'was labelled a moment ago',
    { seen: nodeOf({}), now: nodeOf({ a: 'b' }), spec: { nodeSelector: { a: 'b' } }, want: 'Running' },
  ],
  [
    'is not tolerated',
    {
      seen: nodeOf({}, [gone]),
      now: nodeOf({}, [gone]),
      spec: {},
      want: ['TaintToleration', `Pod was rejected: ${taint}`],
    },
  ],
  [
    'is tolerated',
    {
      seen: nodeOf({}, [gone]),
      now: nodeOf({}, [gone]),
      spec: { tolerations: [{ key: 'gone', operator: 'Exists', tolerationSeconds: 5 }] },
      want: 'Running',
    },
  ],
  ['lost its taint', { seen: nodeOf({}, [gone]), now: nodeOf({}), spec: {}, want: 'Running' }],
  ['takes no more', { seen: nodeOf({}, [full]), now: nodeOf({}, [full]), spec: {}, want: 'Running' }],
  ['is not registered', { spec: { nodeSelector: { a: 'b' } }, want: 'Running' }],
])('a node %s', async (_name, { seen, now, spec, want }) => {
  await using node = await startTestNode({ facts: { seen: () => seen } });
  if (now !== undefined) node.client.seed(nodes, now);
  node.create('p', spec);
  await node.settle();
  expect(outcomeOf(node)).toEqual(want);
});

it('takes on what it took before, whatever its labels are now', async () => {
  await using node = await startTestNode();
  node.client.seed(nodes, nodeOf({ a: 'b' }));
  node.create('p', { nodeSelector: { a: 'b' } });
  await node.settle();
  await node.restart(async () => void node.client.seed(nodes, nodeOf({ a: 'c' })));
  await node.settle();
  expect(outcomeOf(node)).toBe('Running');
});

it('tells the status of a pod of the API that is annotated as one of a file', async () => {
  await using node = await startTestNode();
  node.create('p', {}, { metadata: { annotations: { 'kubernetes.io/config.source': 'file' } } });
  await node.settle();
  expect(outcomeOf(node)).toBe('Running');
});
