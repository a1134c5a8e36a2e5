import { findUntoleratedTaint } from '#api/pod/tolerations.ts';
import type { Taint } from '#api/generated/objects.ts';
import { passes, type FilterPlugin } from '#control-plane/scheduler/plugin.ts';

export const nodeNameFilter: FilterPlugin = {
  name: 'NodeName',
  isSteady: true,
  mayHelp: (pod, event) => event.kind === 'node' && event.current.metadata?.name === pod.spec?.nodeName,
  filter: ({ pod }) => {
    const wanted = pod.spec?.nodeName;
    if (wanted === undefined || wanted === '') return undefined;
    return (node) => (node.name === wanted ? passes : ["node(s) didn't match the requested node name"]);
  },
};

const cordonTaint: Taint = { key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' };

/** A cordoned node takes only pods that tolerate the taint that stands for it. */
export const nodeUnschedulableFilter: FilterPlugin = {
  name: 'NodeUnschedulable',
  isSteady: true,
  mayHelp: (_pod, event) =>
    event.kind === 'node' &&
    event.current.spec?.unschedulable !== true &&
    (event.old === undefined || event.old.spec?.unschedulable === true),
  filter: ({ pod }) => {
    if (findUntoleratedTaint(pod.spec?.tolerations, [cordonTaint], ['NoSchedule']) === undefined)
      return undefined;
    return ({ node }) => (node.spec?.unschedulable === true ? ['node(s) were unschedulable'] : passes);
  },
};
