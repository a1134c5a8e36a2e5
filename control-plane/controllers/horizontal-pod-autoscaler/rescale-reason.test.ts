import { expect, it } from 'vitest';
import { nowMs, samplesOf, stateOf, type Given } from './autoscaler.fixture.ts';
import { planAutoscaler } from './plan.ts';

const above = 'cpu resource utilization (percentage of request) above target';
const lately = (replicas: number): NonNullable<Given['memory']> => ({
  ...{ ups: [], downs: [] },
  recommendations: [{ replicas, atMs: nowMs - 60_000 }],
});

const rows: readonly { readonly name: string; readonly given: Given; readonly want?: object }[] = [
  {
    name: 'more',
    given: { readings: [samplesOf([100, 100, 100])] },
    want: { from: 3, to: 6, reason: above },
  },
  {
    name: 'less',
    given: { readings: [samplesOf([10, 10, 10])], memory: lately(1) },
    want: { from: 3, to: 1, reason: 'All metrics below target' },
  },
  {
    name: 'less, after a little less was recommended a moment ago',
    given: { readings: [samplesOf([10, 10, 10])], memory: lately(2) },
    want: { from: 3, to: 2, reason: 'All metrics below target' },
  },
  {
    name: 'as many as there are, after more was recommended a moment ago',
    given: { memory: lately(5) },
    want: { from: 3, to: 5, reason: '' },
  },
  { name: 'as many as there are', given: { memory: lately(3) } },
];

it.each(rows)('planAutoscaler() tells why it scales, of metrics that call for $name', ({ given, want }) => {
  expect(planAutoscaler(stateOf(given)).rescale).toEqual(want);
});
