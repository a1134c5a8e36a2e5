import { describe, expect, it } from 'vitest';
import type { HPAScalingPolicy, HPAScalingRules } from '#api/generated/objects.ts';
import { nowMs, stateOf } from './autoscaler.fixture.ts';
import { limitReplicas, type ScaleMemory } from './behavior.ts';
import { autoscalerDefaults } from './settings.ts';

/* The cases of TestScalingWithRules and of its neighbours in horizontal_test.go of Kubernetes, in their numbers. */

type Rule = readonly [value: number, periodSeconds: number];

interface Rules {
  readonly pods?: Rule;
  readonly percent?: Rule;
  readonly select?: 'Max' | 'Min';
  readonly windowSeconds?: number;
}

function policiesOf({ pods, percent }: Rules): readonly HPAScalingPolicy[] {
  const policy = (type: string, rule: Rule | undefined): readonly HPAScalingPolicy[] =>
    rule === undefined ? [] : [{ type, value: rule[0], periodSeconds: rule[1] }];
  return [...policy('Pods', pods), ...policy('Percent', percent)];
}

/** With what an API server fills in. */
function rulesOf(rules: Rules | undefined, defaults: HPAScalingRules): HPAScalingRules {
  if (rules === undefined) return defaults;
  const { select = 'Max', windowSeconds } = rules;
  return {
    ...{ selectPolicy: select, policies: policiesOf(rules) },
    ...(windowSeconds === undefined ? {} : { stabilizationWindowSeconds: windowSeconds }),
  };
}

const upDefaults = rulesOf({ pods: [4, 15], percent: [100, 15], windowSeconds: 0 }, {});
const downDefaults = rulesOf({ percent: [100, 15] }, {});

/** Changes at even distances in so many seconds, the oldest first, each in the middle of its part. */
function spread(counts: readonly number[], seconds: number): ScaleMemory['ups'] {
  const part = seconds / counts.length;
  return counts.map((count, index) => ({
    count,
    atMs: nowMs - (seconds - part * (index + 1) + part / 2) * 1000,
  }));
}

interface Case {
  readonly name: string;
  readonly current: number;
  readonly desired: number;
  readonly min?: number;
  readonly max?: number;
  readonly up?: Rules;
  readonly down?: Rules;
  readonly ups?: readonly number[];
  readonly downs?: readonly number[];
  readonly want: string;
}

