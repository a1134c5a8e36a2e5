import type { Pod, PodAffinityTerm } from '#api/generated/objects.ts';
import type { FilterPlugin } from '#control-plane/scheduler/plugin.ts';
import { antiAffinityOf, type Snapshot } from '#control-plane/scheduler/snapshot.ts';
import { labelOf, termsOf, type Term } from './affinity-terms.ts';

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
      case 'podGroup':
      case 'podOfGroup':
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
    // A pod counts for a term only if it is selected by all of them.
    const wantedDomains = domainsOf(together(wanted), snapshot);
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

/** As kube-scheduler counts: whom one of the terms selects and another does not is nobody to join. */
function together(terms: readonly Term[]): readonly Term[] {
  if (terms.length <= 1) return terms;
  const selects = (pod: Pod): boolean => terms.every((term) => term.selects(pod));
  return terms.map(({ topologyKey }) => ({ topologyKey, selects }));
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
