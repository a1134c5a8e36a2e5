import type { Pod, PodAffinityTerm, WeightedPodAffinityTerm } from '#api/generated/objects.ts';
import type { PluginArgs } from '#control-plane/scheduler/config/plugin-args.ts';
import type { ScorePlugin } from '#control-plane/scheduler/plugin.ts';
import type { NodeInfo, Snapshot } from '#control-plane/scheduler/snapshot.ts';
import { termsOf, type Term } from './affinity-terms.ts';
import { domainSums } from './domain-sums.ts';

interface Weighted {
  readonly weight: number;
  readonly term: Term;
}

/**
 * Where pods are that this one would be with, or without; and where pods are that would be with it, or without it: their preferences count as
 * its own do, and what they require counts `hardPodAffinityWeight`. `ignorePreferredTermsOfExistingPods` is of pods that prefer nothing themselves.
 */
export function interPodAffinityScore({
  hardPodAffinityWeight,
  ignorePreferredTermsOfExistingPods,
}: PluginArgs['interPodAffinity']): ScorePlugin {
  return {
    name: 'InterPodAffinity',
    weight: 2,
    normalization: 'range',
    score: (context) => {
      const { pod, snapshot } = context;
      const own = preferencesOf(pod, snapshot);
      if (own.length === 0 && ignorePreferredTermsOfExistingPods) return undefined;
      if (own.length === 0 && snapshot.affineCount === 0) return undefined;
      const theirsOn = (node: NodeInfo): readonly Wish[] =>
        [...node.affinePods].flatMap((key) => {
          const other = node.pods.get(key);
          if (other === undefined) return [];
          const required = other.spec?.affinity?.podAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
          const theirs = [
            ...weightedTerms(required ?? [], { weight: hardPodAffinityWeight, owner: other, snapshot }),
            ...preferencesOf(other, snapshot),
          ];
          return theirs.flatMap(wishFor(pod));
        });
      const wishesOn = (node: NodeInfo): readonly Wish[] => [...ownOn(node, own), ...theirsOn(node)];
      const wishes = domainSums(
        context,
        'wishes',
        wishesOn,
        own.length > 0 ? undefined : snapshot.affineNodes,
      );
      return wishes.isEmpty ? undefined : (node) => wishes.of(node);
    },
  };
}

/** What is said for a domain, or against it. */
type Wish = readonly [topologyKey: string, weight: number];

const noWishes: readonly Wish[] = [];

function ownOn({ pods }: NodeInfo, own: readonly Weighted[]): readonly Wish[] {
  if (own.length === 0) return noWishes;
  return [...pods.values()].flatMap((other) => own.flatMap(wishFor(other)));
}

function wishFor(pod: Pod): (one: Weighted) => readonly Wish[] {
  return ({ weight, term }) =>
    weight !== 0 && term.selects(pod) ? [[term.topologyKey, weight] as const] : noWishes;
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
