import type { Logger } from '#base/log.ts';
import { describeError } from '#base/errors.ts';
import type { NetworkPolicy } from '#api/generated/objects.ts';
import { networkPolicies } from '#api/schema/kind-ref.ts';
import type { ApiClient } from '#client/client.ts';
import type { WritableInformer } from '#client/informer.ts';

/**
 * Policies as they are, where the watch may be behind: what was created before a pod is in force before its first process, though the
 * two come by different connections. Those who ask about a namespace while it is asked about wait for the next answer together.
 */
export function createFreshPolicies(options: {
  readonly client: ApiClient;
  readonly policies: WritableInformer<NetworkPolicy>;
  readonly log: Logger;
  /** What else is asked with it. */
  readonly beside?: (namespace: string) => Promise<void>;
}): (namespace: string) => Promise<void> {
  const { client, policies, log, beside } = options;
  const running = new Map<string, Promise<void>>();
  const next = new Map<string, Promise<void>>();

  const look = async (namespace: string): Promise<void> => {
    try {
      const { items } = await client.list(networkPolicies, { namespace });
      for (const item of items) policies.observe(item);
    } catch (error) {
      // Without a server there is what was known last: a node goes on without it.
      log.debug({ namespace, error: describeError(error) }, 'network policies not asked for anew');
    }
  };
  const start = (namespace: string): Promise<void> => {
    const all = Promise.all([look(namespace), beside?.(namespace)]).then(() => undefined);
    const answer = all.finally(() => running.delete(namespace));
    running.set(namespace, answer);
    return answer;
  };
  return (namespace) => {
    const current = running.get(namespace);
    if (current === undefined) return start(namespace);
    const waiting = next.get(namespace);
    if (waiting !== undefined) return waiting;
    const after = current.then(() => {
      next.delete(namespace);
      return start(namespace);
    });
    next.set(namespace, after);
    return after;
  };
}
