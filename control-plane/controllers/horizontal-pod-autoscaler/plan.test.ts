import { describe, expect, it } from 'vitest';
import type { HorizontalPodAutoscalerBehavior, Pod } from '#api/generated/objects.ts';
import { formatTime } from '#api/meta/time.ts';
import {
  cpu,
  external,
  nowMs,
  pending,
  podOf,
  podsOf,
  samplesOf,
  stateOf,
  type Given,
} from './autoscaler.fixture.ts';
import { afterRescale, needsMetrics, planAutoscaler, type AutoscalerPlan } from './plan.ts';
import type { Reading } from './propose.ts';

/** `3 → 6: reason` with what the conditions say. */
function shown(plan: AutoscalerPlan, replicas: number): string {
  const { rescale, status } = plan;
  const change = rescale === undefined ? `${replicas}` : `${rescale.from} → ${rescale.to}: ${rescale.reason}`;
  const reasons = (status.conditions ?? []).map((one) => `${one.status === 'True' ? '' : '!'}${one.reason}`);
  return `${change} [${reasons.join(' ')}]`;
}

const quiet: Partial<Given['memory']> = { recommendations: [{ replicas: 1, atMs: nowMs - 600_000 }] };
const total = (milli: number): Reading => ({ kind: 'total', milli });
const failure: Reading = { kind: 'failure', text: 'nobody answers' };
const starting = (change: Partial<Pod['status']>): Partial<Pod> => ({
  status: {
    phase: 'Running',
    startTime: formatTime(nowMs - 60_000),
    conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: formatTime(nowMs - 50_000) }],
    ...change,
  },
});
const behavior = (
  change: Partial<HorizontalPodAutoscalerBehavior> = {},
): HorizontalPodAutoscalerBehavior => ({
  scaleUp: {
    ...{ stabilizationWindowSeconds: 0, selectPolicy: 'Max' },
    policies: [
      { type: 'Pods', value: 4, periodSeconds: 15 },
      { type: 'Percent', value: 100, periodSeconds: 15 },
    ],
  },
  scaleDown: { selectPolicy: 'Max', policies: [{ type: 'Percent', value: 100, periodSeconds: 15 }] },
  ...change,
});
const policy = (type: string, value: number, periodSeconds = 60) => ({ type, value, periodSeconds });

interface Row {
  readonly name: string;
  readonly given: Given;
  readonly want: string;
}

const ready = 'ReadyForNewScale ValidMetricFound';
const free = `${ready} !DesiredWithinRange`;

