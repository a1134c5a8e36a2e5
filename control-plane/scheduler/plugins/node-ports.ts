import { hostPortsOf } from '#control-plane/scheduler/pod-facts.ts';
import type { FilterPlugin } from '#control-plane/scheduler/plugin.ts';

const anyAddress = '0.0.0.0';

/** A host port of an address can be bound once; one of all addresses conflicts with any. */
export const nodePortsFilter: FilterPlugin = {
  name: 'NodePorts',
  filter: ({ pod }) => {
    const wanted = hostPortsOf(pod);
    if (wanted.length === 0) return undefined;
    return (node) => {
      const isTaken = wanted.some(({ port, address }) =>
        node.hostPorts
          .get(port)
          ?.some((used) => used === address || used === anyAddress || address === anyAddress),
      );
      return isTaken ? ["node(s) didn't have free ports for the requested pod ports"] : [];
    };
  },
};
