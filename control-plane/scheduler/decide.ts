import { fitOf } from './fit.ts';
import { defaultProfile } from './profile.ts';
import {
  scoreMax,
  type Normalization,
  type Profile,
  type SchedulingContext,
  type ScorePlugin,
} from './plugin.ts';
import type { NodeInfo } from './snapshot.ts';
import type { Refusal } from './template-memory.ts';

export type Decision = (
  | { readonly kind: 'node'; readonly nodeName: string }
  /** `message` is for the event and the condition; `reasons` counts the nodes that each reason keeps out. */
  | {
      readonly kind: 'unschedulable';
      readonly message: string;
      readonly reasons: ReadonlyMap<string, number>;
      /** Names of the filter plugins that kept nodes out: what they wait for may help. */
      readonly refusedBy: ReadonlySet<string>;
      /** Of all nodes: how many there are, and those that might do once pods are gone from them. */
      readonly nodeCount: number;
      readonly helpedByEviction: readonly NodeInfo[];
      /** The plugin that refused the pod before any node was looked at. */
      readonly refusedBefore?: string;
    }
) & { /** Nodes that were looked at. */ readonly examined: number };

/** As kube-scheduler's minFeasibleNodesToFind and minFeasibleNodesPercentageToFind. */
const feasibleMin = 100;
const feasiblePercentMin = 5;

/**
 * How many possible nodes are compared: all of up to 100, then a share that falls from half to a twentieth as the cluster grows, but 100
 * at least. Source: kube-scheduler numFeasibleNodesToFind, percentageOfNodesToScore, which is 0 by default.
 */
export function feasibleWanted(nodeCount: number, percentage = 0): number {
  if (nodeCount < feasibleMin || percentage >= 100) return nodeCount;
  const percent = percentage || Math.max(feasiblePercentMin, 50 - Math.floor(nodeCount / 125));
  return Math.max(feasibleMin, Math.floor((nodeCount * percent) / 100));
}

type Unschedulable = Extract<Decision, { kind: 'unschedulable' }>;

/** Why nodes were refused so far. */
export interface Tally {
  readonly nodeCount: number;
  readonly reasons: Map<string, number>;
  readonly refusedBy: Set<string>;
  readonly helpedByEviction: NodeInfo[];
}

/** The possible nodes, perhaps none, or why there is none whichever it is. */
export type Search =
  | {
      readonly kind: 'searched';
      readonly feasible: readonly NodeInfo[];
      /** Where they are in the list of all nodes; undefined: they were not looked for there. */
      readonly places?: readonly number[] | undefined;
      readonly tally: Tally;
      readonly examined: number;
      /** It is the node that others were told to go from, which need not be compared. */
      readonly isNominated: boolean;
    }
  | Unschedulable;

/**
 * Where a pod should run. Nodes are looked at from `start` on, around, until enough are possible. Equal scores go to the node first in
 * order of names, so that a decision can be repeated.
 */
export function decide(context: SchedulingContext, start = 0): Decision {
  const search = searchNodes(context, start);
  if (search.kind === 'unschedulable') return search;
  const best = pickBest(context, search.feasible, { places: search.places });
  return best === undefined
    ? unschedulable(search)
    : { kind: 'node', nodeName: best.name, examined: search.examined };
}

/** Which nodes are possible. `hasNominated`: the node that the pod waits for is looked at alone first. */
export function searchNodes(context: SchedulingContext, start: number, hasNominated = true): Search {
  const { profile = defaultProfile, timer } = context;
  const since = timer?.now() ?? 0;
  const refused = refusedByAll(context, profile);
  timer?.ran('PreFilter', refused === undefined ? 'Success' : 'UnschedulableAndUnresolvable', since);
  if (refused !== undefined) return refused;
  const filtersSince = timer?.now() ?? 0;
  const search = filterNodes(context, { start, profile, hasNominated });
  timer?.ran('Filter', search.feasible.length > 0 ? 'Success' : 'Unschedulable', filtersSince);
  return search;
}