const rows: readonly Row[] = [
  { name: 'what is as it should be', given: {}, want: `3 [${free}]` },
  {
    name: 'within the tolerance',
    given: { readings: [samplesOf([55, 55, 55])] },
    want: `3 [${free}]`,
  },
  {
    name: 'more than wanted',
    given: { readings: [samplesOf([100, 100, 100])] },
    want: `3 → 6: cpu resource utilization (percentage of request) above target [${free}]`,
  },
  {
    name: 'less than wanted, and nothing recommended lately',
    given: { readings: [samplesOf([10, 10, 10])], memory: quiet },
    want: `3 → 1: All metrics below target [${free}]`,
  },
  {
    name: 'less than wanted, at the first look',
    given: { readings: [samplesOf([10, 10, 10])] },
    want: '3 [ScaleDownStabilized ValidMetricFound !DesiredWithinRange]',
  },
  {
    name: 'twice as many at most',
    given: { readings: [samplesOf([500, 500, 500])], spec: { maxReplicas: 50 } },
    want: `3 → 6: cpu resource utilization (percentage of request) above target [${ready} ScaleUpLimit]`,
  },
  {
    name: 'from one to four',
    given: { replicas: 1, readings: [samplesOf([500])] },
    want: `1 → 4: cpu resource utilization (percentage of request) above target [${ready} ScaleUpLimit]`,
  },
  {
    name: 'no more than the most',
    given: { replicas: 8, readings: [samplesOf(Array.from({ length: 8 }, () => 200))] },
    want: `8 → 10: cpu resource utilization (percentage of request) above target [${ready} TooManyReplicas]`,
  },
  {
    name: 'no less than the least',
    given: { spec: { minReplicas: 2 }, readings: [samplesOf([1, 1, 1])], memory: quiet },
    want: `3 → 2: All metrics below target [${ready} TooFewReplicas]`,
  },
  {
    name: 'above the most',
    given: { replicas: 12 },
    want: '12 → 10: Current number of replicas above Spec.MaxReplicas [SucceededGetScale]',
  },
  {
    name: 'below the least',
    given: { replicas: 1, spec: { minReplicas: 2 } },
    want: '1 → 2: Current number of replicas below Spec.MinReplicas [SucceededGetScale]',
  },
  { name: 'switched off', given: { replicas: 0 }, want: '0 [SucceededGetScale !ScalingDisabled]' },
  {
    name: 'from none, where that is the least',
    given: {
      ...{ replicas: 0, spec: { minReplicas: 0, metrics: [external('queue', { value: '10' })] } },
      readings: [total(25_000)],
    },
    want: `0 → 3: external metric queue(nil) above target [${free}]`,
  },
  {
    name: 'pods that are not ready use nothing, where more would come',
    given: {
      pods: [podOf('p0'), podOf('p1', pending), podOf('p2', pending)],
      readings: [samplesOf([120])],
    },
    want: `3 [${free}]`,
  },
  {
    name: 'of a pod that starts its processor time does not count',
    given: {
      replicas: 2,
      pods: [podOf('p0'), podOf('p1', starting({ conditions: [{ type: 'Ready', status: 'False' }] }))],
      readings: [samplesOf([50, 1000])],
    },
    want: `2 [${free}]`,
  },
  {
    name: 'nor that from before it was ready',
    given: {
      replicas: 2,
      pods: [
        podOf('p0'),
        podOf(
          'p1',
          starting({
            conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: formatTime(nowMs - 10_000) }],
          }),
        ),
      ],
      readings: [samplesOf([50, 1000])],
    },
    want: `2 [${free}]`,
  },
  {
    name: 'what is not known holds back those that go: kubernetes/kubernetes#72775',
    given: { readings: [samplesOf([20, 20, undefined])], memory: quiet },
    want: `3 [${free}]`,
  },
  {
    name: 'and those that come',
    given: { readings: [samplesOf([80, 80, undefined])] },
    want: `3 [${free}]`,
  },
  {
    name: 'more pods than replicas, as in a rolling update, make no more of them: kubernetes/kubernetes#85027',
    given: { pods: podsOf(5), readings: [samplesOf([10, 10, 10, 10, undefined])], memory: quiet },
    want: `3 → 3 [${free}]`.replace('3 → 3', '3'),
  },
  {
    name: 'pods that go, or have failed, are none',
    given: {
      pods: [
        ...podsOf(3),
        podOf('p3', { status: { phase: 'Failed' } }),
        podOf('p4', { metadata: { name: 'p4', deletionTimestamp: formatTime(nowMs) } }),
      ],
      readings: [samplesOf([50, 50, 50, 0, 0])],
    },
    want: `3 [${free}]`,
  },
  {
    name: 'the most of several metrics',
    given: {
      spec: { metrics: [cpu(50), external('queue', { averageValue: '10' })] },
      readings: [samplesOf([60, 60, 60]), total(50_000)],
    },
    want: `3 → 5: external metric queue(nil) above target [${free}]`,
  },
  {
    name: 'a metric that is not known keeps nothing from coming',
    given: {
      spec: { metrics: [external('queue', { averageValue: '10' }), cpu(50)] },
      readings: [failure, samplesOf([100, 100, 100])],
    },
    want: `3 → 6: cpu resource utilization (percentage of request) above target [${free}]`,
  },
  {
    name: 'but lets nothing go: kubernetes/kubernetes#99394',
    given: {
      spec: { metrics: [cpu(50), external('queue', { averageValue: '10' })] },
      readings: [samplesOf([1, 1, 1]), failure],
      memory: quiet,
    },
    want: '3 [SucceededGetScale !FailedGetExternalMetric]',
  },
  {
    name: 'nothing is known',
    given: { readings: [failure] },
    want: '3 [SucceededGetScale !FailedGetResourceMetric]',
  },
  {
    name: 'without requests there is no share',
    given: {
      pods: [podOf('p0', { spec: { containers: [{ name: 'c', image: 'i' }] } })],
      readings: [samplesOf([10])],
    },
    want: '3 [SucceededGetScale !FailedGetResourceMetric]',
  },
  {
    name: 'an object, by its value',
    given: {
      spec: {
        metrics: [
          {
            type: 'Object',
            object: {
              ...{ describedObject: { kind: 'Service', name: 's' }, metric: { name: 'rps' } },
              target: { type: 'Value', value: '100' },
            },
          },
        ],
      },
      readings: [total(200_000)],
    },
    want: `3 → 6: Service metric rps above target [${free}]`,
  },
  {
    name: 'pods, by a metric of theirs',
    given: {
      spec: {
        metrics: [
          {
            type: 'Pods',
            pods: { metric: { name: 'rps' }, target: { type: 'AverageValue', averageValue: '10' } },
          },
        ],
      },
      readings: [samplesOf([20_000, 20_000, 20_000])],
    },
    want: `3 → 6: pods metric rps above target [${free}]`,
  },
  {
    name: 'pods by the average that is wanted: one that is not known makes none go',
    given: {
      spec: {
        metrics: [
          {
            type: 'Pods',
            pods: { metric: { name: 'rps' }, target: { type: 'AverageValue', averageValue: '10' } },
          },
        ],
      },
      readings: [samplesOf([10_000, 10_000, undefined])],
      memory: quiet,
    },
    want: `3 [${free}]`,
  },
  {
    name: 'memory of a container, by its average',
    given: {
      spec: {
        metrics: [
          {
            type: 'ContainerResource',
            containerResource: {
              ...{ name: 'memory', container: 'c' },
              target: { type: 'AverageValue', averageValue: '1Ki' },
            },
          },
        ],
      },
      readings: [samplesOf([2_048_000, 2_048_000, 2_048_000])],
    },
    want: `3 → 6: memory resource above target [${free}]`,
  },
  {
    name: 'behavior: tolerances of its own',
    given: {
      spec: { behavior: behavior({ scaleUp: { ...behavior().scaleUp, tolerance: '0' } }) },
      readings: [samplesOf([51, 51, 51])],
    },
    want: `3 → 4: cpu resource utilization (percentage of request) above target [${free}]`,
  },
  {
    name: 'behavior: four at once, or twice as many',
    given: { spec: { behavior: behavior(), maxReplicas: 50 }, readings: [samplesOf([500, 500, 500])] },
    want: `3 → 7: cpu resource utilization (percentage of request) above target [${ready} ScaleUpLimit]`,
  },
  {
    name: 'behavior: those that came in the period count',
    given: {
      spec: {
        behavior: behavior({
          scaleUp: {
            ...{ stabilizationWindowSeconds: 0, selectPolicy: 'Max' },
            policies: [policy('Pods', 3)],
          },
        }),
      },
      readings: [samplesOf([500, 500, 500])],
      memory: { ups: [{ count: 2, atMs: nowMs - 30_000 }] },
    },
    want: `3 → 4: cpu resource utilization (percentage of request) above target [${ready} ScaleUpLimit]`,
  },
  {
    name: 'behavior: those that went in the period may come again',
    given: {
      spec: {
        behavior: behavior({
          scaleUp: {
            ...{ stabilizationWindowSeconds: 0, selectPolicy: 'Max' },
            policies: [policy('Pods', 3)],
          },
        }),
      },
      readings: [samplesOf([500, 500, 500])],
      memory: { downs: [{ count: 2, atMs: nowMs - 30_000 }] },
    },
    want: `3 → 8: cpu resource utilization (percentage of request) above target [${ready} ScaleUpLimit]`,
  },
  {
    name: 'behavior: those that came in the period may go again',
    given: {
      spec: {
        behavior: behavior({
          scaleDown: {
            ...{ stabilizationWindowSeconds: 0, selectPolicy: 'Max' },
            policies: [policy('Pods', 2)],
          },
        }),
      },
      replicas: 6,
      readings: [samplesOf([1, 1, 1, 1, 1, 1])],
      memory: { ups: [{ count: 1, atMs: nowMs - 30_000 }] },
    },
    want: `6 → 3: All metrics below target [${ready} ScaleDownLimit]`,
  },
  {
    name: 'behavior: the least of policies',
    given: {
      spec: {
        behavior: behavior({
          scaleUp: {
            ...{ stabilizationWindowSeconds: 0, selectPolicy: 'Min' },
            policies: [policy('Pods', 5), policy('Percent', 10)],
          },
        }),
      },
      readings: [samplesOf([500, 500, 500])],
    },
    want: `3 → 4: cpu resource utilization (percentage of request) above target [${ready} ScaleUpLimit]`,
  },
  {
    name: 'behavior: none may go',
    given: {
      spec: {
        behavior: behavior({ scaleDown: { selectPolicy: 'Disabled', policies: [policy('Pods', 1)] } }),
      },
      readings: [samplesOf([1, 1, 1])],
      memory: quiet,
    },
    want: `3 [${ready} ScaleDownLimit]`,
  },
  {
    name: 'behavior: one at a time',
    given: {
      spec: { behavior: behavior({ scaleDown: { selectPolicy: 'Max', policies: [policy('Pods', 1)] } }) },
      readings: [samplesOf([1, 1, 1])],
      memory: quiet,
    },
    want: `3 → 2: All metrics below target [${ready} ScaleDownLimit]`,
  },
  {
    name: 'behavior: what comes has to be called for a while',
    given: {
      spec: {
        behavior: behavior({ scaleUp: { ...behavior().scaleUp, stabilizationWindowSeconds: 60 } }),
      },
      readings: [samplesOf([100, 100, 100])],
      memory: { recommendations: [{ replicas: 4, atMs: nowMs - 30_000 }] },
    },
    want: '3 → 4: cpu resource utilization (percentage of request) above target [ScaleUpStabilized ValidMetricFound !DesiredWithinRange]',
  },
];

