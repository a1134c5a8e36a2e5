import { nodes } from '#api/schema/kind-ref.ts';
import { isNotFound } from '#client/api-error.ts';
import { ownKey, runController, type Controller } from '#client/controller.ts';
import type { ControllerContext } from '#control-plane/controllers/controller-context.ts';
import { allocatePodCidr } from './plan.ts';

export interface NodeIpamOptions {
  /** `10.244.0.0/16` */
  readonly clusterCidr: string;
  /** Of each node's part; 24 by default: 254 pods. */
  readonly nodePrefixLength?: number | undefined;
}

/** Gives each node its part of the cluster's pod addresses. What is taken is read off the nodes: nothing else to keep. */
export function runNodeIpam(context: ControllerContext, options: NodeIpamOptions): Controller {
  const { informers, client, clock, logger } = context;
  const informer = informers.for(nodes);
  const recorder = context.recorder('node-ipam-controller');
  return runController({
    name: 'node-ipam-controller',
    clock,
    logger,
    concurrencyMax: 1, // Two at once would give the same range twice.
    sources: [ownKey(informer)],
    reconcile: async (name) => {
      const node = informer.get(name);
      if (
        node === undefined ||
        (node.spec?.podCIDR ?? '') !== '' ||
        node.metadata?.deletionTimestamp !== undefined
      ) {
        return;
      }
      const used = informer.list().flatMap(({ spec }) => spec?.podCIDRs ?? spec?.podCIDR ?? []);
      const cidr = allocatePodCidr(options.clusterCidr, options.nodePrefixLength ?? 24, used);
      if (cidr === undefined) {
        const message = `Node ${name} status is now: CIDRNotAvailable`;
        recorder.record({ kind: nodes, object: node }, 'Normal', 'CIDRNotAvailable', message);
        return { kind: 'again', afterMs: 10_000 };
      }
      // The version guards against a range given meanwhile: it can be set but once.
      const { uid, resourceVersion } = node.metadata ?? {};
      const body = { metadata: { uid, resourceVersion }, spec: { podCIDR: cidr, podCIDRs: [cidr] } };
      try {
        informer.observe(await client.patch(nodes, { name }, { kind: 'merge', body }));
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
      return undefined;
    },
  });
}