const free = 'DesiredWithinRange';
const cases: readonly Case[] = [
  { name: 'in range', current: 5, desired: 7, min: 3, max: 8, want: `7 ${free}` },
  { name: 'too few', current: 3, desired: 1, min: 2, max: 8, want: '2 TooFewReplicas' },
  { name: 'none, which may be', current: 1, desired: 0, min: 0, max: 10, want: `0 ${free}` },
  { name: 'more than may be already', current: 20, desired: 1000, max: 10, want: '10 TooManyReplicas' },
  { name: 'too many', current: 100, desired: 1000, min: 100, max: 150, want: '150 TooManyReplicas' },
  {
    name: 'one percent of three',
    ...{ current: 3, desired: 1000, max: 2000, up: { percent: [1, 60] } },
    want: '4 ScaleUpLimit',
  },
  {
    name: 'twenty of a thousand',
    ...{ current: 1000, desired: 3, min: 3, max: 2000, down: { pods: [20, 60] } },
    want: '980 ScaleDownLimit',
  },
  { name: 'up by default', current: 10, desired: 50, want: '20 ScaleUpLimit' },
  {
    name: 'up by pods, which are more',
    ...{ current: 10, desired: 500, up: { pods: [100, 60], percent: [100, 60] } },
    want: '110 ScaleUpLimit',
  },
  {
    name: 'up by percent, which are more',
    ...{ current: 10, desired: 500, up: { pods: [2, 60], percent: [100, 60] } },
    want: '20 ScaleUpLimit',
  },
  { name: 'up by many pods', current: 10, desired: 50, up: { pods: [100, 60] }, want: `50 ${free}` },
  { name: 'up by very many', current: 10, desired: 50, up: { pods: [10_000, 60] }, want: `50 ${free}` },
  { name: 'up by some pods', current: 10, desired: 50, up: { pods: [30, 60] }, want: '40 ScaleUpLimit' },
  { name: 'up by percent', current: 10, desired: 50, up: { percent: [200, 60] }, want: '30 ScaleUpLimit' },
  {
    name: 'down by pods, which are more',
    ...{ current: 100, desired: 2, down: { pods: [20, 60], percent: [1, 60], windowSeconds: 300 } },
    want: '80 ScaleDownLimit',
  },
  {
    name: 'down by few pods, which are more',
    ...{ current: 100, desired: 2, down: { pods: [2, 60], percent: [1, 60], windowSeconds: 300 } },
    want: '98 ScaleDownLimit',
  },
  {
    name: 'down by many pods',
    ...{ current: 10, desired: 0, down: { pods: [100, 60], windowSeconds: 300 } },
    want: '1 TooFewReplicas',
  },
  {
    name: 'down by all',
    ...{ current: 10, desired: 2, min: 5, down: { percent: [100, 60], windowSeconds: 300 } },
    want: '5 TooFewReplicas',
  },
  {
    name: 'down by some pods',
    ...{ current: 10, desired: 2, down: { pods: [5, 60], windowSeconds: 300 } },
    want: '5 ScaleDownLimit',
  },
  {
    name: 'down by half',
    ...{ current: 10, desired: 5, down: { percent: [50, 60], windowSeconds: 300 } },
    want: `5 ${free}`,
  },
  {
    name: 'up to the most, some came',
    ...{ current: 100, desired: 500, max: 200, ups: [1, 5, 9], up: { pods: [300, 60] } },
    want: '200 TooManyReplicas',
  },
  {
    name: 'up to the most by percent, some came',
    ...{ current: 100, desired: 500, max: 200, ups: [1, 5, 9], up: { percent: [10_000, 60] } },
    want: '200 TooManyReplicas',
  },
  {
    name: 'more came than may',
    ...{ current: 100, desired: 500, ups: [1, 5, 9], up: { pods: [5, 120] } },
    want: '100 ScaleUpLimit',
  },
  {
    name: 'those that came count',
    ...{ current: 100, desired: 500, ups: [1, 5, 9], up: { pods: [150, 120] } },
    want: '235 ScaleUpLimit',
  },
  {
    name: 'those that came count, by percent',
    ...{ current: 100, desired: 500, ups: [1, 5, 9], up: { percent: [200, 120] } },
    want: '255 ScaleUpLimit',
  },
  { name: 'down by default, some went', current: 10, desired: 5, downs: [1, 5, 9], want: `5 ${free}` },
  {
    name: 'down to the least, some went',
    ...{ current: 100, desired: 0, downs: [1, 5, 9], down: { pods: [115, 120], windowSeconds: 300 } },
    want: '1 TooFewReplicas',
  },
  {
    name: 'down to a least, some went',
    ...{ current: 100, desired: 0, min: 5, downs: [1, 5, 9], down: { pods: [130, 120], windowSeconds: 300 } },
    want: '5 TooFewReplicas',
  },
  {
    name: 'down by all, some went',
    ...{
      current: 100,
      desired: 2,
      min: 5,
      downs: [1, 5, 9],
      down: { percent: [100, 120], windowSeconds: 300 },
    },
    want: '5 TooFewReplicas',
  },
  {
    name: 'more went than may',
    ...{ current: 100, desired: 2, downs: [1, 5, 9], down: { pods: [5, 120], windowSeconds: 300 } },
    want: '100 ScaleDownLimit',
  },
  {
    name: 'those that went count',
    ...{ current: 100, desired: 0, downs: [2, 4, 6], down: { percent: [50, 120], windowSeconds: 300 } },
    want: '56 ScaleDownLimit',
  },
  {
    name: 'so many went that none may',
    ...{ current: 100, desired: 0, downs: [10, 10, 10], down: { percent: [10, 120], windowSeconds: 300 } },
    want: '100 ScaleDownLimit',
  },
  {
    name: 'so many may go that it matters nothing',
    ...{ current: 10, desired: 5, downs: [10, 10, 10], down: { percent: [1000, 120], windowSeconds: 300 } },
    want: `5 ${free}`,
  },
  ...([60, 120, 30] as const).flatMap((seconds): readonly Case[] => [
    {
      name: `up, with changes of two periods, ${seconds} s`,
      ...{
        current: 100,
        desired: 200,
        ups: [8, 12, 9, 11],
        up: { pods: [1000, seconds], percent: [100, 60] },
      },
      want: `200 ${free}`,
    },
    {
      name: `down, with changes of two periods, ${seconds} s`,
      ...{ current: 100, desired: 5, downs: [8, 12, 9, 11] },
      down: { pods: [1000, seconds], percent: [100, 60], windowSeconds: 300 },
      want: `5 ${free}`,
    },
  ]),
  {
    name: 'the least of policies upwards',
    ...{ current: 1, desired: 9, up: { pods: [2, 60], percent: [50, 60], select: 'Min' } },
    want: '2 ScaleUpLimit',
  },
  {
    name: 'the least of policies downwards',
    ...{ current: 5, desired: 1, down: { pods: [2, 60], percent: [50, 60], select: 'Min' } },
    want: '3 ScaleDownLimit',
  },
];

describe('limitReplicas()', () => {
  it.each(cases)('$name', ({ current, desired, min = 1, max = 1000, up, down, want, ...changes }) => {
    const { scaler } = stateOf({
      spec: {
        ...{ minReplicas: min, maxReplicas: max },
        behavior: { scaleUp: rulesOf(up, upDefaults), scaleDown: rulesOf(down, downDefaults) },
      },
    });
    const memory = {
      recommendations: [],
      ups: spread(changes.ups ?? [], 120),
      downs: spread(changes.downs ?? [], 120),
    };
    const wish = { currentReplicas: current, desiredReplicas: desired, minReplicas: min };
    const limited = limitReplicas(scaler, { ...wish, memory, settings: autoscalerDefaults, nowMs });
    expect(`${limited.replicas} ${limited.limit.reason}`).toBe(want);
  });

  it.each<
    readonly [name: string, past: readonly (readonly [replicas: number, minutesAgo: number])[], want: number]
  >([
    ['nothing was recommended', [], 5],
    [
      'more was, lately',
      [
        [4, 2],
        [5, 1],
      ],
      5,
    ],
    [
      'less was',
      [
        [1, 2],
        [2, 1],
      ],
      3,
    ],
    [
      'more was, long ago',
      [
        [10, 10],
        [9, 9],
      ],
      3,
    ],
    [
      'more was, long ago and lately',
      [
        [10, 10],
        [4, 1],
        [5, 2],
        [9, 9],
      ],
      5,
    ],
  ])('without behavior, where %s', (_name, past, want) => {
    const { scaler } = stateOf({ spec: { maxReplicas: 1000 } });
    const recommendations = past.map(([replicas, minutes]) => ({ replicas, atMs: nowMs - minutes * 60_000 }));
    const desiredReplicas = past.length === 0 ? 5 : 3;
    const limited = limitReplicas(scaler, {
      ...{ currentReplicas: 5, desiredReplicas, minReplicas: 1, settings: autoscalerDefaults, nowMs },
      memory: { recommendations, ups: [], downs: [] },
    });
    expect(limited.replicas).toBe(want);
  });
});
