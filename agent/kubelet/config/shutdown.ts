/** How long pods have to end when the node goes down: shutdownGracePeriod and its like. Pure. */
import type { JsonObject } from '#api/meta/object.ts';
import { parseDurationMs } from '#api/meta/duration.ts';
import { isObject, stringOf } from '#api/wire/json.ts';

export interface ShutdownGroup {
  /** Of pods from this priority up to that of the next group. */
  readonly priority: number;
  readonly seconds: number;
}

/** By priority, the lowest first, which is the order of ending. None: a shutdown is not held back. */
export type ShutdownGroups = readonly ShutdownGroup[];

/** system-cluster-critical (scheduling.SystemCriticalPriority). */
const criticalPriority = 2_000_000_000;

/** Adds what is wrong to `problems`. */
export function readShutdown(configuration: JsonObject, problems: string[]): ShutdownGroups {
  const byPriority = configuration['shutdownGracePeriodByPodPriority'];
  const ms = (field: string): number => {
    const text = stringOf(configuration[field]);
    const value = text === '' ? 0 : parseDurationMs(text);
    if (value < 0 || (value > 0 && value < 1000))
      problems.push(`${field}: ${text} is neither 0 nor a second or more`);
    return value;
  };
  const [all, critical] = [ms('shutdownGracePeriod'), ms('shutdownGracePeriodCriticalPods')];
  if (critical > all)
    problems.push('shutdownGracePeriodCriticalPods: it is a part of shutdownGracePeriod, and not more');
  const groups = groupsOf(byPriority, problems);
  if (groups.length > 0 && all > 0)
    problems.push('shutdownGracePeriodByPodPriority: it and shutdownGracePeriod exclude each other');
  if (groups.length > 0) return groups;
  if (all === 0) return [];
  return [
    { priority: 0, seconds: Math.floor((all - critical) / 1000) },
    { priority: criticalPriority, seconds: Math.floor(critical / 1000) },
  ];
}

/** Groups at most. */
const groupsMax = 100;

function groupsOf(value: unknown, problems: string[]): ShutdownGroups {
  if (value === undefined || value === null) return [];
  const at = 'shutdownGracePeriodByPodPriority';
  if (!Array.isArray(value) || value.length > groupsMax) {
    problems.push(`${at}: a list of at most ${groupsMax} is wanted`);
    return [];
  }
  const groups = value.map((each: unknown, index): ShutdownGroup => {
    const priority = isObject(each) ? (each['priority'] ?? 0) : undefined;
    const seconds = isObject(each) ? (each['shutdownGracePeriodSeconds'] ?? 0) : undefined;
    if (typeof priority === 'number' && typeof seconds === 'number' && seconds >= 0)
      return { priority, seconds };
    problems.push(`${at}[${index}]: priority and shutdownGracePeriodSeconds are wanted`);
    return { priority: 0, seconds: 0 };
  });
  return groups.toSorted((a, b) => a.priority - b.priority);
}
