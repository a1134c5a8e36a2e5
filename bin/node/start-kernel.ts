import { describeError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import { createNetlinkWorker, type NetlinkWorker } from '#native/netlink/worker.ts';

/** The node's thread for netlink. Where it dies, so does the program. */
export function startKernel(logger: Logger): Promise<NetlinkWorker> {
  return createNetlinkWorker({
    onDeath: (error) => {
      // Nothing works without it, and a restart harms no pod.
      logger.error({ error: describeError(error) }, 'the netlink thread died');
      process.exit(1);
    },
  });
}
