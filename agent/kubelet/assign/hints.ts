/** What is near what: hints of NUMA nodes, and what several of them agree on (KEP-693). Pure. */
import type { NumaNode } from './machine-topology.ts';

/** NUMA nodes as bits of their numbers. */
export type NodeMask = number;

/** Nodes at most whose subsets are walked through; a mask has no more bits. */
export const nodesMax = 16;

export interface Hint {
  /** Undefined: any. */
  readonly nodes: NodeMask | undefined;
  /** As few nodes as would do if nothing were taken. */
  readonly isPreferred: boolean;
}

/** Of one resource: undefined for no opinion, none for nothing that would do. */
export type Hints = readonly Hint[] | undefined;

export type TopologyPolicy = 'none' | 'best-effort' | 'restricted' | 'single-numa-node';

export interface TopologyRules {
  readonly policy: TopologyPolicy;
  readonly nodes: readonly Pick<NumaNode, 'id' | 'distances'>[];
  /** prefer-closest-numa-nodes: of as many nodes, those nearest to each other. */
  readonly isClosest: boolean;
}

export interface Merged {
  readonly hint: Hint;
  readonly isAdmitted: boolean;
}

export function maskOf(ids: Iterable<number>): NodeMask {
  let mask = 0;
  for (const id of ids) mask |= 1 << id;
  return mask;
}

export function nodesIn(mask: NodeMask): readonly number[] {
  return Array.from({ length: 31 }, (_, id) => id).filter((id) => (mask & (1 << id)) !== 0);
}

export function countOf(mask: NodeMask): number {
  let count = 0;
  for (let rest = mask; rest !== 0; rest &= rest - 1) count++;
  return count;
}

/** Every subset that is not empty, the smaller ones first. */
export function subsetsOf(ids: readonly number[]): readonly NodeMask[] {
  const all = Array.from({ length: 2 ** ids.length - 1 }, (_, index) =>
    maskOf(ids.filter((_id, bit) => ((index + 1) & (1 << bit)) !== 0)),
  );
  return all.toSorted((a, b) => countOf(a) - countOf(b) || a - b);
}

/** One answer for all resources: where what they ask for lies together best, and whether the policy takes that. */
export function mergeHints(resources: readonly Hints[], rules: TopologyRules): Merged {
  const every = maskOf(rules.nodes.map(({ id }) => id));
  if (rules.policy === 'none') return { hint: { nodes: undefined, isPreferred: true }, isAdmitted: true };
  const isSingle = rules.policy === 'single-numa-node';
  const lists = resources.map((hints): readonly Hint[] => {
    if (hints === undefined) return [{ nodes: undefined, isPreferred: true }];
    if (hints.length === 0) return [{ nodes: undefined, isPreferred: false }];
    return hints;
  });
  const usable = lists.map((list) => (isSingle ? list.filter(isOfOneNode) : list));
  // A resource that nothing would do for leaves the choice to the others, and is never preferred.
  const widest = Math.max(0, ...lists.map((list) => Math.min(...list.map(widthOf))));
  let best: Found | undefined;
  for (const chosen of combinations(usable)) {
    const nodes = chosen.reduce((common, hint) => common & (hint.nodes ?? every), every);
    if (nodes === 0) continue;
    const candidate = { nodes, isPreferred: chosen.every(({ isPreferred }) => isPreferred) };
    if (best === undefined || isBetter(candidate, best, { rules, widest })) best = candidate;
  }
  const found = best ?? { nodes: every, isPreferred: false };
  const hint = isSingle && found.nodes === every ? { ...found, nodes: undefined } : found;
  return { hint, isAdmitted: rules.policy === 'best-effort' || hint.isPreferred };
}

function isOfOneNode({ nodes, isPreferred }: Hint): boolean {
  return isPreferred && (nodes === undefined || countOf(nodes) === 1);
}

function widthOf({ nodes }: Hint): number {
  return nodes === undefined ? 0 : countOf(nodes);
}

/** One of each list, in every way. */
function* combinations(lists: readonly (readonly Hint[])[]): Generator<readonly Hint[]> {
  const [first, ...rest] = lists;
  if (first === undefined) {
    yield [];
    return;
  }
  for (const hint of first) for (const others of combinations(rest)) yield [hint, ...others];
}

interface Comparison {
  readonly rules: TopologyRules;
  /** The nodes that the resource that spreads most needs at least. */
  readonly widest: number;
}

interface Found {
  readonly nodes: NodeMask;
  readonly isPreferred: boolean;
}

/** Preferred before not; of preferred ones the fewer nodes; of others those nearest to what is needed, and not more. */
function isBetter(a: Found, b: Found, { rules, widest }: Comparison): boolean {
  if (a.isPreferred !== b.isPreferred) return a.isPreferred;
  const [wide, otherWide] = [countOf(a.nodes), countOf(b.nodes)];
  if (wide === otherWide || a.isPreferred) return isNarrower(a.nodes, b.nodes, rules);
  if (otherWide > widest) return wide < otherWide;
  return wide > otherWide && wide <= widest;
}

/** Fewer nodes; of as many the closer ones, where that is asked for; then those of lower numbers. */
export function isNarrower(a: NodeMask, b: NodeMask, rules: TopologyRules): boolean {
  const byCount = countOf(a) - countOf(b);
  if (byCount !== 0) return byCount < 0;
  const far = rules.isClosest ? distanceOf(a, rules) - distanceOf(b, rules) : 0;
  return far === 0 ? a < b : far < 0;
}

/** The mean distance between any two of the nodes, itself included. */
function distanceOf(mask: NodeMask, { nodes }: TopologyRules): number {
  const inside = nodes
    .map((node, index) => ({ node, index }))
    .filter(({ node }) => (mask & (1 << node.id)) !== 0);
  const all = inside.flatMap(({ node }) => inside.map(({ index }) => node.distances[index] ?? 10));
  return all.reduce((sum, each) => sum + each, 0) / Math.max(1, all.length);
}
