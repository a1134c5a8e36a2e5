import type { PodNetwork } from '#agent/network/pod-network.ts';
import type { Redirects } from './redirects.ts';

/** A pod network some of whose packets pass by the node's stack. Around that of policies: what concerns a pod is known by then. */
export function withRedirects(network: PodNetwork, redirects: Redirects): PodNetwork {
  return {
    ...network,
    async add(request, signal) {
      const added = await network.add(request, signal);
      if (added.link !== undefined) redirects.attach(request.sandboxId, added.link);
      return added;
    },
    async del(request, signal) {
      redirects.detach(request.sandboxId); // Before others may have its addresses.
      await network.del(request, signal);
    },
  };
}
