import { describe, expect, it } from 'vitest';
import type { Pod } from '#api/generated/objects.ts';
import { formatTime } from '#api/meta/time.ts';
import { nowMs } from './autoscaler.fixture.ts';
import { groupPods, type PodSample } from './pod-groups.ts';
import {
  countByAverage,
  countByShare,
  countByUtilization,
  countByValue,
  type Count,
  type Surroundings,
} from './replicas.ts';
import { requestedMilli } from './requested.ts';
import { autoscalerDefaults } from './settings.ts';

/*
 * The cases of replica_calculator_test.go of Kubernetes, in its numbers. Pods are written as `R300`: how it is, and what each of its
 * two containers uses in thousandths; without a number nobody knows. Each container asks for one processor unless `requests` says.
 */
type Letter = 'R' | 'U' | 'H' | 'F' | 'D' | 'P';

const settings = {
  ...autoscalerDefaults,
  ...{ cpuInitializationPeriodMs: 120_000, initialReadinessDelayMs: 10_000 },
};

function podOf(name: string, letter: Letter, requestMilli: number): Pod {
  const startTime = formatTime(letter === 'H' ? nowMs : 0);
  const phase = letter === 'F' ? 'Failed' : letter === 'P' ? 'Pending' : 'Running';
  const status = 'RH'.includes(letter) ? 'True' : 'False';
  const requests = { cpu: `${requestMilli}m` };
  return {
    metadata: { name, ...(letter === 'D' ? { deletionTimestamp: formatTime(nowMs) } : {}) },
    spec: {
      containers: ['container1', 'container2'].map((container) => ({
        name: container,
        image: 'i',
        resources: { requests },
      })),
    },
    status: { phase, startTime, conditions: [{ type: 'Ready', status, lastTransitionTime: startTime }] },
  };
}

interface Case {
  readonly pods: string;
  readonly requests?: readonly number[];
  readonly replicas: number;
  readonly container?: string;
}

function surroundings({ pods, requests = [], replicas }: Omit<Case, 'container'>): Surroundings {
  const tokens = pods.split(' ');
  return {
    pods: tokens.map((token, index) => podOf(`p${index}`, token[0] as Letter, requests[index] ?? 1000)),
    ...{ specReplicas: replicas, statusReplicas: replicas, tolerances: { up: 0.1, down: 0.1 } },
    ...{ settings, nowMs },
  };
}

function samplesOf(pods: string, containers: number): ReadonlyMap<string, PodSample> {
  const samples = new Map<string, PodSample>();
  for (const [index, token] of pods.split(' ').entries()) {
    if (token.length > 1)
      samples.set(`p${index}`, { milli: Number(token.slice(1)) * containers, atMs: 0, windowMs: 60_000 });
  }
  return samples;
}

function told(count: Count): string {
  if (typeof count === 'string') return count;
  const { utilization, average, value } = count.current;
  const share = utilization === undefined ? '' : `${utilization}% `;
  return `${count.replicas}: ${share}${average ?? value ?? ''}`;
}

