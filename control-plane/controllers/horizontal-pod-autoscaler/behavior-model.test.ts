/** Random lives of autoscalers against a plain model that forgets nothing. */
import { describe, expect, it } from 'vitest';
import * as fc from 'fast-check';
import type { HPAScalingRules } from '#api/generated/objects.ts';
import { limitReplicas, withScaled, type ScaleMemory } from './behavior.ts';
import { stateOf } from './autoscaler.fixture.ts';
import { autoscalerDefaults } from './settings.ts';

const seed = Number(process.env['PODWRIGHT_FUZZ_SEED'] ?? Date.now() % 2 ** 31);

const rules = (windowMax: number): fc.Arbitrary<HPAScalingRules> =>
  fc.record({
    stabilizationWindowSeconds: fc.integer({ min: 0, max: windowMax }),
    selectPolicy: fc.constantFrom('Max', 'Min', 'Disabled'),
    policies: fc.array(
      fc.record({
        type: fc.constantFrom('Pods', 'Percent'),
        value: fc.integer({ min: 1, max: 200 }),
        periodSeconds: fc.integer({ min: 1, max: 120 }),
      }),
      { minLength: 1, maxLength: 3 },
    ),
  });
const lives = fc.record({
  up: rules(120),
  down: rules(300),
  minReplicas: fc.integer({ min: 1, max: 5 }),
  span: fc.integer({ min: 0, max: 60 }),
  steps: fc.array(
    fc.record({ waitMs: fc.integer({ min: 1, max: 90_000 }), wish: fc.integer({ min: 0, max: 80 }) }),
    { minLength: 1, maxLength: 40 },
  ),
});

interface Past {
  readonly wishes: { readonly atMs: number; readonly replicas: number }[];
  /** Above zero: came. */
  readonly changes: { readonly atMs: number; readonly by: number }[];
}

/** By the documentation alone: Configurable scaling behavior. */
function model(
  past: Past,
  { up, down }: { readonly up: HPAScalingRules; readonly down: HPAScalingRules },
  at: {
    readonly nowMs: number;
    readonly current: number;
    readonly wish: number;
    readonly min: number;
    readonly max: number;
  },
): number {
  const { nowMs, current, min, max } = at;
  const since = (seconds: number) => (one: { readonly atMs: number }) => one.atMs > nowMs - seconds * 1000;
  const wishesIn = ({ stabilizationWindowSeconds = 0 }: HPAScalingRules): readonly number[] =>
    past.wishes.filter(since(stabilizationWindowSeconds)).map(({ replicas }) => replicas);
  const floor = Math.min(at.wish, ...wishesIn(up));
  const ceiling = Math.max(at.wish, ...wishesIn(down));
  const held = floor > current ? floor : ceiling < current ? ceiling : current;
  const limit = (given: HPAScalingRules, sign: 1 | -1): number => {
    const { selectPolicy, policies = [] } = given;
    if (selectPolicy === 'Disabled') return current;
    const proposals = policies.map(({ type, value, periodSeconds }) => {
      const moved = past.changes.filter(since(periodSeconds)).reduce((sum, { by }) => sum + by, 0);
      const start = current - moved;
      if (type === 'Pods') return start + sign * value;
      const share = start * (1 + (sign * value) / 100);
      return sign > 0 ? Math.ceil(share) : Math.trunc(share);
    });
    const far = sign > 0 ? Math.max(...proposals) : Math.min(...proposals);
    const near = sign > 0 ? Math.min(...proposals) : Math.max(...proposals);
    return selectPolicy === 'Min' ? near : far;
  };
  if (held > current) return Math.min(held, max, Math.max(current, limit(up, 1)));
  if (held < current) return Math.max(held, min, Math.min(current, limit(down, -1)));
  return current;
}

describe('limitReplicas()', () => {
  it(`goes as a model that forgets nothing (seed ${seed})`, () => {
    fc.assert(
      fc.property(lives, ({ up, down, minReplicas, span, steps }) => {
        const maxReplicas = minReplicas + span;
        const behavior = { scaleUp: up, scaleDown: down };
        const { scaler } = stateOf({ spec: { minReplicas, maxReplicas, behavior } });
        const past: Past = { wishes: [], changes: [] };
        let memory: ScaleMemory = { recommendations: [], ups: [], downs: [] };
        let current = minReplicas;
        let nowMs = 1_000_000;
        for (const { waitMs, wish } of steps) {
          nowMs += waitMs;
          const limited = limitReplicas(scaler, {
            ...{ currentReplicas: current, desiredReplicas: wish, minReplicas },
            ...{ settings: autoscalerDefaults, memory, nowMs },
          });
          const at = { nowMs, current, wish, min: minReplicas, max: maxReplicas };
          expect(limited.replicas).toBe(model(past, { up, down }, at));
          past.wishes.push({ atMs: nowMs, replicas: wish });
          const { replicas } = limited;
          memory = limited.memory;
          if (replicas !== current) {
            memory = withScaled(scaler, memory, { from: current, to: replicas, atMs: nowMs });
            past.changes.push({ atMs: nowMs, by: replicas - current });
          }
          current = replicas;
          expect(current).toBeGreaterThanOrEqual(minReplicas);
          expect(current).toBeLessThanOrEqual(maxReplicas);
        }
      }),
      { seed, numRuns: 500 },
    );
  });

  it('remembers so many and no more', () => {
    const { scaler } = stateOf({ spec: { maxReplicas: 9 } });
    const recommendations = Array.from({ length: 4_001 }, () => ({ replicas: 1, atMs: 999 }));
    const limited = limitReplicas(scaler, {
      ...{ currentReplicas: 1, desiredReplicas: 1, minReplicas: 1, settings: autoscalerDefaults },
      ...{ memory: { recommendations, ups: [], downs: [] }, nowMs: 1_000 },
    });
    expect(limited.memory.recommendations).toHaveLength(4_000);
  });
});
