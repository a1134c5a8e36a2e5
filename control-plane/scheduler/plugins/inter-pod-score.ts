import type { Pod, PodAffinityTerm, WeightedPodAffinityTerm } from '#api/generated/objects.ts';
import type { PluginArgs } from '#control-plane/scheduler/config/plugin-args.ts';
import type { ScorePlugin } from '#control-plane/scheduler/plugin.ts';
import type { NodeInfo, Snapshot } from '#control-plane/scheduler/snapshot.ts';
import { labelOf, termsOf, type Term } from './affinity-terms.ts';

interface Weighted {
  readonly weight: number;
  readonly term: Term;
}

/** What pods say for and against others of them, by label key and value. */
class Sums {
  readonly #byKey = new Map<string, Map<string, number>>();

  add(node: NodeInfo, topologyKey: string, weight: number): void {
    const value = labelOf(node, topologyKey);
    if (value === undefined || weight === 0) return;
    const byValue = this.#byKey.get(topologyKey) ?? new Map<string, number>();
    this.#byKey.set(topologyKey, byValue.set(value, (byValue.get(value) ?? 0) + weight));
  }

  get isEmpty(): boolean {
    return this.#byKey.size === 0;
  }

  of(node: NodeInfo): number {
    let sum = 0;
    for (const [key, byValue] of this.#byKey) sum += byValue.get(labelOf(node, key) ?? '') ?? 0;
    return sum;
  }
}

/**
 * Where pods are that this one would be with, or without; and where pods are that would be with it, or without it: their preferences count as
 * its own do, and what they require counts `hardPodAffinityWeight`.
 */
export function interPodAffinityScore({
  hardPodAffinityWeight,
  ignorePreferredTermsOfExistingPods,
}: PluginArgs['interPodAffinity']): ScorePlugin {
  return {
    name: 'InterPodAffinity',
    weight: 2,
    normalization: 'range',
    score: ({ pod, snapshot }) => {
      const own = preferencesOf(pod, snapshot);
      if (own.length === 0 && ignorePreferredTermsOfExistingPods) return undefined;
      const sums = new Sums();
      if (own.length > 0) for (const node of snapshot.nodes) addWanted(sums, node, own);
      const affine = snapshot.affineNodes ?? snapshot.nodes.filter(({ affinePods }) => affinePods.size > 0);
      for (const node of affine)
        for (const key of node.affinePods) {
          const other = node.pods.get(key);
          if (other === undefined) continue;
          const required = other.spec?.affinity?.podAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
          const theirs = [
            ...weightedTerms(required ?? [], { weight: hardPodAffinityWeight, owner: other, snapshot }),
            ...(ignorePreferredTermsOfExistingPods ? [] : preferencesOf(other, snapshot)),
          ];
          for (const { weight, term } of theirs)
            if (term.selects(pod)) sums.add(node, term.topologyKey, weight);
        }
      return sums.isEmpty ? undefined : (node) => sums.of(node);
    },
  };
}

function addWanted(sums: Sums, node: NodeInfo, own: readonly Weighted[]): void {
  for (const other of node.pods.values())
    for (const { weight, term } of own) if (term.selects(other)) sums.add(node, term.topologyKey, weight);
}

/** For others, and against them. */
function preferencesOf(pod: Pod, snapshot: Snapshot): readonly Weighted[] {
  const { podAffinity, podAntiAffinity } = pod.spec?.affinity ?? {};
  const weighted = (
    terms: readonly WeightedPodAffinityTerm[] | undefined,
    sign: 1 | -1,
  ): readonly Weighted[] =>
    (terms ?? []).flatMap(({ weight, podAffinityTerm }) =>
      weightedTerms([podAffinityTerm], { weight: sign * weight, owner: pod, snapshot }),
    );
  return [
    ...weighted(podAffinity?.preferredDuringSchedulingIgnoredDuringExecution, 1),
    ...weighted(podAntiAffinity?.preferredDuringSchedulingIgnoredDuringExecution, -1),
  ];
}

function weightedTerms(
  terms: readonly PodAffinityTerm[],
  { weight, owner, snapshot }: { readonly weight: number; readonly owner: Pod; readonly snapshot: Snapshot },
): readonly Weighted[] {
  return weight === 0 ? [] : termsOf(terms, owner, snapshot).map((term) => ({ weight, term }));
}