describe('planAutoscaler()', () => {
  it.each(rows)('$name', ({ given, want }) => {
    const state = stateOf(given);
    expect(shown(planAutoscaler(state), given.replicas ?? 3)).toBe(want);
  });

  it('says what is used now, and what is not known as upstream does', () => {
    const { status } = planAutoscaler(stateOf({ readings: [samplesOf([50, 51, 52])] }));
    expect(status).toEqual({
      ...{ currentReplicas: 3, desiredReplicas: 3, observedGeneration: undefined },
      currentMetrics: [
        {
          type: 'Resource',
          resource: { name: 'cpu', current: { averageUtilization: 51, averageValue: '51m' } },
        },
      ],
      conditions: expect.any(Array),
    });
    const missing = 'the server could not find the requested resource (get pods.metrics.k8s.io)';
    const text = `unable to fetch metrics from resource metrics API: ${missing}`;
    const plan = planAutoscaler(stateOf({ readings: [{ kind: 'failure', text }] }));
    expect(plan.status).toMatchObject({
      currentReplicas: 3,
      desiredReplicas: 0,
      currentMetrics: [{ type: '' }],
    });
    const inner = `failed to get cpu utilization: unable to get metrics for resource cpu: ${text}`;
    expect(plan.events).toEqual([
      { type: 'Warning', reason: 'FailedGetResourceMetric', message: inner },
      {
        ...{ type: 'Warning', reason: 'FailedComputeMetricsReplicas' },
        message: `invalid metrics (1 invalid out of 1), first error is: failed to get cpu resource metric value: ${inner}`,
      },
    ]);
    expect(plan.status.conditions?.at(-1)?.message).toBe(
      `the HPA was unable to compute the replica count: ${inner}`,
    );
  });

  it.each([
    ['a target that is not there', 'deployments.apps "x" not found', '!FailedGetScale'],
    [
      'no selector',
      { reason: 'SelectorRequired', text: 'selector is required' } as const,
      'SucceededGetScale !InvalidSelector',
    ],
    [
      'pods of two',
      {
        reason: 'AmbiguousSelector',
        text: 'pods by selector a=d are controlled by multiple HPAs: [l6/h l6/ext]',
      } as const,
      'SucceededGetScale !AmbiguousSelector',
    ],
  ])('%s', (_name, given, want) => {
    const state = stateOf({});
    const target =
      typeof given === 'string' || typeof state.target === 'string'
        ? String(given)
        : { ...state.target, pods: given };
    const plan = planAutoscaler({ ...state, target });
    expect(shown(plan, 3)).toBe(`3 [${want}]`);
    expect(plan.events.every(({ type }) => type === 'Warning')).toBe(true);
  });

  it('asks for metrics only where they matter', () => {
    const { scaler } = stateOf({ spec: { minReplicas: 2, maxReplicas: 4 } });
    const asked = [0, 1, 2, 4, 5].filter((replicas) => needsMetrics(scaler, { spec: { replicas } }));
    expect(asked).toEqual([2, 4]);
  });
});