function filterNodes(
  context: SchedulingContext,
  {
    start,
    profile,
    hasNominated,
  }: { readonly start: number; readonly profile: Profile; readonly hasNominated: boolean },
): Extract<Search, { kind: 'searched' }> {
  const { all, nodes, left } = nodesFor(context, profile);
  const fit = fitOf(context);
  const tally: Tally = {
    ...{ nodeCount: all.length, reasons: new Map(), refusedBy: new Set(), helpedByEviction: [] },
  };
  const nominated = hasNominated ? nominatedNode(context) : undefined;
  if (nominated !== undefined && fit(nominated) === undefined)
    return { kind: 'searched', feasible: [nominated], tally, examined: 0, isNominated: true };
  if (left !== undefined && left.count > 0) {
    for (const name of left.by) tally.refusedBy.add(name);
    tally.reasons.set(`node(s) didn't satisfy plugin(s) [${left.by.join(' ')}]`, left.count);
  }
  const isOfAll = nodes === all;
  const feasible: NodeInfo[] = [];
  const places: number[] = [];
  const wanted = feasibleWanted(nodes.length, profile.percentageOfNodesToScore);
  let examined = 0;
  for (; examined < nodes.length && feasible.length < wanted; examined++) {
    const place = (start + examined) % nodes.length;
    const node = nodes[place];
    if (node === undefined) continue;
    const refusal = fit(node, isOfAll ? place : undefined);
    if (refusal !== undefined) tallyRefusal(tally, node, refusal);
    else {
      feasible.push(node);
      places.push(place);
    }
  }
  const found = { feasible, places: isOfAll ? places : undefined };
  return { kind: 'searched', ...found, tally, examined, isNominated: false };
}

/** Counts a node that does not do. */
export function tallyRefusal(
  { reasons, refusedBy, helpedByEviction }: Tally,
  node: NodeInfo,
  { reasons: its, by, isHelpedByEviction }: Refusal,
): void {
  for (const reason of its) reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  refusedBy.add(by);
  if (isHelpedByEviction) helpedByEviction.push(node);
}

/** No node did. */
export function unschedulable({
  tally,
  examined,
}: {
  readonly tally: Tally;
  readonly examined: number;
}): Unschedulable {
  return {
    kind: 'unschedulable',
    message: renderReasons(tally.nodeCount, tally.reasons),
    ...tally,
    examined,
  };
}

/** Where others were told to go for it: it is looked at before all others. */
function nominatedNode({ pod, snapshot }: SchedulingContext): NodeInfo | undefined {
  const name = pod.status?.nominatedNodeName ?? '';
  if (name === '') return undefined;
  return snapshot.nodeNamed === undefined
    ? snapshot.nodes.find((node) => node.name === name)
    : snapshot.nodeNamed(name);
}

/** What keeps a pod from every node is said once, and not counted. */
function refusedByAll(context: SchedulingContext, { preFilters }: Profile): Unschedulable | undefined {
  const count = context.snapshot.nodes.length;
  if (count === 0) return undefined;
  for (const { name, refuseAll } of preFilters) {
    const why = refuseAll?.(context);
    if (why === undefined) continue;
    const message = `0/${count} nodes are available: ${why}.`;
    const reasons = new Map([[why, count]]);
    const refused = { refusedBy: new Set([name]), refusedBefore: name, helpedByEviction: [] };
    return { kind: 'unschedulable', message, reasons, ...refused, nodeCount: count, examined: 0 };
  }
  return undefined;
}

/** The nodes to look at: all of them, or those that the pod names. Of the others, how many there are, and by which plugins. */
function nodesFor(
  { pod, snapshot }: SchedulingContext,
  { preFilters }: Profile,
): {
  readonly all: readonly NodeInfo[];
  readonly nodes: readonly NodeInfo[];
  readonly left?: { readonly count: number; readonly by: readonly string[] };
} {
  const all = snapshot.nodes;
  const named = preFilters.flatMap(({ name, onlyNodes }) => {
    const names = onlyNodes?.(pod);
    return names === undefined ? [] : [{ name, names }];
  });
  const [first, ...more] = named;
  if (first === undefined) return { all, nodes: all };
  const find = snapshot.nodeNamed ?? ((name: string) => all.find((node) => node.name === name));
  const nodes = [...first.names]
    .filter((name) => more.every(({ names }) => names.has(name)))
    .flatMap((name) => find(name) ?? []);
  return { all, nodes, left: { count: all.length - nodes.length, by: named.map(({ name }) => name) } };
}

