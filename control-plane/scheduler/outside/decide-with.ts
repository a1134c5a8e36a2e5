import { describeError, PodwrightError } from '#base/errors.ts';
import {
  pickBest,
  searchNodes,
  tallyRefusal,
  unschedulable,
  type Decision,
  type Tally,
} from '#control-plane/scheduler/decide.ts';
import type { SchedulingContext } from '#control-plane/scheduler/plugin.ts';
import type { NodeInfo } from '#control-plane/scheduler/snapshot.ts';
import type { Outsider } from './outsider.ts';

/** The name by which outsiders refuse: no hint is theirs, so that anything may help whom they refused. */
export const outsiderName = 'Extender';

export interface Asked {
  /** Those who are interested in the pod, in order. */
  readonly outsiders: readonly Outsider[];
  /** One did not answer, and is done without. */
  readonly onError: (outsider: Outsider, error: unknown) => void;
}

/**
 * As `decide`, with what outsiders say of the nodes that the plugins let pass.
 * @throws {E_CONNECTION} when one did not answer that is not ignorable
 */
export async function decideWith(context: SchedulingContext, start: number, asked: Asked): Promise<Decision> {
  let search = searchNodes(context, start);
  if (search.kind === 'unschedulable') return search;
  let feasible = await passed(context, search, asked);
  if (search.isNominated && feasible.length === 0) {
    search = searchNodes(context, start, false);
    if (search.kind === 'unschedulable') return search;
    feasible = await passed(context, search, asked);
  }
  const more = feasible.length > 1 ? await preferences(context, feasible, asked) : undefined;
  const best = pickBest(context, feasible, { more });
  return best === undefined
    ? unschedulable(search)
    : { kind: 'node', nodeName: best.name, examined: search.examined };
}

async function passed(
  { pod }: SchedulingContext,
  { feasible, tally }: { readonly feasible: readonly NodeInfo[]; readonly tally: Tally },
  { outsiders, onError }: Asked,
): Promise<readonly NodeInfo[]> {
  let left = feasible;
  for (const outsider of outsiders) {
    if (left.length === 0 || outsider.filter === undefined) continue;
    try {
      const answer = await outsider.filter(pod, left);
      for (const node of left) {
        if (answer.passed.has(node.name)) continue;
        const why = answer.refused.get(node.name);
        tallyRefusal(tally, node, {
          by: outsiderName,
          reasons: why === undefined ? [] : [why.reason],
          // One that it says nothing of is not said to be better without some pods (absent from NodeToStatus).
          isHelpedByEviction: why?.isHelpedByEviction ?? false,
        });
      }
      left = left.filter(({ name }) => answer.passed.has(name));
    } catch (error) {
      if (!outsider.isIgnorable)
        throw new PodwrightError('E_CONNECTION', `ask ${outsider.name}: ${describeError(error)}`, {
          cause: error,
        });
      onError(outsider, error);
    }
  }
  return left;
}

/** Who does not answer has no preference (as upstream, ignorable or not). */
async function preferences(
  { pod }: SchedulingContext,
  nodes: readonly NodeInfo[],
  { outsiders, onError }: Asked,
): Promise<Float64Array> {
  const totals = new Float64Array(nodes.length);
  const told = await Promise.all(
    outsiders.map(async (outsider) => {
      try {
        return await outsider.prioritize?.(pod, nodes);
      } catch (error) {
        onError(outsider, error);
        return undefined;
      }
    }),
  );
  for (const scores of told)
    for (const [index, { name }] of nodes.entries())
      totals[index] = (totals[index] ?? 0) + (scores?.get(name) ?? 0);
  return totals;
}
