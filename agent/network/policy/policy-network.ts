import { settleAll } from '#base/settle-all.ts';
import type { PodNetwork } from '#agent/network/pod-network.ts';
import type { Policies } from './enforce-policies.ts';

/**
 * A pod network whose pods get their addresses together with the policies on them: ADD ends when those are in force, and what runs in
 * the pod begins after that.
 */
export function withPolicies(network: PodNetwork, policies: Policies): PodNetwork {
  return {
    ...network,
    async add(request, signal) {
      const { sandboxId, podUid: uid, podNamespace: namespace, podName: name } = request;
      // What policies there are is asked while the interface is made.
      const [added] = await settleAll([network.add(request, signal), policies.freshen(namespace, signal)]);
      await policies.attach({ sandboxId, uid, namespace, name, ips: added.ips }, signal);
      return added;
    },
    async del(request, signal) {
      await network.del(request, signal);
      policies.detach(request.sandboxId);
    },
  };
}
