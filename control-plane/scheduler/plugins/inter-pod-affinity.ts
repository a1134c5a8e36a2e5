import { memberOf } from '#api/wire/json.ts';
import { labelSelectorFromObject, matchesLabels, type LabelMatcher } from '#api/meta/selector.ts';
import type { Pod, PodAffinityTerm } from '#api/generated/objects.ts';
import type { FilterPlugin, SchedulingContext, ScorePlugin } from '#control-plane/scheduler/plugin.ts';
import { antiAffinityOf, type NodeInfo, type Snapshot } from '#control-plane/scheduler/snapshot.ts';

/** A term, ready to be asked whether it selects a pod. */
interface Term {
  readonly topologyKey: string;
  readonly selects: (pod: Pod) => boolean;
}

const affinityMismatch = "node(s) didn't match pod affinity rules";
const antiAffinityMismatch = "node(s) didn't match pod anti-affinity rules";
const existingAntiAffinityMismatch = "node(s) didn't satisfy existing pods anti-affinity rules";

/** Required affinity and anti-affinity of the pod, and required anti-affinity of the pods that are there already. */
export const interPodAffinityFilter: FilterPlugin = {
  name: 'InterPodAffinity',
  looksAtPods: true,
  evictionHelps: (_pod, _node, reasons) => !reasons.includes(affinityMismatch),
  mayHelp: (pod, event, namespaceLabels) => {
    const { podAffinity } = pod.spec?.affinity ?? {};
    const wanted = podAffinity?.requiredDuringSchedulingIgnoredDuringExecution ?? [];
    const selects = (terms: readonly PodAffinityTerm[], owner: Pod, other: Pod): boolean =>
      termsOf(terms, owner, { namespaceLabels }).some((term) => term.selects(other));
    switch (event.kind) {
      case 'node':
        return true;
      case 'podPlaced':
        return selects(wanted, pod, event.pod);
      case 'podGone':
        return (
          selects(antiAffinityOf(pod), pod, event.pod) || selects(antiAffinityOf(event.pod), event.pod, pod)
        );
      case 'nodeGone':
      case 'podShrunk':
      case 'claim':
      case 'volume':
      case 'deviceClaim':
      case 'devices':
      case 'csiNode':
      case 'capacity':
        return false;
    }
  },
  filter: ({ pod, snapshot }) => {
    const { podAffinity, podAntiAffinity } = pod.spec?.affinity ?? {};
    const wanted = termsOf(podAffinity?.requiredDuringSchedulingIgnoredDuringExecution, pod, snapshot);
    const unwanted = termsOf(podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution, pod, snapshot);
    const refused = domainsThatRefuse(pod, snapshot);
    if (wanted.length === 0 && unwanted.length === 0 && refused.size === 0) return undefined;
    const wantedDomains = domainsOf(wanted, snapshot);
    const unwantedDomains = domainsOf(unwanted, snapshot);
    // The first pod of a group that wants to be together has nobody to join: it may begin anywhere.
    const isFirst =
      wantedDomains.every((domains) => domains.size === 0) && wanted.every((term) => term.selects(pod));
    return (node) => {
      const isIn = (terms: readonly Term[], domains: readonly ReadonlySet<string>[]) => (term: Term) =>
        domains[terms.indexOf(term)]?.has(labelOf(node, term.topologyKey) ?? '') === true;
      const hasLabels = wanted.every((term) => labelOf(node, term.topologyKey) !== undefined);
      if (!hasLabels || (!isFirst && !wanted.every(isIn(wanted, wantedDomains)))) return [affinityMismatch];
      if (unwanted.some(isIn(unwanted, unwantedDomains))) return [antiAffinityMismatch];
      const isRefused = [...refused].some(([key, values]) => values.has(labelOf(node, key) ?? ''));
      return isRefused ? [existingAntiAffinityMismatch] : [];
    };
  },
};

