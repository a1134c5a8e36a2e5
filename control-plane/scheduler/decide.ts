import { filterPlugins, scorePlugins } from './plugins.ts';
import { scoreMax, type Normalization, type SchedulingContext, type ScorePlugin } from './plugin.ts';
import type { NodeInfo } from './snapshot.ts';

export type Decision =
  | { readonly kind: 'node'; readonly nodeName: string }
  /** `message` is for the event and the condition; `reasons` counts the nodes that each reason keeps out. */
  | {
      readonly kind: 'unschedulable';
      readonly message: string;
      readonly reasons: ReadonlyMap<string, number>;
    };

/** Where a pod should run. Equal scores go to the node first in order of names, so that a decision can be repeated. */
export function decide(context: SchedulingContext): Decision {
  const { nodes } = context.snapshot;
  const tests = filterPlugins.flatMap(({ filter }) => filter(context) ?? []);
  const reasons = new Map<string, number>();
  const feasible = nodes.filter((node) => {
    for (const test of tests) {
      const failed = test(node);
      for (const reason of failed) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
      if (failed.length > 0) return false;
    }
    return true;
  });
  const best = pickBest(context, feasible);
  return best === undefined
    ? { kind: 'unschedulable', message: renderReasons(nodes.length, reasons), reasons }
    : { kind: 'node', nodeName: best.name };
}

/** The sum of all plugins' scores, by node. Exported to be printed and tested. */
export function scoreNodes(
  context: SchedulingContext,
  nodes: readonly NodeInfo[],
): ReadonlyMap<string, number> {
  const totals = new Map(nodes.map((node) => [node.name, 0]));
  for (const plugin of scorePlugins) {
    const scores = scoresOf(plugin, context, nodes);
    for (const [name, score] of scores) totals.set(name, (totals.get(name) ?? 0) + score * plugin.weight);
  }
  return totals;
}

function pickBest(context: SchedulingContext, feasible: readonly NodeInfo[]): NodeInfo | undefined {
  if (feasible.length <= 1) return feasible[0];
  const totals = scoreNodes(context, feasible);
  const scoreOf = (node: NodeInfo): number => totals.get(node.name) ?? 0;
  return feasible.reduce((best, node) => {
    const difference = scoreOf(node) - scoreOf(best);
    return difference > 0 || (difference === 0 && node.name < best.name) ? node : best;
  });
}

function scoresOf(
  plugin: ScorePlugin,
  context: SchedulingContext,
  nodes: readonly NodeInfo[],
): readonly (readonly [string, number])[] {
  const score = plugin.score(context);
  if (score === undefined) return [];
  const raw = nodes.map((node) => [node.name, score(node)] as const);
  return normalize(plugin.normalization, raw);
}

function normalize(
  how: Normalization,
  raw: readonly (readonly [string, number])[],
): readonly (readonly [string, number])[] {
  const highest = Math.max(...raw.map(([, score]) => score));
  const lowest = Math.min(0, ...raw.map(([, score]) => score)); // Preferences may be against a node.
  const range = highest - lowest;
  switch (how) {
    case 'none':
      return raw;
    case 'proportional':
      return range === 0 ? [] : raw.map(([name, score]) => [name, ((score - lowest) * scoreMax) / range]);
    case 'reversed':
      return range === 0 ? [] : raw.map(([name, score]) => [name, ((highest - score) * scoreMax) / range]);
  }
}

/** `0/2 nodes are available: 1 Insufficient cpu, 1 node(s) were unschedulable.` as kube-scheduler says it. */
function renderReasons(nodeCount: number, reasons: ReadonlyMap<string, number>): string {
  if (nodeCount === 0) return 'no nodes available to schedule pods';
  const counted = [...reasons].map(([reason, count]) => `${count} ${reason}`).toSorted();
  return `0/${nodeCount} nodes are available: ${counted.join(', ')}.`;
}
