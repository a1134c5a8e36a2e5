import { describe, expect, it } from 'vitest';
import type { Pod } from '#api/generated/objects.ts';
import { labelSelectorFromMap, matchesLabels } from '#api/meta/selector.ts';
import { isActive, isPodAvailable, isPodReady, isTerminal, isTerminating } from '#api/pod/state.ts';
import { createRandom } from '#base/random.fixture.ts';
import { OwnedPods, type PodCounts, type PodQuestions } from './owned-pods.ts';
import { nextAvailableMs } from './pod-state.ts';

const nowMs = Date.UTC(2026, 0, 2);
const selector = labelSelectorFromMap({ app: 'a' });
const questions: PodQuestions = {
  isSelected: ({ metadata }) => matchesLabels(selector, metadata?.labels),
  templateLabels: labelSelectorFromMap({ app: 'a', v: '1' }),
  minReadySeconds: 60,
};

/** Asked of each, as it is described. */
function counted(pods: readonly Pod[], atMs: number): PodCounts {
  const active = pods.filter(isActive);
  return {
    active: active.length,
    ready: active.filter(isPodReady).length,
    available: active.filter((pod) => isPodAvailable(pod, questions.minReadySeconds, atMs)).length,
    labelled: active.filter(({ metadata }) => matchesLabels(questions.templateLabels, metadata?.labels))
      .length,
    terminating: pods.filter((pod) => isTerminating(pod) && !isTerminal(pod)).length,
  };
}

describe('OwnedPods', () => {
  it('counts after any changes what a look at each would', () => {
    const seed = Number(process.env['PODWRIGHT_FUZZ_SEED'] ?? (Math.random() * 2 ** 31) | 0);
    console.log('seed', seed);
    const random = createRandom(seed);
    const pick = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)] as T;
    const owned = new OwnedPods(questions);
    const known = new Map<string, Pod>();
    for (let step = 0, atMs = nowMs; step < 2_000; step++, atMs += Math.floor(random() * 20_000)) {
      const key = `n/p${Math.floor(random() * 12)}`;
      const pod = random() < 0.2 ? undefined : podWith(pick, atMs);
      owned.put(key, pod);
      known.delete(key);
      if (pod !== undefined) known.set(key, pod);
      const pods = [...known.values()];
      expect(owned.counts(atMs)).toEqual(counted(pods, atMs));
      expect(owned.nextAvailableMs(atMs)).toBe(nextAvailableMs(pods, questions.minReadySeconds, atMs));
      expect(owned.list()).toEqual(pods);
      expect(owned.strays()).toEqual(
        pods.filter(
          (one) => one.metadata?.deletionTimestamp === undefined && one.metadata?.labels?.['app'] !== 'a',
        ),
      );
    }
  });

  it('asks of a pod once, however often it is looked at', () => {
    let asked = 0;
    const isSelected = (): boolean => (asked++, true);
    const owned = new OwnedPods({ ...questions, isSelected });
    for (let index = 0; index < 1_000; index++) owned.put(`n/${index}`, { metadata: { name: `${index}` } });
    for (let look = 0; look < 100; look++) owned.counts(nowMs);
    expect(asked).toBe(1_000);
    expect(owned.list()).toBe(owned.list());
  });
});

function podWith(pick: <T>(of: readonly T[]) => T, atMs: number): Pod {
  const since = new Date(atMs - pick([0, 30_000, 59_000, 60_000, 90_000])).toISOString();
  const status = pick(['True', 'False']);
  return {
    metadata: {
      labels: pick([{ app: 'a' }, { app: 'a', v: '1' }, { app: 'b' }]),
      ...pick([{}, {}, { deletionTimestamp: 'x' }]),
    },
    status: {
      phase: pick(['Running', 'Pending', 'Failed'] as const),
      conditions: pick([[], [{ type: 'Ready', status, lastTransitionTime: since }]]),
    },
  };
}
