/** Removals of what is in another runtime: one of each at a time, and again where the runtime is at it already. */
import type { Clock } from '#base/clock.ts';
import { createTurns } from '#base/turns.ts';
import { isPodwrightError } from '#base/errors.ts';
import type { Services } from '#proto/cri/api.ts';
import type { UnixClient } from '#proto/unix-client.ts';
import { saidBy } from './cri-streams.ts';
import type { KnownContainer } from './observe.ts';
import { orNone, rpcError } from './rpc-error.ts';

export interface RemovalPorts {
  readonly client: UnixClient;
  readonly service: Services['runtime.v1.RuntimeService'];
  readonly clock: Clock;
}

export interface Removals {
  /** What is not there is removed already. @throws rpcError */
  container(container: Pick<KnownContainer, 'criId' | 'sandboxId'>): Promise<void>;
  /** With all containers that are in it. @throws rpcError */
  sandbox(id: string, signal: AbortSignal): Promise<void>;
}

const removeMsMax = 120_000;
const laterMs = 500;
const triesMax = 60;
const noSignal = new AbortController().signal;

/**
 * Another removal of the container is under way, or a start whose client has gone: containerd refuses, and means that it may be asked
 * again (pkg/cri/server: setContainerRemoving). Pure.
 */
export function isLater(error: unknown): boolean {
  return (
    isPodwrightError(error) && /already in removing state|in starting state, can't be/.test(saidBy(error))
  );
}

/** In turns by sandbox: the removal of that removes its containers, too. */
export function createRemovals({ client, service, clock }: RemovalPorts): Removals {
  const turns = createTurns();
  const underWay = new Map<string, Promise<void>>();

  const remove = async (
    sandboxId: string,
    ask: () => Promise<unknown>,
    signal: AbortSignal,
  ): Promise<void> => {
    using _turn = await turns.take(sandboxId);

    for (let tries = 1; ; tries += 1) {
      signal.throwIfAborted();
      try {
        return await orNone(ask());
      } catch (error) {
        if (!isLater(error) || tries >= triesMax) throw rpcError(error);
      }
      await clock.sleep(laterMs, signal);
    }
  };
  return {
    container: ({ criId, sandboxId }) => {
      const before = underWay.get(criId);
      if (before !== undefined) return before;
      const options = { timeoutMs: removeMsMax };
      const ask = () => client.call(service.RemoveContainer, { container_id: criId }, options);
      const removal = remove(sandboxId, ask, noSignal).finally(() => underWay.delete(criId));
      underWay.set(criId, removal);
      return removal;
    },
    sandbox: (id, signal) => {
      const options = { timeoutMs: removeMsMax, signal };
      const ask = () => client.call(service.RemovePodSandbox, { pod_sandbox_id: id }, options);
      return remove(id, ask, signal);
    },
  };
}