const shares: readonly (Case & { readonly name: string; readonly percent: number; readonly want: string })[] =
  [
    { name: 'more', pods: 'R300 R500 R700', replicas: 3, percent: 30, want: '5: 50% 1000' },
    {
      name: 'of a container',
      ...{ pods: 'R300 R500 R700', replicas: 3, container: 'container2', percent: 30 },
      want: '5: 50% 500',
    },
    { name: 'less for an unready', pods: 'U300 R500 R700', replicas: 3, percent: 30, want: '4: 60% 1200' },
    {
      name: 'less for one that starts',
      pods: 'H300 R500 R700',
      replicas: 3,
      percent: 30,
      want: '4: 60% 1200',
    },
    {
      name: 'less for a container that starts',
      ...{ pods: 'H300 R500 R700', replicas: 3, container: 'container2', percent: 30 },
      want: '4: 60% 600',
    },
    { name: 'none for two unready', pods: 'R400 U500 U700', replicas: 3, percent: 30, want: '3: 40% 800' },
    { name: 'none for two that start', pods: 'R400 H500 H700', replicas: 3, percent: 30, want: '3: 40% 800' },
    { name: 'more beside failed ones', pods: 'R500 R700 F F', replicas: 2, percent: 30, want: '4: 60% 1200' },
    {
      name: 'more beside leaving ones',
      pods: 'R500 R700 D D',
      replicas: 2,
      percent: 30,
      want: '4: 60% 1200',
    },
    { name: 'less', pods: 'R100 R300 R500 R250 R250', replicas: 5, percent: 50, want: '3: 28% 560' },
    { name: 'unready go', pods: 'R100 R300 R500 U250 U250', replicas: 5, percent: 50, want: '2: 30% 600' },
    { name: 'pending go', pods: 'R100 P P P P', replicas: 5, percent: 50, want: '1: 10% 200' },
    { name: 'starting go', pods: 'R100 R300 R500 H250 H250', replicas: 5, percent: 50, want: '2: 30% 600' },
    {
      name: 'less beside failed',
      ...{ pods: 'R100 R300 R500 R250 R250 F F', replicas: 5, percent: 50 },
      want: '3: 28% 560',
    },
    {
      name: 'less beside leaving',
      ...{ pods: 'R100 R300 R500 R250 R250 D D', replicas: 5, percent: 50 },
      want: '3: 28% 560',
    },
    {
      name: 'within the tolerance',
      ...{ pods: 'R1010 R1030 R1020', requests: [900, 1000, 1100], replicas: 3, percent: 100 },
      want: '3: 102% 2040',
    },
    { name: 'two are missing', pods: 'R400 R95 R R', replicas: 4, percent: 100, want: '3: 24% 495' },
    { name: 'missing, and as wanted', pods: 'R1000 R', replicas: 2, percent: 100, want: '2: 100% 2000' },
    { name: 'missing, and more', pods: 'R1900 R', replicas: 2, percent: 100, want: '2: 190% 3800' },
    { name: 'missing, and less', pods: 'R600 R', replicas: 2, percent: 100, want: '2: 60% 1200' },
    { name: 'missing and unready', pods: 'U100 R450 R', replicas: 3, percent: 50, want: '3: 45% 900' },
    { name: 'missing and starting', pods: 'H100 R450 R', replicas: 3, percent: 50, want: '3: 45% 900' },
    {
      name: 'missing, unready and more',
      pods: 'U100 R2000 R',
      replicas: 3,
      percent: 50,
      want: '4: 200% 4000',
    },
    {
      name: 'missing, starting and more',
      pods: 'H100 R2000 R',
      replicas: 3,
      percent: 50,
      want: '4: 200% 4000',
    },
    {
      name: 'missing, unready and less',
      ...{ pods: 'U100 R100 R100 R', replicas: 4, percent: 50 },
      want: '3: 10% 200',
    },
    {
      name: 'missing, and a target above all that is asked for',
      ...{ pods: 'U200 R100 R100 R', requests: [1000, 1000, 2000, 2000], replicas: 4, percent: 300 },
      want: '2: 6% 200',
    },
    { name: 'more pods than replicas', pods: 'R100 R100 R', replicas: 2, percent: 50, want: '2: 10% 200' },
    {
      name: 'just beyond the tolerance',
      pods: Array.from({ length: 10 }, () => 'R150').join(' '),
      requests: [400, 200, 310, 290, 302, 298, 301, 299, 300, 300],
      ...{ replicas: 10, percent: 56 },
      want: '9: 50% 300',
    },
    {
      name: 'just within it',
      pods: Array.from({ length: 10 }, () => 'R150').join(' '),
      requests: [400, 200, 310, 290, 302, 298, 301, 299, 300, 300],
      ...{ replicas: 10, percent: 55 },
      want: '10: 50% 300',
    },
  ];

