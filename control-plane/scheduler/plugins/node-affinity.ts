import { matchesNodeAffinity, nodeAffinityScore as sumOfWeights } from '#api/pod/node-affinity.ts';
import type { FilterPlugin, ScorePlugin } from '#control-plane/scheduler/plugin.ts';

export const nodeAffinityFilter: FilterPlugin = {
  name: 'NodeAffinity',
  mayHelp: (pod, event) =>
    event.kind === 'node' &&
    matchesNodeAffinity(pod, event.current) &&
    (event.old === undefined || !matchesNodeAffinity(pod, event.old)),
  filter: ({ pod }) => {
    const { nodeSelector, affinity } = pod.spec ?? {};
    const required = affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
    if (nodeSelector === undefined && required === undefined) return undefined;
    return ({ node }) =>
      matchesNodeAffinity(pod, node) ? [] : ["node(s) didn't match Pod's node affinity/selector"];
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