/** The sum of all plugins' scores, in the order of the nodes. Of hundreds of nodes for each pod: loops by index, and no list for each. */
export function scoreNodes(
  context: SchedulingContext,
  nodes: readonly NodeInfo[],
  places: readonly number[] | undefined,
): Float64Array {
  const { profile = defaultProfile, memory } = context;
  const totals = new Float64Array(nodes.length);
  const raw = new Float64Array(nodes.length);
  const steady = (): readonly (((node: NodeInfo) => number) | undefined)[] =>
    profile.scores.flatMap((one) => (one.isSteady === true ? [one.score(context, nodes)] : []));
  const known = places === undefined ? undefined : memory?.answers.columns(places, nodes, steady);
  let column = 0;
  for (const { score, weight, normalization, isSteady } of profile.scores) {
    if (isSteady === true && known !== undefined && places !== undefined) {
      const numbers = known[column++];
      if (numbers === undefined) continue; // Nobody is better for 0, however it is normalised.
      for (let index = 0; index < raw.length; index++) raw[index] = numbers[places[index] ?? 0] ?? 0;
    } else {
      const scoreOf = score(context, nodes);
      if (scoreOf === undefined) continue;
      let index = 0;
      for (const node of nodes) raw[index++] = scoreOf(node);
    }
    addNormalized(totals, raw, { normalization, weight });
  }
  return totals;
}

/**
 * The best of the possible nodes; undefined: there is none. `more` is added to what the plugins say, in the order of the nodes, and `places` are
 * where they are in the list of all.
 */
export function pickBest(
  context: SchedulingContext,
  feasible: readonly NodeInfo[],
  {
    more,
    places,
  }: { readonly more?: Float64Array | undefined; readonly places?: readonly number[] | undefined },
): NodeInfo | undefined {
  if (feasible.length <= 1) return feasible[0];
  const since = context.timer?.now() ?? 0;
  const totals = scoreNodes(context, feasible, places);
  context.timer?.ran('Score', 'Success', since);
  let [best] = feasible;
  let bestTotal = -Infinity;
  let index = 0;
  for (const node of feasible) {
    const total = (totals[index] ?? 0) + (more?.[index] ?? 0);
    index++;
    if (total < bestTotal || (total === bestTotal && node.name >= (best?.name ?? ''))) continue;
    best = node;
    bestTotal = total;
  }
  return best;
}

/** Adds what a plugin says of the nodes to their totals. */
function addNormalized(
  totals: Float64Array,
  raw: Float64Array,
  { normalization, weight }: Pick<ScorePlugin, 'normalization' | 'weight'>,
): void {
  if (normalization === 'none') {
    for (let index = 0; index < raw.length; index++)
      totals[index] = (totals[index] ?? 0) + (raw[index] ?? 0) * weight;
    return;
  }
  const isFromLowest = normalization === 'range' || normalization === 'spread';
  let lowest = isFromLowest ? Infinity : 0; // Preferences may be against a node.
  let highest = -Infinity;
  let hasNone = false;
  for (let index = 0; index < raw.length; index++) {
    const score = raw[index] ?? 0;
    if (score < lowest) lowest = score; // NaN is neither.
    if (score > highest) highest = score;
    if (Number.isNaN(score)) hasNone = true;
  }
  // Where all are alike nobody is better, but for those of which nothing is known.
  if ((highest === lowest && !hasNone) || highest === -Infinity) return;
  for (let index = 0; index < raw.length; index++) {
    const score = raw[index] ?? 0;
    totals[index] = (totals[index] ?? 0) + normalized(normalization, score, { lowest, highest }) * weight;
  }
}

function normalized(
  how: Exclude<Normalization, 'none'>,
  score: number,
  { lowest, highest }: { readonly lowest: number; readonly highest: number },
): number {
  switch (how) {
    case 'proportional':
    case 'range':
      return ((score - lowest) * scoreMax) / (highest - lowest);
    case 'reversed':
      return ((highest - score) * scoreMax) / (highest - lowest);
    case 'spread':
      if (Number.isNaN(score)) return 0;
      return highest === 0 ? scoreMax : ((highest + lowest - score) * scoreMax) / highest;
  }
}

/** `0/2 nodes are available: 1 Insufficient cpu, 1 node(s) were unschedulable.` as kube-scheduler says it. */
export function renderReasons(nodeCount: number, reasons: ReadonlyMap<string, number>): string {
  if (nodeCount === 0) return 'no nodes available to schedule pods';
  const counted = [...reasons].map(([reason, count]) => `${count} ${reason}`).toSorted();
  return `0/${nodeCount} nodes are available: ${counted.join(', ')}.`;
}
