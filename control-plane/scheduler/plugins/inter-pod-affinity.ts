import type { Pod, PodAffinityTerm } from '#api/generated/objects.ts';
import { passes, type FilterPlugin, type SchedulingContext } from '#control-plane/scheduler/plugin.ts';
import { changesOf, labelsOf } from '#control-plane/scheduler/cluster-event.ts';
import { antiAffinityOf, type NodeInfo } from '#control-plane/scheduler/snapshot.ts';
import { labelOf, termsOf, type Term } from './affinity-terms.ts';
import { domainSums, type DomainSums } from './domain-sums.ts';

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
    // Who is selected by all is somebody to join; where nobody is any more, the first may begin anywhere.
    const joins = (other: Pod): boolean =>
      wanted.length > 0 && termsOf(wanted, pod, { namespaceLabels }).every((term) => term.selects(other));
    switch (event.kind) {
      case 'node':
        return changesOf(event, labelsOf);
      case 'nodeGone':
        return true; // Its pods are in no domain any more.
      case 'podPlaced':
        return joins(event.pod);
      case 'podGone':
        return (
          selects(antiAffinityOf(pod), pod, event.pod) ||
          selects(antiAffinityOf(event.pod), event.pod, pod) ||
          (joins(event.pod) && joins(pod))
        );
      case 'namespace':
        return event.name === pod.metadata?.namespace || hasNamespaceSelector(pod);
      case 'podEnding':
      case 'podShrunk':
      case 'claim':
      case 'volume':
      case 'deviceClaim':
      case 'devices':
      case 'csiNode':
      case 'detached':
      case 'csiDriver':
      case 'podGroup':
      case 'podOfGroup':
      case 'capacity':
        return false;
    }
  },
  filter: (context) => {
    const { pod, snapshot } = context;
    const { podAffinity, podAntiAffinity } = pod.spec?.affinity ?? {};
    const wanted = termsOf(podAffinity?.requiredDuringSchedulingIgnoredDuringExecution, pod, snapshot);
    const unwanted = termsOf(podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution, pod, snapshot);
    const refused = domainsThatRefuse(context);
    if (wanted.length === 0 && unwanted.length === 0 && refused?.isEmpty !== false) return undefined;
    // A pod counts for a term only if it is selected by all of them.
    const wantedDomains = domainsOf(context, 'wanted', together(wanted));
    const unwantedDomains = domainsOf(context, 'unwanted', unwanted);
    // The first pod of a group that wants to be together has nobody to join: it may begin anywhere.
    const isFirst =
      wantedDomains.every((domains) => domains.isEmpty) && wanted.every((term) => term.selects(pod));
    return (node) => {
      const isIn =
        (domains: readonly DomainSums[]) =>
        ({ topologyKey }: Term, index: number): boolean =>
          domains[index]?.has(node, topologyKey) === true;
      const hasLabels = wanted.every((term) => labelOf(node, term.topologyKey) !== undefined);
      if (!hasLabels || (!isFirst && !wanted.every(isIn(wantedDomains)))) return [affinityMismatch];
      if (unwanted.some(isIn(unwantedDomains))) return [antiAffinityMismatch];
      return refused?.hasAny(node) === true ? [existingAntiAffinityMismatch] : passes;
    };
  },
};

function hasNamespaceSelector({ spec }: Pod): boolean {
  const { podAffinity, podAntiAffinity } = spec?.affinity ?? {};
  return [podAffinity, podAntiAffinity].some((one) =>
    one?.requiredDuringSchedulingIgnoredDuringExecution?.some(
      ({ namespaceSelector }) => namespaceSelector !== undefined,
    ),
  );
}

/** Topology domains in which a running pod refuses this one; undefined: no pod refuses any. */
function domainsThatRefuse(context: SchedulingContext): DomainSums | undefined {
  const { pod, snapshot } = context;
  if (snapshot.antiAffineCount === 0) return undefined;
  const refusedOn = (node: NodeInfo): readonly (readonly [string, number])[] =>
    [...node.antiAffinePods].flatMap((key) => {
      const other = node.pods.get(key);
      const terms = other === undefined ? [] : termsOf(antiAffinityOf(other), other, snapshot);
      return terms.flatMap((term) => (term.selects(pod) ? [[term.topologyKey, 1] as const] : []));
    });
  return domainSums(context, 'refused', refusedOn, snapshot.antiAffineNodes);
}

/** Where those are that the terms select, each of its own. */
function domainsOf(context: SchedulingContext, name: string, terms: readonly Term[]): readonly DomainSums[] {
  return terms.map(({ topologyKey, selects }, index) =>
    domainSums(context, `${name} ${index}`, ({ pods }) => {
      const count = [...pods.values()].filter(selects).length;
      return count === 0 ? [] : [[topologyKey, count]];
    }),
  );
}

/** As kube-scheduler counts: whom one of the terms selects and another does not is nobody to join. */
function together(terms: readonly Term[]): readonly Term[] {
  if (terms.length <= 1) return terms;
  const selects = (pod: Pod): boolean => terms.every((term) => term.selects(pod));
  return terms.map(({ topologyKey }) => ({ topologyKey, selects }));
}
