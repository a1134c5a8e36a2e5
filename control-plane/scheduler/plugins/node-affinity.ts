import type { Pod } from '#api/generated/objects.ts';
import { matchesNodeAffinity, nodeAffinityScore as sumOfWeights } from '#api/pod/node-affinity.ts';
import { passes, type FilterPlugin, type ScorePlugin } from '#control-plane/scheduler/plugin.ts';

/** A pod of a DaemonSet names its node: by a field, as labels may change. Each of the terms, of which one must hold, has to name some. */
function nodesNamedBy({ spec }: Pod): ReadonlySet<string> | undefined {
  const required = spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  const names = new Set<string>();
  for (const { matchFields = [] } of required?.nodeSelectorTerms ?? []) {
    const field = matchFields.find(({ key, operator }) => key === 'metadata.name' && operator === 'In');
    if (field === undefined) return undefined;
    for (const name of field.values ?? []) names.add(name);
  }
  return required === undefined ? undefined : names;
}

export const nodeAffinityFilter: FilterPlugin = {
  name: 'NodeAffinity',
  mayHelp: (pod, event) =>
    event.kind === 'node' &&
    matchesNodeAffinity(pod, event.current) &&
    (event.old === undefined || !matchesNodeAffinity(pod, event.old)),
  onlyNodes: nodesNamedBy,
  filter: ({ pod }) => {
    const { nodeSelector, affinity } = pod.spec ?? {};
    const required = affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
    if (nodeSelector === undefined && required === undefined) return undefined;
    return ({ node }) =>
      matchesNodeAffinity(pod, node) ? passes : ["node(s) didn't match Pod's node affinity/selector"];
  },
};

/** The weights of the preferred terms that match. */
export const nodeAffinityScore: ScorePlugin = {
  name: 'NodeAffinity',
  weight: 2,
  normalization: 'proportional',
  score: ({ pod }) => {
    const preferred = pod.spec?.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [];
    if (preferred.length === 0) return undefined;
    return ({ node }) => sumOfWeights(pod, node);
  },
};