describe('countByUtilization()', () => {
  it.each(shares)('$name', ({ percent, container, want, ...given }) => {
    const samples = samplesOf(given.pods, container === undefined ? 2 : 1);
    const asked = { percent, resource: 'cpu', container };
    expect(told(countByUtilization(samples, asked, surroundings(given)))).toBe(want);
  });

  it('takes no notice of pods that are not selected, and says when there is nothing else', () => {
    const asked = { percent: 100, resource: 'cpu', container: undefined };
    const more = samplesOf('R4000 R9500 R3000 R7000 R3200 R2000', 2);
    const four = surroundings({ pods: 'R R R R', replicas: 4 });
    expect(told(countByUtilization(more, asked, four))).toBe('24: 587% 11750');
    const stranger = new Map([['gone', { milli: 100, atMs: 0, windowMs: 60_000 }]]);
    const one = surroundings({ pods: 'R', replicas: 1 });
    expect(countByUtilization(stranger, asked, one)).toBe('no metrics returned matched known pods');
    const starting = surroundings({ pods: 'H', replicas: 1 });
    expect(countByUtilization(samplesOf('H100', 2), asked, starting)).toBe(
      'did not receive metrics for targeted pods (pods might be unready)',
    );
  });
});

const averages: readonly (Case & { readonly name: string; readonly milli: number; readonly want: string })[] =
  [
    { name: 'more', pods: 'R20000 R10000 R30000', replicas: 3, milli: 15_000, want: '4: 20000' },
    { name: 'an unready counts', pods: 'R50000 R10000 U30000', replicas: 3, milli: 15_000, want: '6: 30000' },
    {
      name: 'as does one that starts',
      pods: 'H50000 R15000 H30000',
      replicas: 3,
      milli: 15_000,
      want: '7: 31666',
    },
    { name: 'of one', pods: 'R8600', replicas: 1, milli: 4400, want: '2: 8600' },
    {
      name: 'less',
      ...{ pods: 'R12000 R12000 R12000 R12000 R12000', replicas: 5, milli: 20_000 },
      want: '3: 12000',
    },
    { name: 'the tolerance', pods: 'R20000 R21000 R21000', replicas: 3, milli: 20_000, want: '3: 20666' },
    { name: 'missing', pods: 'R20000 R19000 R21000 R R', replicas: 5, milli: 20_000, want: '5: 20000' },
    {
      name: 'more pods than replicas',
      pods: 'R10000 R10000 R',
      replicas: 2,
      milli: 17_000,
      want: '2: 10000',
    },
  ];

describe('countByAverage()', () => {
  it.each(averages)('$name', ({ milli, want, ...given }) => {
    const count = countByAverage(samplesOf(given.pods, 1), { milli, isCpu: false }, surroundings(given));
    expect(told(count)).toBe(want);
  });
});

describe('countByValue() and countByShare()', () => {
  it.each([
    ['more', 'R R R', 20_000, 15_000, '4: 20000'],
    ['of those that are ready', 'U R U', 50_000, 10_000, '5: 50000'],
    ['less than there are, as one is ready', 'U R U', 8600, 4400, '2: 8600'],
    ['less', 'R R R R R', 12_000, 20_000, '3: 12000'],
    ['less, not in whole numbers', 'R R R R R', 8600, 14_334, '3: 8600'],
    ['the tolerance upwards', 'R R R', 20_666, 20_000, '3: 20666'],
    ['the tolerance downwards', 'R R R', 8600, 8888, '3: 8600'],
    ['more than can be counted', 'R R R', 2 ** 62, 1, `2147483647: ${2 ** 62}`],
  ])('by value: %s', (_name, pods, value, target, want) => {
    const replicas = pods.split(' ').length;
    expect(told(countByValue(value, target, surroundings({ pods, replicas })))).toBe(want);
  });

  it.each([
    ['more, of an object', 3, 20_000, 5000, '4: 6667'],
    ['more, from outside', 3, 8600, 2150, '4: 2867'],
    ['less, of an object', 5, 6000, 2000, '3: 1200'],
    ['less, from outside', 5, 8600, 2867, '3: 1720'],
    ['the tolerance, of an object', 4, 20_166, 5000, '4: 5042'],
    ['the tolerance, from outside', 3, 8600, 2900, '3: 2867'],
    ['more than can be counted', 1, 2 ** 62, 1, `2147483647: ${2 ** 62}`],
    ['as much as can be counted', 1, 2 ** 62, 2 ** 62, `1: ${2 ** 62}`],
  ])('by share: %s', (_name, replicas, value, target, want) => {
    const pods = Array.from({ length: replicas }, () => 'R').join(' ');
    expect(told(countByShare(value, target, surroundings({ pods, replicas })))).toBe(want);
  });
});

