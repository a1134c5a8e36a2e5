import type { Pod } from '#api/generated/objects.ts';
import { isPodReady } from '#api/pod/state.ts';
import { groupPods, type PodGroups, type PodSample } from './pod-groups.ts';
import { requestedMilli } from './requested.ts';
import type { AutoscalerSettings } from './settings.ts';

/*
 * How many replicas a metric calls for (pkg/controller/podautoscaler/replica_calculator.go). All amounts are thousandths of the unit.
 */

/** Within which shares of 1 a ratio is as good as 1. */
export interface Tolerances {
  readonly up: number;
  readonly down: number;
}

export interface Surroundings {
  /** All that the target's selector selects. */
  readonly pods: readonly Pod[];
  readonly specReplicas: number;
  readonly statusReplicas: number;
  readonly tolerances: Tolerances;
  readonly settings: AutoscalerSettings;
  readonly nowMs: number;
}

/** A text says why nothing can be said. */
export type Count = { readonly replicas: number; readonly current: Current } | string;

/** What is used now. */
export interface Current {
  /** Percent of what is requested. */
  readonly utilization?: number;
  /** Of a pod. */
  readonly average?: number;
  readonly value?: number;
}

const replicasMax = 2 ** 31 - 1;
const noPods = 'no pods returned by selector while calculating replica count';
const noSamples = 'did not receive metrics for targeted pods (pods might be unready)';
const noMatch = 'no metrics returned matched known pods';

/** By share of what pods request. */
export function countByUtilization(
  samples: ReadonlyMap<string, PodSample>,
  asked: {
    readonly percent: number;
    readonly resource: string;
    readonly container: string | undefined;
  },
  around: Surroundings,
): Count {
  const { percent, resource, container } = asked;
  const groups = groupsOf(samples, resource === 'cpu', around);
  if (typeof groups === 'string') return groups;
  const requests = new Map<string, number>();
  for (const pod of around.pods) {
    const request = requestedMilli(pod, resource, container);
    if (typeof request === 'string') return request;
    requests.set(pod.metadata?.name ?? '', request);
  }
  const measure = (used: ReadonlyMap<string, number>): Measured | undefined => {
    const requested = sum([...used.keys()].map((name) => requests.get(name) ?? 0));
    if (requested === 0) return undefined;
    const utilization = Math.trunc((sum(used.values()) * 100) / requested);
    const average = Math.trunc(sum(used.values()) / used.size);
    return { ratio: utilization / percent, current: { utilization, average } };
  };
  // Whoever is not known is taken to use all that it requests, or the target where that is more.
  const whole = (name: string): number =>
    Math.trunc(((requests.get(name) ?? 0) * Math.max(100, percent)) / 100);
  return countPods(groups, { measure, whole }, around);
}

/** By the average of pods. */
export function countByAverage(
  samples: ReadonlyMap<string, PodSample>,
  asked: { readonly milli: number; readonly isCpu: boolean },
  around: Surroundings,
): Count {
  const groups = groupsOf(samples, asked.isCpu, around);
  if (typeof groups === 'string') return groups;
  const measure = (used: ReadonlyMap<string, number>): Measured => {
    const average = Math.trunc(sum(used.values()) / used.size);
    return { ratio: average / asked.milli, current: { average } };
  };
  return countPods(groups, { measure, whole: () => asked.milli }, around);
}

/** By one number for all pods, which more of them make smaller. */
export function countByValue(value: number, target: number, around: Surroundings): Count {
  const { specReplicas, pods, tolerances } = around;
  const ratio = value / target;
  const current = { value };
  if (specReplicas === 0) return { replicas: ceil(ratio), current };
  if (isWithin(tolerances, ratio)) return { replicas: specReplicas, current };
  if (pods.length === 0) return `unable to calculate ready pods: ${noPods}`;
  const ready = pods.filter((pod) => pod.status?.phase === 'Running' && isPodReady(pod)).length;
  return { replicas: ceil(ratio * ready), current };
}

/** By one number that all pods share. */
export function countByShare(value: number, target: number, around: Surroundings): Count {
  const { statusReplicas, tolerances } = around;
  const ratio = value / (target * statusReplicas);
  const replicas = isWithin(tolerances, ratio) ? statusReplicas : ceil(value / target);
  // Of no pods there is no average; what is there is told whole.
  return { replicas, current: { average: Math.ceil(value / Math.max(1, statusReplicas)) } };
}

interface Measured {
  /** Of what is used to what is wanted. */
  readonly ratio: number;
  readonly current: Current;
}

function groupsOf(
  samples: ReadonlyMap<string, PodSample>,
  isCpu: boolean,
  { pods, settings, nowMs }: Surroundings,
): PodGroups | string {
  if (pods.length === 0) return noPods;
  const groups = groupPods(pods, { samples, isCpu, settings, nowMs });
  if (groups.used.size > 0) return groups;
  const known = new Set(pods.map(({ metadata }) => metadata?.name ?? ''));
  return [...samples.keys()].every((name) => known.has(name)) ? noSamples : noMatch;
}

/** What is not known may hold back a change, and never makes one, nor turns it round. */
function countPods(
  { used, unready, missing }: PodGroups,
  how: {
    readonly measure: (used: ReadonlyMap<string, number>) => Measured | undefined;
    readonly whole: (name: string) => number;
  },
  { specReplicas, tolerances }: Surroundings,
): Count {
  const first = how.measure(used);
  if (first === undefined) return noMatch;
  const { ratio, current } = first;
  const unchanged = { replicas: specReplicas, current };
  const countsUnready = unready.size > 0 && ratio > 1;
  if (!countsUnready && missing.size === 0)
    return isWithin(tolerances, ratio) ? unchanged : { replicas: ceil(ratio * used.size), current };
  const all = new Map(used);
  if (ratio !== 1) for (const name of missing) all.set(name, ratio < 1 ? how.whole(name) : 0);
  if (countsUnready) for (const name of unready) all.set(name, 0);
  const again = how.measure(all)?.ratio ?? 1;
  const isTurned = (ratio < 1 && again > 1) || (ratio > 1 && again < 1);
  if (isWithin(tolerances, again) || isTurned) return unchanged;
  const replicas = ceil(again * all.size);
  const isBackwards = (again < 1 && replicas > specReplicas) || (again > 1 && replicas < specReplicas);
  return isBackwards ? unchanged : { replicas, current };
}

function isWithin({ up, down }: Tolerances, ratio: number): boolean {
  return 1 - down <= ratio && ratio <= 1 + up;
}

function ceil(replicas: number): number {
  return Math.min(replicasMax, Math.ceil(replicas));
}

function sum(numbers: Iterable<number>): number {
  let total = 0;
  for (const number of numbers) total += number;
  return total;
}