describe('afterRescale()', () => {
  const state = stateOf({ readings: [samplesOf([100, 100, 100])], spec: { behavior: behavior() } });

  it('says that it was scaled, and remembers it', () => {
    const plan = afterRescale(state, planAutoscaler(state));
    expect(plan).toMatchObject({
      status: { lastScaleTime: formatTime(nowMs), desiredReplicas: 6, currentReplicas: 3 },
      memory: { ups: [{ count: 3, atMs: nowMs }] },
      events: [
        {
          ...{ type: 'Normal', reason: 'SuccessfulRescale' },
          message: 'New size: 6; reason: cpu resource utilization (percentage of request) above target',
        },
      ],
    });
    expect(plan.status.conditions?.[0]).toMatchObject({
      ...{ type: 'AbleToScale', status: 'True', reason: 'SucceededRescale' },
      message: 'the HPA controller was able to update the target scale to 6',
    });
  });

  it('says that it could not be, and remembers nothing', () => {
    const plan = afterRescale(state, planAutoscaler(state), 'no');
    expect(plan).toMatchObject({ status: { desiredReplicas: 0 }, memory: { ups: [] } });
    // What was measured is told all the same.
    expect(plan.status.currentMetrics?.map(({ resource }) => resource?.current.averageUtilization)).toEqual([
      100,
    ]);
    expect(plan.status.lastScaleTime).toBeUndefined();
    expect(plan.events.map(({ reason, message }) => `${reason} ${message}`)).toEqual([
      'FailedRescale New size: 6; reason: cpu resource utilization (percentage of request) above target; error: no',
    ]);
    expect(plan.status.conditions?.[0]).toMatchObject({ status: 'False', reason: 'FailedUpdateScale' });
  });
});
