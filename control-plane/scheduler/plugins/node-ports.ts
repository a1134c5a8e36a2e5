import { changesOf } from '#control-plane/scheduler/cluster-event.ts';
import { conflictsWith, isPortOfNode, kubeletPortOf } from '#api/pod/host-ports.ts';
import { hostPortsOf } from '#control-plane/scheduler/pod-facts.ts';
import { passes, type FilterPlugin } from '#control-plane/scheduler/plugin.ts';

/** Host ports that are free on the node. */
export const nodePortsFilter: FilterPlugin = {
  name: 'NodePorts',
  isSteady: true,
  mayHelp: (pod, event) => {
    if (event.kind === 'node') return changesOf(event, kubeletPortOf);
    if (event.kind !== 'podGone') return false;
    const freed = hostPortsOf(event.pod);
    return hostPortsOf(pod).some((one) => freed.some((other) => conflictsWith(one, other)));
  },
  evictionHelps: (pod, { node }) => !hostPortsOf(pod).some((one) => isPortOfNode(one, node)),
  filter: ({ pod }) => {
    const wanted = hostPortsOf(pod);
    if (wanted.length === 0) return undefined;
    return (node) => {
      const isTaken = wanted.some(
        (one) =>
          isPortOfNode(one, node.node) ||
          node.hostPorts.get(one.port)?.some((address) => conflictsWith(one, { port: one.port, address })),
      );
      return isTaken ? ["node(s) didn't have free ports for the requested pod ports"] : passes;
    };
  },
};
