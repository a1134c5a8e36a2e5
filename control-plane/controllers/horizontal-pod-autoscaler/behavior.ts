import type { HPAScalingRules } from '#api/generated/objects.ts';
import type { Autoscaler, AutoscalerSettings } from './settings.ts';

/*
 * How fast replicas may come and go (autoscaling/v2 HorizontalPodAutoscalerBehavior; pkg/controller/podautoscaler/horizontal.go).
 */

/** What is remembered of an autoscaler between two looks; times by the wall clock. */
export interface ScaleMemory {
  /** What metrics called for. */
  readonly recommendations: readonly { readonly replicas: number; readonly atMs: number }[];
  /** By how many it was scaled. */
  readonly ups: readonly ScaleChange[];
  readonly downs: readonly ScaleChange[];
}

interface ScaleChange {
  readonly count: number;
  readonly atMs: number;
}

/** How a number came about. */
export interface Said {
  readonly reason: string;
  readonly message: string;
}

export interface Limited {
  readonly replicas: number;
  /** For condition AbleToScale. */
  readonly able: Said;
  /** For condition ScalingLimited. */
  readonly limit: Said & { readonly isLimited: boolean };
  readonly memory: ScaleMemory;
}

export interface Wish {
  readonly currentReplicas: number;
  /** By metrics. */
  readonly desiredReplicas: number;
  readonly minReplicas: number;
  readonly settings: AutoscalerSettings;
  readonly memory: ScaleMemory;
  readonly nowMs: number;
}

/** More are remembered of none: at one a second, an hour's stabilization. */
const rememberedMax = 4_000;

/** Without behavior: at most twice as many at once, or this. */
const freeReplicas = 4;

/** What becomes of a wish: held by what was recommended lately, then limited in pace, then by the bounds. */
export function limitReplicas(scaler: Autoscaler, wish: Wish): Limited {
  const held = stabilize(scaler, wish);
  const { desiredReplicas, nowMs, memory } = wish;
  const kept = memory.recommendations.filter(({ atMs }) => atMs > nowMs - held.windowMs);
  const recommendations = [...kept, { replicas: desiredReplicas, atMs: nowMs }].slice(-rememberedMax);
  const limit = limitPace(scaler, { ...wish, desiredReplicas: held.replicas });
  return {
    replicas: limit.replicas,
    able:
      held.replicas === desiredReplicas
        ? { reason: 'ReadyForNewScale', message: 'recommended size matches current size' }
        : held.said,
    limit: { ...limit.said, isLimited: limit.replicas !== held.replicas },
    memory: { ...memory, recommendations },
  };
}

/** That it was scaled: paces count from there. What is older than all of its policies is forgotten. */
export function withScaled(
  { spec: { behavior } }: Autoscaler,
  memory: ScaleMemory,
  scaled: { readonly from: number; readonly to: number; readonly atMs: number },
): ScaleMemory {
  if (behavior === undefined) return memory;
  const { from, to, atMs } = scaled;
  // Policies of either direction count changes of both.
  const policies = [behavior.scaleUp, behavior.scaleDown].flatMap((rules) => rules?.policies ?? []);
  const longestMs = Math.max(0, ...policies.map(({ periodSeconds }) => periodSeconds)) * 1000;
  const keep = (changes: readonly ScaleChange[], count: number) => {
    const recent = changes.filter((change) => change.atMs >= atMs - longestMs);
    return [...recent, ...(count > 0 ? [{ count, atMs }] : [])].slice(-rememberedMax);
  };
  return {
    ...memory,
    ups: keep(memory.ups, to - from),
    downs: keep(memory.downs, from - to),
  };
}

const lowest: Said = {
  reason: 'ScaleUpStabilized',
  message: 'recent recommendations were lower than current one, applying the lowest recent recommendation',
};
const highest: Said = {
  reason: 'ScaleDownStabilized',
  message: 'recent recommendations were higher than current one, applying the highest recent recommendation',
};

