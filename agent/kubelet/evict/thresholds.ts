/** When a node is short of something, by KubeletConfiguration (Kubernetes, "Node-pressure Eviction"). Pure. */
import { parseDurationMs } from '#api/meta/duration.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { quantityToInteger, tryParseQuantity } from '#api/meta/quantity.ts';
import { isObject } from '#api/wire/json.ts';

export const signals = [
  'memory.available',
  /** Of what all pods together may have (enforceNodeAllocatable). */
  'allocatableMemory.available',
  'nodefs.available',
  'nodefs.inodesFree',
  'imagefs.available',
  'imagefs.inodesFree',
  'containerfs.available',
  'containerfs.inodesFree',
  'pid.available',
] as const;
export type Signal = (typeof signals)[number];

/** An amount, or a part of all that there is. */
export type ThresholdValue = { readonly amount: number } | { readonly fraction: number };

export interface Threshold {
  readonly signal: Signal;
  readonly value: ThresholdValue;
  /** How long it may be short before a pod goes; 0: of a hard threshold. */
  readonly graceMs: number;
  readonly isHard: boolean;
  /** So much more than the threshold has to be there again. */
  readonly reclaim: ThresholdValue | undefined;
}

export interface EvictionSettings {
  readonly thresholds: readonly Threshold[];
  /** A condition stays for so long after what it says was last so. */
  readonly transitionMs: number;
  /** Of pods that go for a soft threshold, at most. */
  readonly podGraceSecondsMax: number;
}

/** The kubelet's, and 5% of process ids. */
const defaultHard: Readonly<Record<string, string>> = {
  'memory.available': '100Mi',
  'nodefs.available': '10%',
  'nodefs.inodesFree': '5%',
  'imagefs.available': '15%',
  'imagefs.inodesFree': '5%',
  'pid.available': '5%',
};

export const defaultEviction: EvictionSettings = readEviction({}, [], true);

/**
 * Of a configuration whose fields have their shapes; what is wrong is added to `problems`. Where pods have a limit together, they keep as much
 * below it as the node is to keep (addAllocatableThresholds of the kubelet).
 */
export function readEviction(
  configuration: JsonObject,
  problems: string[],
  arePodsLimited: boolean,
): EvictionSettings {
  const given = textsOf(configuration['evictionHard']);
  const isMerged = configuration['mergeDefaultEvictionSettings'] === true;
  const hard = given === undefined ? defaultHard : isMerged ? { ...defaultHard, ...given } : given;
  const soft = textsOf(configuration['evictionSoft']) ?? {};
  const graces = textsOf(configuration['evictionSoftGracePeriod']) ?? {};
  const reclaims = textsOf(configuration['evictionMinimumReclaim']) ?? {};
  for (const signal of Object.keys(soft))
    if (graces[signal] === undefined)
      problems.push(`evictionSoft.${signal}: evictionSoftGracePeriod says for how long it may be so`);
  for (const signal of Object.keys(graces))
    if (soft[signal] === undefined)
      problems.push(`evictionSoftGracePeriod.${signal}: evictionSoft has no such signal`);
  const read = (
    at: string,
    amounts: Readonly<Record<string, string>>,
    isHard: boolean,
  ): readonly Threshold[] =>
    Object.entries(amounts).flatMap(([name, text]) => {
      const signal = signalOf(name, at, problems);
      const value = valueOf(text, `${at}.${name}`, problems);
      if (signal === undefined || value === undefined) return [];
      const reclaim = reclaims[name];
      return {
        signal,
        value,
        isHard,
        graceMs: isHard ? 0 : graceOf(graces[name], name, problems),
        reclaim:
          reclaim === undefined ? undefined : valueOf(reclaim, `evictionMinimumReclaim.${name}`, problems),
      };
    });
  for (const name of Object.keys(reclaims)) signalOf(name, 'evictionMinimumReclaim', problems);
  const transition = configuration['evictionPressureTransitionPeriod'];
  const grace = configuration['evictionMaxPodGracePeriod'];
  const transitionMs = typeof transition === 'string' ? parseDurationMs(transition) : 0;
  return {
    thresholds: [
      ...read('evictionHard', hard, true).flatMap((threshold) =>
        arePodsLimited && threshold.signal === 'memory.available'
          ? [threshold, { ...threshold, signal: 'allocatableMemory.available' } as const]
          : [threshold],
      ),
      ...read('evictionSoft', soft, false),
    ],
    transitionMs: transitionMs <= 0 ? 300_000 : transitionMs,
    podGraceSecondsMax: typeof grace === 'number' && grace > 0 ? grace : 0,
  };
}

/** Whether there is less of it than the threshold, or less than is to be there again where it was `short` before. */
export function isShort(
  { value, reclaim }: Threshold,
  { available, capacity }: { readonly available: number; readonly capacity: number },
  wasShort: boolean,
): boolean {
  const least = amountOf(value, capacity);
  if (least <= 0) return false;
  return available < least + (wasShort && reclaim !== undefined ? amountOf(reclaim, capacity) : 0);
}

export function amountOf(value: ThresholdValue, capacity: number): number {
  return 'amount' in value ? value.amount : Math.floor(capacity * value.fraction);
}

/** What of a capacity the hard thresholds keep, which no pod is promised. */
export function keptOf({ thresholds }: EvictionSettings, signal: Signal, capacity: number): number {
  const hard = thresholds.find((threshold) => threshold.isHard && threshold.signal === signal);
  return hard === undefined ? 0 : amountOf(hard.value, capacity);
}

/** Of the node, or of all pods together. */
export function isOfMemory(signal: Signal): boolean {
  return signal === 'memory.available' || signal === 'allocatableMemory.available';
}

function signalOf(name: string, at: string, problems: string[]): Signal | undefined {
  const signal = signals.find((known) => known === name);
  if (signal === undefined) problems.push(`${at}.${name}: the signals are ${signals.join(', ')}`);
  return signal;
}

function valueOf(text: string, at: string, problems: string[]): ThresholdValue | undefined {
  const [, percent] = /^(\d+(?:\.\d+)?)%$/.exec(text) ?? [];
  if (percent !== undefined && Number(percent) <= 100) return { fraction: Number(percent) / 100 };
  const quantity = tryParseQuantity(text);
  const amount = quantity === undefined ? -1 : quantityToInteger(quantity);
  if (amount >= 0) return { amount };
  problems.push(`${at}: ${text} is neither an amount nor a part of all, as 10%`);
  return undefined;
}

function graceOf(text: string | undefined, name: string, problems: string[]): number {
  try {
    return text === undefined ? 0 : parseDurationMs(text);
  } catch {
    problems.push(`evictionSoftGracePeriod.${name}: ${text} is no duration`);
    return 0;
  }
}

function textsOf(value: unknown): Readonly<Record<string, string>> | undefined {
  return isObject(value)
    ? Object.fromEntries(Object.entries(value).map(([name, text]) => [name, String(text)]))
    : undefined;
}
