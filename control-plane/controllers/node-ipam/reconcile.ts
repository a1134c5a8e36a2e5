import { nodes } from '#api/schema/kind-ref.ts';
import type { Node } from '#api/generated/objects.ts';
import { isNotFound } from '#client/api-error.ts';
import { runController, source, type Controller } from '#client/controller.ts';
import type { ControllerContext } from '#control-plane/controllers/controller-context.ts';
import { NodeRanges } from './node-ranges.ts';

export interface NodeIpamOptions {
  /** `10.244.0.0/16` */
  readonly clusterCidr: string;
  /** Of each node's part. */
  readonly nodePrefixLength?: number | undefined;
}

/** As kube-controller-manager's --node-cidr-mask-size: 254 pods. */
export const nodePrefixDefault = 24;

/**
 * Gives each node its part of the cluster's pod addresses. What is taken is counted off the nodes of the cache. Nodes for which none is
 * left wait, in order of asking, until a range becomes free: one is looked at for each that does.
 */
export function runNodeIpam(context: ControllerContext, options: NodeIpamOptions): Controller {
  const { informers, client, clock, logger } = context;
  const { clusterCidr, nodePrefixLength = nodePrefixDefault } = options;
  const informer = informers.for(nodes);
  const recorder = context.recorder('node-ipam-controller');
  const ranges = new NodeRanges(clusterCidr, nodePrefixLength);
  const waiting = new Set<string>();
  const nextWaiting = (): readonly string[] => {
    const [next] = ranges.firstFree() === undefined ? [] : waiting;
    return next === undefined ? [] : [next];
  };
  return runController({
    name: 'node-ipam-controller',
    clock,
    logger,
    concurrencyMax: 1, // Two at once would give the same range twice.
    sources: [
      source(informer, ({ key, old, current }) => {
        ranges.claim(claimsOf(current));
        ranges.release(claimsOf(old));
        if (!isWanting(current)) waiting.delete(key);
        return [...(isWanting(current) && !waiting.has(key) ? [key] : []), ...nextWaiting()];
      }),
    ],
    reconcile: async (name) => {
      const node = informer.get(name);
      if (!isWanting(node)) return;
      const cidr = ranges.firstFree();
      if (cidr === undefined) {
        if (waiting.has(name)) return;
        waiting.add(name);
        const message =
          `Node ${name} status is now: CIDRNotAvailable: all ${ranges.count} ranges /${nodePrefixLength} of ` +
          `${clusterCidr} are taken (--cluster-cidr, --node-cidr-mask-size)`;
        recorder.record({ kind: nodes, object: node }, 'Normal', 'CIDRNotAvailable', message);
        return;
      }
      waiting.delete(name);
      // The version guards against a range given meanwhile: it can be set but once.
      const { uid, resourceVersion } = node.metadata ?? {};
      const body = { metadata: { uid, resourceVersion }, spec: { podCIDR: cidr, podCIDRs: [cidr] } };
      try {
        informer.observe(await client.patch(nodes, { name }, { kind: 'merge', body }));
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    },
  });
}

function isWanting(node: Node | undefined): node is Node {
  return node !== undefined && claimsOf(node).length === 0 && node.metadata?.deletionTimestamp === undefined;
}

function claimsOf(node: Node | undefined): readonly string[] {
  const { podCIDR = '', podCIDRs = [] } = node?.spec ?? {};
  return podCIDRs.length > 0 ? podCIDRs : podCIDR === '' ? [] : [podCIDR];
}