/** Preferred terms of the pod, for and against, by weight and number of pods that they select in the domain. */
export const interPodAffinityScore: ScorePlugin = {
  name: 'InterPodAffinity',
  weight: 2,
  normalization: 'proportional',
  score: ({ pod, snapshot }: SchedulingContext) => {
    const { podAffinity, podAntiAffinity } = pod.spec?.affinity ?? {};
    const weighted = [
      ...(podAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []),
      ...(podAntiAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map((preference) => ({
        ...preference,
        weight: -preference.weight,
      })),
    ];
    if (weighted.length === 0) return undefined;
    const counted = weighted.flatMap(({ weight, podAffinityTerm }) =>
      termsOf([podAffinityTerm], pod, snapshot).map((term) => ({
        weight,
        term,
        counts: countsByDomain(term, snapshot),
      })),
    );
    return (node) =>
      counted.reduce((sum, { weight, term, counts }) => {
        const value = labelOf(node, term.topologyKey);
        return sum + (value === undefined ? 0 : weight * (counts.get(value) ?? 0));
      }, 0);
  },
};

/** Topology domains in which a running pod refuses this one, by label key. */
function domainsThatRefuse(pod: Pod, snapshot: Snapshot): ReadonlyMap<string, ReadonlySet<string>> {
  const refused = new Map<string, Set<string>>();
  const nodes = snapshot.antiAffineNodes ?? snapshot.nodes.filter((node) => node.antiAffinePods.size > 0);
  for (const node of nodes) {
    for (const key of node.antiAffinePods) {
      const other = node.pods.get(key);
      if (other === undefined) continue;
      for (const term of termsOf(antiAffinityOf(other), other, snapshot)) {
        const value = labelOf(node, term.topologyKey);
        if (value === undefined || !term.selects(pod)) continue;
        refused.set(term.topologyKey, (refused.get(term.topologyKey) ?? new Set()).add(value));
      }
    }
  }
  return refused;
}

function domainsOf(terms: readonly Term[], snapshot: Snapshot): readonly ReadonlySet<string>[] {
  return terms.map((term) => new Set(countsByDomain(term, snapshot).keys()));
}

function countsByDomain(term: Term, snapshot: Snapshot): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const node of snapshot.nodes) {
    const value = labelOf(node, term.topologyKey);
    if (value === undefined) continue;
    const count = [...node.pods.values()].filter(term.selects).length;
    if (count > 0) counts.set(value, (counts.get(value) ?? 0) + count);
  }
  return counts;
}

/** The terms that `owner` states: without namespaces and namespaceSelector they mean its own namespace. */
function termsOf(
  terms: readonly PodAffinityTerm[] | undefined,
  owner: Pod,
  snapshot: Pick<Snapshot, 'namespaceLabels'>,
): readonly Term[] {
  return (terms ?? []).map((term) => {
    const selector = selectorOf(term, owner);
    const namespaces = namespaceTest(term, owner, snapshot);
    return {
      topologyKey: term.topologyKey,
      selects: (pod) =>
        namespaces(pod.metadata?.namespace ?? '') && matchesLabels(selector, pod.metadata?.labels),
    };
  });
}

function namespaceTest(
  term: PodAffinityTerm,
  owner: Pod,
  snapshot: Pick<Snapshot, 'namespaceLabels'>,
): (namespace: string) => boolean {
  const { namespaces = [], namespaceSelector } = term;
  if (namespaces.length === 0 && namespaceSelector === undefined) {
    return (namespace) => namespace === owner.metadata?.namespace;
  }
  const selector = labelSelectorFromObject(namespaceSelector);
  return (namespace) =>
    namespaces.includes(namespace) || matchesLabels(selector, snapshot.namespaceLabels(namespace));
}

function selectorOf(term: PodAffinityTerm, owner: Pod): LabelMatcher {
  const selector = labelSelectorFromObject(term.labelSelector);
  const labels = owner.metadata?.labels ?? {};
  const requirement = (operator: 'In' | 'NotIn') => (key: string) => {
    const value = memberOf(labels, key);
    return value === undefined ? [] : [{ key, operator, values: [value] }];
  };
  const requirements = [
    ...selector.requirements,
    ...(term.matchLabelKeys ?? []).flatMap(requirement('In')),
    ...(term.mismatchLabelKeys ?? []).flatMap(requirement('NotIn')),
  ];
  return { ...selector, requirements };
}

function labelOf({ node }: NodeInfo, key: string): string | undefined {
  return memberOf(node.metadata?.labels, key);
}
