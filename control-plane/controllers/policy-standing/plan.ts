import type { AnyCondition } from '#api/meta/condition.ts';
import { withCondition } from '#api/meta/condition.ts';
import type { KubeObject } from '#api/meta/object.ts';
import type { PolicyStanding } from '#api/network/policy-standing.ts';
import { at, isObject, listOf, stringOf } from '#api/wire/json.ts';

/** metav1.Condition; the API of these policies has the list, and names no type of it. */
interface Condition extends AnyCondition {
  readonly observedGeneration?: number | undefined;
}

export interface StandingInput {
  readonly policy: KubeObject;
  /** By the names of nodes. */
  readonly said: ReadonlyMap<string, PolicyStanding>;
  readonly nodes: readonly string[];
  readonly now: number;
}

/** Of those that are named one by one. */
const namesMax = 10;
/** Of a message. */
const lengthMax = 4_000;

/**
 * The policy's conditions, types as the Gateway API has them: `Accepted`, whether all of it is understood, and `Programmed`, whether it
 * is in force on all nodes as it is now. What others say of it stays.
 */
export function planConditions({ policy, said, nodes, now }: StandingInput): readonly Condition[] {
  const { uid = '', generation = 0 } = policy.metadata ?? {};
  const current = nodes.flatMap((node) => {
    const one = said.get(node);
    return one?.uid === uid && one.generation === generation ? [{ node, problem: one.problem }] : [];
  });
  const before = listOf(at(policy, 'status.conditions')).flatMap(conditionOf);
  const having = new Set(current.map(({ node }) => node));
  const missing = nodes.filter((node) => !having.has(node)).toSorted();
  const programmed = withCondition(
    before,
    { ...programmedOf(nodes.length, missing), observedGeneration: generation },
    now,
  );
  // Until somebody has read it as it is now, nobody knows.
  if (current.length === 0) return programmed;
  return withCondition(programmed, { ...acceptedOf(current), observedGeneration: generation }, now);
}

function programmedOf(count: number, missing: readonly string[]): Condition {
  const type = 'Programmed';
  if (count > 0 && missing.length === 0)
    return { type, status: 'True', reason: 'Programmed', message: `in force on ${nodesWord(count)}` };
  const message = `in force on ${count - missing.length} of ${nodesWord(count)}, not on ${named(missing)}`;
  return {
    ...{ type, status: 'False', reason: 'Pending' },
    message: count === 0 ? 'there are no nodes' : message,
  };
}

function acceptedOf(current: readonly { readonly node: string; readonly problem: string | undefined }[]) {
  const type = 'Accepted';
  const byProblem = Map.groupBy(current, ({ problem }) => problem);
  const problems = [...byProblem].flatMap(([problem, on]) => {
    if (problem === undefined) return [];
    const isAll = on.length === current.length;
    return isAll ? [problem] : [`${problem} (on ${named(on.map(({ node }) => node).toSorted())})`];
  });
  if (problems.length === 0)
    return { type, status: 'True', reason: 'Accepted', message: 'all of it is understood' };
  const message = problems.toSorted().join('; ').slice(0, lengthMax);
  return { type, status: 'False', reason: 'PartlyInForce', message };
}

const nodesWord = (count: number): string => (count === 1 ? '1 node' : `${count} nodes`);

function named(nodes: readonly string[]): string {
  const more = nodes.length - namesMax;
  return `${nodes.slice(0, namesMax).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

function conditionOf(value: unknown): readonly Condition[] {
  if (!isObject(value) || stringOf(value['type']) === '') return [];
  return [{ ...value, type: stringOf(value['type']), status: stringOf(value['status']) }];
}
