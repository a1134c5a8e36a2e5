import type { Clock } from '#base/clock.ts';
import { describeError } from '#base/errors.ts';
import { KeyedQueue } from '#base/keyed-queue.ts';
import type { Logger } from '#base/log.ts';
import { nodes } from '#api/schema/kind-ref.ts';
import { computeRoutes, concernsFabric, planRoutes, podCidrsOf } from '#agent/network/fabric/fabric-plan.ts';
import type { ApiClient } from '#client/client.ts';
import { createInformers } from '#client/informers.ts';
import { createSyncNetlink } from '#native/netlink/sync.ts';
import { ownNetns } from '#native/netlink/netlink.ts';

/**
 * Routes from a server that is no node itself to the nodes' pods, so that it can reach them for the proxy subresources and
 * webhooks. Follows Node objects until disposed.
 */
export async function startPodRoutes(
  client: ApiClient,
  clock: Clock,
  logger: Logger,
): Promise<AsyncDisposable> {
  await using stack = new AsyncDisposableStack();

  const netlink = stack.use(createSyncNetlink());
  const informers = stack.use(createInformers({ client, clock, logger }));
  const cache = informers.for(nodes);
  const queue = stack.use(
    new KeyedQueue<'routes'>({
      clock,
      concurrencyMax: 1,
      backoff: { initialMs: 200, factor: 2, maxMs: 10_000 },
      work: async () => {
        const { routes, links } = await netlink.state(ownNetns);
        const all = cache.list();
        const ranges = all.flatMap(podCidrsOf);
        await netlink.apply(ownNetns, planRoutes(computeRoutes(all, ''), { routes, links }, ranges));
      },
      onError: (_key, error, retryMs) =>
        logger.warn({ error: describeError(error), retryMs }, 'routes to pods not as wanted'),
    }),
  );
  stack.use(
    cache.onChange(({ old, current }) => {
      if (concernsFabric(old, current)) queue.add('routes');
    }),
  );
  return stack.move();
}
