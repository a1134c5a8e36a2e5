import { nodes } from '#api/schema/kind-ref.ts';
import type { Node } from '#api/generated/objects.ts';
import { describeRefusal, isConflict, isNotFound } from '#client/api-error.ts';
import { runController, source, type Controller } from '#client/controller.ts';
import type { EventRecorder } from '#client/event-recorder.ts';
import type { ControllerContext } from '#control-plane/controllers/controller-context.ts';
import { familyOfNetwork } from '#base/ip.ts';
import { nodePrefixDefaults, NodeRanges, type NodePrefixLengths } from './node-ranges.ts';

export interface NodeIpamOptions {
  /** `10.244.0.0/16`; one of each family at most, the first being that of status.podIP. */
  readonly clusterCidrs: readonly string[];
  /** Of each node's part. */
  readonly nodePrefixLengths?: NodePrefixLengths | undefined;
}

/**
 * Gives each node its part of the cluster's pod addresses. What is taken is counted off the nodes of the cache. Nodes for which none is
 * left wait, in order of asking, until a range becomes free: one is looked at for each that does.
 */
export function runNodeIpam(context: ControllerContext, options: NodeIpamOptions): Controller {
  const { informers, client, clock, logger } = context;
  const { clusterCidrs, nodePrefixLengths = nodePrefixDefaults } = options;
  const informer = informers.for(nodes);
  const tell = teller(context.recorder('cidrAllocator'));
  const all = clusterCidrs.map((cidr) => ({ cidr, prefix: nodePrefixLengths[familyOfNetwork(cidr) ?? 4] }));
  const ranges = all.map(({ cidr, prefix }) => countedRanges(context, cidr, prefix));
  const full = (): number => ranges.findIndex((each) => each.firstFree() === undefined);
  const waiting = new Set<string>();
  // Of nodes whose write may have been done, though nobody said so: nobody else gets these before the cache shows what they have.
  const offered = new Map<string, readonly string[]>();
  const offer = (name: string, podCIDRs: readonly string[]): void => {
    offered.set(name, podCIDRs);
    for (const each of ranges) each.claim(podCIDRs);
  };
  const takeBack = (name: string): void => {
    for (const each of ranges) each.release(offered.get(name) ?? []);
    offered.delete(name);
  };
  const nextWaiting = (): readonly string[] => {
    const [next] = full() === -1 ? waiting : [];
    return next === undefined ? [] : [next];
  };
  return runController({
    name: 'node-ipam-controller',
    clock,
    logger,
    concurrencyMax: 1, // Two at once would give the same range twice.
    sources: [
      source(informer, ({ key, old, current }) => {
        for (const each of ranges) {
          each.claim(claimsOf(current));
          each.release(claimsOf(old));
        }
        if (!isWanting(current)) {
          waiting.delete(key);
          takeBack(key);
        }
        return [...(isWanting(current) && !waiting.has(key) ? [key] : []), ...nextWaiting()];
      }),
    ],
    reconcile: async (name) => {
      const node = informer.get(name);
      if (!isWanting(node)) return;
      const podCIDRs = offered.get(name) ?? firstFree(context, clusterCidrs, ranges);
      if (podCIDRs.length < ranges.length) {
        if (waiting.has(name)) return;
        waiting.add(name);
        const { cidr, prefix } = all[full()] ?? {};
        const why = `all ${ranges[full()]?.count} ranges /${prefix} of ${cidr} are taken (--cluster-cidr, --node-cidr-mask-size)`;
        tell(node, 'CIDRNotAvailable', why);
        return;
      }
      waiting.delete(name);
      if (!offered.has(name)) offer(name, podCIDRs);
      // The version guards against a range given meanwhile: it can be set but once.
      const { uid, resourceVersion } = node.metadata ?? {};
      const body = { metadata: { uid, resourceVersion }, spec: { podCIDR: podCIDRs[0], podCIDRs } };
      try {
        informer.observe(await client.patch(nodes, { name }, { kind: 'merge', body }));
      } catch (error) {
        if (!isNotFound(error)) {
          if (!isConflict(error)) tell(node, 'CIDRAssignmentFailed', describeRefusal(error));
          throw error;
        }
      }
      takeBack(name);
    },
  });
}

/** Ranges whose numbers are told. */
function countedRanges({ loopCounts }: ControllerContext, cidr: string, prefix: number): NodeRanges {
  const ranges = new NodeRanges(cidr, prefix, (change) => {
    loopCounts?.add(
      change === 'allocated'
        ? 'node_ipam_controller_cidrset_cidrs_allocations_total'
        : 'node_ipam_controller_cidrset_cidrs_releases_total',
      cidr,
    );
    loopCounts?.set('node_ipam_controller_cidrset_usage_cidrs', ranges.taken / ranges.count, cidr);
  });
  loopCounts?.set('node_ipam_controller_cirdset_max_cidrs', ranges.count, cidr);
  return ranges;
}

/** Of each family; fewer where one has none left. */
function firstFree(
  { loopCounts }: ControllerContext,
  cidrs: readonly string[],
  ranges: readonly NodeRanges[],
): readonly string[] {
  const name = 'node_ipam_controller_cidrset_allocation_tries_per_request';
  return ranges.flatMap((each, index) => {
    const found = each.firstFree() ?? [];
    loopCounts?.observe(name, each.passed, cidrs[index] ?? '');
    return found;
  });
}

/** As RecordNodeStatusChange of Kubernetes, and why. */
function teller(recorder: EventRecorder): (object: Node, reason: string, why: string) => void {
  return (object, reason, why) => {
    const message = `Node ${object.metadata?.name ?? ''} status is now: ${reason}: ${why}`;
    recorder.record({ kind: nodes, object }, 'Normal', reason, message);
  };
}

function isWanting(node: Node | undefined): node is Node {
  return node !== undefined && claimsOf(node).length === 0 && node.metadata?.deletionTimestamp === undefined;
}

function claimsOf(node: Node | undefined): readonly string[] {
  const { podCIDR = '', podCIDRs = [] } = node?.spec ?? {};
  return podCIDRs.length > 0 ? podCIDRs : podCIDR === '' ? [] : [podCIDR];
}