function stabilize(
  { spec: { behavior } }: Autoscaler,
  { currentReplicas, desiredReplicas, settings, memory, nowMs }: Wish,
): { readonly replicas: number; readonly said: Said; readonly windowMs: number } {
  const within = (windowMs: number): readonly number[] => [
    desiredReplicas,
    ...memory.recommendations.filter(({ atMs }) => atMs > nowMs - windowMs).map(({ replicas }) => replicas),
  ];
  if (behavior === undefined) {
    const windowMs = settings.downscaleStabilizationMs;
    return { replicas: Math.max(...within(windowMs)), said: highest, windowMs };
  }
  const upMs = (behavior.scaleUp?.stabilizationWindowSeconds ?? 0) * 1000;
  const downSeconds = behavior.scaleDown?.stabilizationWindowSeconds;
  const downMs = downSeconds === undefined ? settings.downscaleStabilizationMs : downSeconds * 1000;
  const least = Math.min(...within(upMs));
  const most = Math.max(...within(downMs));
  const replicas = Math.min(Math.max(currentReplicas, least), most);
  const said = desiredReplicas >= currentReplicas ? lowest : highest;
  return { replicas, said, windowMs: Math.max(upMs, downMs) };
}

interface Paced {
  readonly replicas: number;
  readonly said: Said;
}

const inRange: Said = {
  reason: 'DesiredWithinRange',
  message: 'the desired count is within the acceptable range',
};
const limits = {
  up: {
    reason: 'ScaleUpLimit',
    message: 'the desired replica count is increasing faster than the maximum scale rate',
  },
  down: {
    reason: 'ScaleDownLimit',
    message: 'the desired replica count is decreasing faster than the maximum scale rate',
  },
  most: {
    reason: 'TooManyReplicas',
    message: 'the desired replica count is more than the maximum replica count',
  },
  least: {
    reason: 'TooFewReplicas',
    message: 'the desired replica count is less than the minimum replica count',
  },
} as const;

function limitPace({ spec }: Autoscaler, wish: Wish): Paced {
  const { currentReplicas, desiredReplicas, minReplicas } = wish;
  const { behavior, maxReplicas } = spec;
  const free: Paced = { replicas: desiredReplicas, said: inRange };
  const most = (limit: number): Paced => {
    const isPace = maxReplicas > limit;
    const replicas = isPace ? limit : maxReplicas;
    return desiredReplicas > replicas ? { replicas, said: isPace ? limits.up : limits.most } : free;
  };
  const least = (limit: number): Paced => {
    const isPace = minReplicas < limit;
    const replicas = isPace ? limit : minReplicas;
    return desiredReplicas < replicas ? { replicas, said: isPace ? limits.down : limits.least } : free;
  };
  if (behavior === undefined)
    return desiredReplicas < minReplicas
      ? { replicas: minReplicas, said: limits.least }
      : most(Math.max(2 * currentReplicas, freeReplicas));
  if (desiredReplicas > currentReplicas)
    return most(Math.max(currentReplicas, upLimit(behavior.scaleUp, wish)));
  if (desiredReplicas < currentReplicas)
    return least(Math.min(currentReplicas, downLimit(behavior.scaleDown, wish)));
  return free;
}

function upLimit(rules: HPAScalingRules = {}, { currentReplicas, memory, nowMs }: Wish): number {
  if (rules.selectPolicy === 'Disabled') return currentReplicas;
  const proposals = (rules.policies ?? []).map(({ type, value, periodSeconds }) => {
    const start = startOf(periodSeconds, { currentReplicas, memory, nowMs });
    // Rounded up, or a small share of a few would never be a replica.
    return type === 'Pods' ? start + value : Math.ceil(start * (1 + value / 100));
  });
  return rules.selectPolicy === 'Min' ? Math.min(...proposals) : Math.max(...proposals);
}

function downLimit(rules: HPAScalingRules = {}, { currentReplicas, memory, nowMs }: Wish): number {
  if (rules.selectPolicy === 'Disabled') return currentReplicas;
  const proposals = (rules.policies ?? []).map(({ type, value, periodSeconds }) => {
    const start = startOf(periodSeconds, { currentReplicas, memory, nowMs });
    return type === 'Pods' ? start - value : Math.trunc(start * (1 - value / 100));
  });
  return rules.selectPolicy === 'Min' ? Math.max(...proposals) : Math.min(...proposals);
}

/** How many there were when the period began: what came, and what went, since then is undone. */
function startOf(
  seconds: number,
  { currentReplicas, memory, nowMs }: Pick<Wish, 'currentReplicas' | 'memory' | 'nowMs'>,
): number {
  return currentReplicas - changedIn(memory.ups, seconds, nowMs) + changedIn(memory.downs, seconds, nowMs);
}

function changedIn(changes: readonly ScaleChange[], seconds: number, nowMs: number): number {
  return changes
    .filter(({ atMs }) => atMs > nowMs - seconds * 1000)
    .reduce((total, { count }) => total + count, 0);
}
