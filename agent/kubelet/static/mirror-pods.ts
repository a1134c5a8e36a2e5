/** Mirror pods: by which the API shows what runs of static pods. Whoever deletes one gets another. */
import type { Clock } from '#base/clock.ts';
import { describeError } from '#base/errors.ts';
import { KeyedQueue } from '#base/keyed-queue.ts';
import type { Logger } from '#base/log.ts';
import type { Pod } from '#api/generated/objects.ts';
import { nodes, pods } from '#api/schema/kind-ref.ts';
import { isAlreadyExists, isConflict, isNotFound } from '#client/api-error.ts';
import type { ApiClient } from '#client/client.ts';
import type { WritableInformer } from '#client/informer.ts';
import {
  configAnnotations,
  fullNameOf,
  isMirror,
  mirrorOf,
  planMirrors,
  type MirrorStep,
} from './static-pod.ts';
import type { StaticPods } from './static-pods.ts';

export interface MirrorOptions {
  readonly client: ApiClient;
  /** Of the pods of this node. */
  readonly informer: WritableInformer<Pod>;
  readonly statics: StaticPods;
  readonly nodeName: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

const backoff = { initialMs: 500, factor: 2, maxMs: 10_000 } as const;

/** Works from now on, once the API has told which pods there are. */
export function keepMirrors(options: MirrorOptions): AsyncDisposable {
  const { informer, statics, clock, logger } = options;
  const queue = new KeyedQueue<'mirrors'>({
    clock,
    concurrencyMax: 1,
    backoff,
    work: async () => {
      await informer.synced;
      const steps = planMirrors(statics.list(), informer.list());
      if (steps.length > 0) await carryOut(steps, options);
    },
    onError: (_key, error, retryMs) =>
      logger.warn({ error: describeError(error), retryMs }, 'static pods are not shown by the API'),
  });
  const stack = new AsyncDisposableStack();
  stack.use(queue);
  stack.use(statics.onChange(() => queue.add('mirrors')));
  stack.use(
    informer.onChange(({ old, current }) => {
      if ([old, current].every((pod) => pod === undefined || !isMirror(pod))) return;
      const uid = current?.metadata?.annotations?.[configAnnotations.mirror];
      if (uid !== undefined && current?.status !== undefined) statics.setStatus(uid, current.status);
      queue.add('mirrors');
    }),
  );
  return stack;
}

async function carryOut(steps: readonly MirrorStep[], options: MirrorOptions): Promise<void> {
  const { client, informer, nodeName, logger } = options;
  const node = await client.get(nodes, { name: nodeName });
  for (const { op, pod } of steps) {
    const { namespace, name = '', uid } = pod.metadata ?? {};
    try {
      if (op === 'taken')
        logger.warn({ pod: fullNameOf(pod) }, 'a pod that is no mirror has the name of a static pod');
      else if (op === 'create')
        informer.observe(
          await client.create(pods, mirrorOf(pod, { name: nodeName, uid: node.metadata?.uid ?? '' })),
        );
      else
        await client.delete(
          pods,
          { namespace, name },
          { gracePeriodSeconds: 0, ...(uid === undefined ? {} : { preconditions: { uid } }) },
        );
    } catch (error) {
      // Gone, or another by now: the watch tells of it.
      if (!isNotFound(error) && !isConflict(error) && !isAlreadyExists(error)) throw error;
    }
  }
}
