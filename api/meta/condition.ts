import { formatTime } from './time.ts';

/** What conditions of all kinds have in common. */
export interface AnyCondition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string | undefined;
  readonly message?: string | undefined;
  readonly lastTransitionTime?: string | undefined;
}

/** The condition of a type, or undefined. */
export function findCondition<C extends AnyCondition>(
  conditions: readonly C[] | undefined,
  type: string,
): C | undefined {
  return conditions?.find((condition) => condition.type === type);
}

/** Whether the condition of that type is `True`. */
export function isConditionTrue(conditions: readonly AnyCondition[] | undefined, type: string): boolean {
  return findCondition(conditions, type)?.status === 'True';
}

/**
 * The conditions with one set: in its place when the type is there already, else at the end. lastTransitionTime is `now`
 * (milliseconds) when the status changes, and kept otherwise.
 */
export function withCondition<C extends AnyCondition>(
  conditions: readonly C[] | undefined,
  condition: C,
  now: number,
): readonly C[] {
  const known = findCondition(conditions, condition.type);
  const lastTransitionTime =
    known?.status === condition.status ? (known.lastTransitionTime ?? formatTime(now)) : formatTime(now);
  const next = { ...condition, lastTransitionTime };
  return known === undefined
    ? [...(conditions ?? []), next]
    : (conditions ?? []).map((old) => (old === known ? next : old));
}

/** The conditions without those of the type. */
export function withoutCondition<C extends AnyCondition>(
  conditions: readonly C[] | undefined,
  type: string,
): readonly C[] {
  return (conditions ?? []).filter((condition) => condition.type !== type);
}
