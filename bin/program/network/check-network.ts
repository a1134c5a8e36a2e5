import { describeError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { PodNetwork } from '#agent/network/pod-network.ts';
import type { Runtime } from '#agent/runtime/runtime.ts';
import { attachedPods } from './network-policies.ts';

interface Parts {
  readonly runtime: Pick<Runtime, 'observeAll'>;
  readonly network: Pick<PodNetwork, 'check'>;
  readonly logger: Logger;
}

/**
 * CNI CHECK of the pods that an earlier agent left running: somebody may have taken their links or routes meanwhile. It is said and
 * nothing is done, since what runs in a pod may do without. In the background, until disposed.
 */
export function checkNetwork(parts: Parts): AsyncDisposable {
  const ended = new AbortController();
  const done = check(parts, ended.signal);
  return {
    [Symbol.asyncDispose]: () => {
      ended.abort();
      return done;
    },
  };
}

/** Never fails. */
async function check({ runtime, network, logger }: Parts, signal: AbortSignal): Promise<void> {
  const known = new Map(attachedPods(runtime).map((pod) => [pod.sandboxId, pod]));
  try {
    for (const { sandboxId, problem } of await network.check([...known.keys()], signal)) {
      const pod = known.get(sandboxId);
      const fields = { namespace: pod?.namespace, pod: pod?.name, problem };
      logger.warn(fields, "a pod's network is not as it was made");
    }
  } catch (error) {
    logger.debug({ error: describeError(error) }, "pods' networks were not looked at");
  }
}
