import type { Node, NodeAffinity, Pod } from '#api/generated/objects.ts';
import {
  matchesNodeAffinity,
  matchesNodeTerm,
  nodeAffinityScore as sumOfWeights,
} from '#api/pod/node-affinity.ts';
import { passes, type FilterPlugin, type ScorePlugin } from '#control-plane/scheduler/plugin.ts';

/** A pod of a DaemonSet names its node: by a field, as labels may change. Each of the terms, of which one must hold, has to name some. */
function nodesNamedBy({ spec }: Pod): ReadonlySet<string> | undefined {
  const required = spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  const names = new Set<string>();
  for (const { matchFields = [] } of required?.nodeSelectorTerms ?? []) {
    const [first, ...more] = matchFields
      .filter(({ key, operator }) => key === 'metadata.name' && operator === 'In')
      .map(({ values = [] }) => values);
    if (first === undefined) return undefined;
    for (const name of first) if (more.every((others) => others.includes(name))) names.add(name);
  }
  return required === undefined ? undefined : names;
}

const mismatch = "node(s) didn't match Pod's node affinity/selector";
const conflict = 'pod affinity terms conflict';
const addedMismatch = "node(s) didn't match scheduler-enforced node affinity";

/** `added` is what the configuration asks of every pod beside its own (NodeAffinityArgs addedAffinity). */
export function nodeAffinityFilter(added: NodeAffinity | undefined): FilterPlugin {
  const addedTerms = added?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
  const isAllowed = (node: Node): boolean =>
    addedTerms === undefined || addedTerms.some((term) => matchesNodeTerm(term, node));
  const fits = (pod: Pod, node: Node): boolean => isAllowed(node) && matchesNodeAffinity(pod, node);
  return {
    name: 'NodeAffinity',
    isSteady: true,
    mayHelp: (pod, event) =>
      event.kind === 'node' && fits(pod, event.current) && (event.old === undefined || !fits(pod, event.old)),
    refuseAll: ({ pod }) => (nodesNamedBy(pod)?.size === 0 ? conflict : undefined),
    onlyNodes: nodesNamedBy,
    filter: ({ pod }) => {
      const { nodeSelector, affinity } = pod.spec ?? {};
      const required = affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
      if (nodeSelector === undefined && required === undefined && addedTerms === undefined) return undefined;
      return ({ node }) =>
        isAllowed(node) ? (matchesNodeAffinity(pod, node) ? passes : [mismatch]) : [addedMismatch];
    },
  };
}

/** The weights of the preferred terms that match: those of the pod, and those that the configuration adds. */
export function nodeAffinityScore(added: NodeAffinity | undefined): ScorePlugin {
  const addedTerms = added?.preferredDuringSchedulingIgnoredDuringExecution ?? [];
  return {
    name: 'NodeAffinity',
    isSteady: true,
    weight: 2,
    normalization: 'proportional',
    score: ({ pod }) => {
      const own = pod.spec?.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [];
      if (own.length === 0 && addedTerms.length === 0) return undefined;
      return ({ node }) => {
        let sum = sumOfWeights(pod, node);
        for (const { weight, preference } of addedTerms) if (matchesNodeTerm(preference, node)) sum += weight;
        return sum;
      };
    },
  };
}
