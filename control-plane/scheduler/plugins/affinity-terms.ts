import { memberOf } from '#api/wire/json.ts';
import { labelSelectorFromObject, matchesLabels, type LabelMatcher } from '#api/meta/selector.ts';
import type { Pod, PodAffinityTerm } from '#api/generated/objects.ts';
import type { NodeInfo, Snapshot } from '#control-plane/scheduler/snapshot.ts';

/** A term of pod affinity or anti-affinity, ready to be asked whether it selects a pod. */
export interface Term {
  readonly topologyKey: string;
  readonly selects: (pod: Pod) => boolean;
}

/** The terms that `owner` states: without namespaces and namespaceSelector they mean its own namespace. */
export function termsOf(
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

/** The value of a label of the node; undefined: it has none. */
export function labelOf({ node }: NodeInfo, key: string): string | undefined {
  return memberOf(node.metadata?.labels, key);
}
