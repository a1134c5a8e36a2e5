import { matchesLabels } from '#api/meta/selector.ts';
import { controllerUidOf, serviceSelectorOf } from '#control-plane/scheduler/pod-facts.ts';
import type { ScorePlugin } from '#control-plane/scheduler/plugin.ts';
import type { NodeInfo } from '#control-plane/scheduler/snapshot.ts';
import { sumsOver } from '#control-plane/scheduler/template-memory.ts';

/**
 * Spreads the pods of a controller and of a Service over the nodes, where the pod says nothing of its own. (The default
 * constraints of kube-scheduler's PodTopologySpread, by node.)
 */
export const defaultSpreadScore: ScorePlugin = {
  name: 'PodTopologySpread',
  weight: 2,
  normalization: 'reversed',
  score: (context) => {
    const { pod, snapshot } = context;
    if ((pod.spec?.topologySpreadConstraints ?? []).length > 0) return undefined;
    const namespace = pod.metadata?.namespace ?? '';
    const labels = pod.metadata?.labels;
    const controller = controllerUidOf(pod);
    const selectors = snapshot
      .services(namespace)
      .map(serviceSelectorOf)
      .filter((selector) => matchesLabels(selector, labels));
    if (controller === undefined && selectors.length === 0) return undefined;
    const countOn = (node: NodeInfo): number => {
      const ofController = controller === undefined ? 0 : (node.podCountByController.get(controller) ?? 0);
      if (selectors.length === 0) return ofController;
      const ofServices = [...node.pods.values()].filter(
        (other) =>
          other.metadata?.namespace === namespace &&
          selectors.some((selector) => matchesLabels(selector, other.metadata?.labels)),
      ).length;
      return ofController + ofServices;
    };
    const counts = sumsOver(context, `siblings ${JSON.stringify(selectors)}`, (node) => {
      const count = countOn(node);
      return count === 0 ? [] : [[node.name, count]];
    });
    return ({ name }) => counts.get(name)?.amount ?? 0;
  },
};
