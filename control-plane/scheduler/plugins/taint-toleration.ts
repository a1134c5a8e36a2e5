import type { Node } from '#api/generated/objects.ts';
import { findUntoleratedTaint, toleratesTaint } from '#api/pod/tolerations.ts';
import { passes, type FilterPlugin, type ScorePlugin } from '#control-plane/scheduler/plugin.ts';

const refusingEffects = ['NoSchedule', 'NoExecute'] as const;
/** Which taint it is, 1.36 does not tell owners of pods any more (kubernetes#134740). */
const untolerated: readonly string[] = ['node(s) had untolerated taint(s)'];

export const taintTolerationFilter: FilterPlugin = {
  name: 'TaintToleration',
  isSteady: true,
  mayHelp: (pod, event) => {
    const isTolerated = (node: Node): boolean =>
      findUntoleratedTaint(pod.spec?.tolerations, node.spec?.taints, refusingEffects) === undefined;
    if (event.kind !== 'node' || !isTolerated(event.current)) return false;
    return event.old === undefined || !isTolerated(event.old);
  },
  filter:
    ({ pod }) =>
    ({ node }) => {
      if (node.spec?.taints === undefined) return passes;
      const taint = findUntoleratedTaint(pod.spec?.tolerations, node.spec?.taints, refusingEffects);
      return taint === undefined ? passes : untolerated;
    },
};

/** Fewer preferences against the pod are better. */
export const taintTolerationScore: ScorePlugin = {
  name: 'TaintToleration',
  isSteady: true,
  weight: 3,
  normalization: 'reversed',
  score:
    ({ pod }) =>
    ({ node }) =>
      node.spec?.taints?.filter(
        (taint) =>
          taint.effect === 'PreferNoSchedule' &&
          !pod.spec?.tolerations?.some((toleration) => toleratesTaint(toleration, taint)),
      ).length ?? 0,
};