describe('groupPods()', () => {
  const ago = (seconds: number): string => formatTime(nowMs - seconds * 1000);
  const ready = (status: string, seconds: number) => ({
    conditions: [{ type: 'Ready', status, lastTransitionTime: ago(seconds) }],
  });
  const fresh: PodSample = { milli: 1, atMs: nowMs, windowMs: 30_000 };
  it.each<readonly [string, boolean, Pod['status'], PodSample | undefined, string]>([
    ['memory of one without a condition', false, {}, fresh, 'used'],
    ['without a condition', true, { startTime: ago(0) }, fresh, 'unready'],
    ['a new measure', true, { startTime: ago(60), ...ready('True', 30) }, fresh, 'used'],
    [
      'a measure from before',
      true,
      { startTime: ago(60), ...ready('True', 30) },
      { ...fresh, windowMs: 60_000 },
      'unready',
    ],
    ['never ready at first', true, { startTime: ago(600), ...ready('False', 594) }, fresh, 'unready'],
    [
      'an old measure of one that runs long',
      true,
      { startTime: ago(180), ...ready('True', 180) },
      { ...fresh, atMs: nowMs - 120_000, windowMs: 60_000 },
      'used',
    ],
    ['ready no more', true, { startTime: ago(600), ...ready('False', 540) }, fresh, 'used'],
    [
      'ready no more since the end of the delay',
      true,
      { startTime: ago(600), ...ready('False', 590) },
      fresh,
      'used',
    ],
    ['unknown', true, { startTime: ago(180) }, undefined, 'missing'],
    ['pending', true, { phase: 'Pending' }, undefined, 'unready'],
    ['failed', true, { phase: 'Failed' }, fresh, ''],
  ])('%s', (_name, isCpu, status, sample, want) => {
    const pod: Pod = { metadata: { name: 'p' }, status: { phase: 'Succeeded', ...status } };
    const samples = new Map(sample === undefined ? [] : [['p', sample]]);
    const groups = groupPods([pod], { samples, isCpu, settings, nowMs });
    const found = (['used', 'unready', 'missing'] as const).filter((group) => groups[group].has('p'));
    expect(found.join(' ')).toBe(want);
  });
});

describe('requestedMilli()', () => {
  const container = (name: string, cpu?: string) => ({
    ...{ name, image: 'i' },
    ...(cpu === undefined ? {} : { resources: { requests: { cpu } } }),
  });
  const two = [container('container1', '100m'), container('container2', '50m')];
  const whole = { resources: { requests: { cpu: '800m' } } };
  const started = [
    container('init', '20m'),
    { ...container('sidecar', '50m'), restartPolicy: 'Always' as const },
  ];
  it.each([
    ['of all containers', { containers: two }, undefined, 150],
    ['of the pod as a whole', { containers: two, ...whole }, undefined, 800],
    [
      'one says nothing',
      { containers: [container('container1'), container('container2', '50m')] },
      undefined,
      'missing request for cpu in container container1 of Pod test-pod',
    ],
    ['one says nothing, the pod does', { containers: [container('container1')], ...whole }, undefined, 800],
    ['of one container', { containers: two }, 'container1', 100],
    ['of one, whatever the pod says', { containers: two, ...whole }, 'container1', 100],
    ['with sidecars', { containers: [container('c', '100m')], initContainers: started }, undefined, 150],
    ['of none that is there', { containers: two }, 'x', 'container x not found in Pod test-pod'],
  ])('%s', (_name, spec, name, want) => {
    expect(requestedMilli({ metadata: { name: 'test-pod' }, spec }, 'cpu', name)).toBe(want);
  });
});
