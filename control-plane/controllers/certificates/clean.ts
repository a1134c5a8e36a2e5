import { certificateSigningRequests } from '#api/schema/kind-ref.ts';
import { isNotFound } from '#client/api-error.ts';
import { onlySynced, runController, type Controller } from '#client/controller.ts';
import type { ControllerContext } from '#control-plane/controllers/controller-context.ts';
import { isOutdated } from './plan.ts';

/** As often as upstream looks. */
const intervalMs = 3_600_000;
const everything = 'all';

/** Removes requests that nobody waits for any more (csrcleaner). */
export function runCsrCleaner(context: ControllerContext): Controller {
  const { informers, client, clock, logger } = context;
  const requests = informers.for(certificateSigningRequests);
  const controller = runController({
    name: 'certificatesigningrequest-cleaner-controller',
    clock,
    logger,
    concurrencyMax: 1,
    sources: [onlySynced(requests)],
    reconcile: async () => {
      for (const csr of requests.list()) {
        if (!isOutdated(csr, clock.now())) continue;
        const { name = '', uid } = csr.metadata ?? {};
        try {
          await client.delete(certificateSigningRequests, { name }, { preconditions: { uid } });
        } catch (error) {
          if (!isNotFound(error)) throw error;
        }
      }
      return { kind: 'again', afterMs: intervalMs };
    },
  });
  controller.enqueue(everything);
  return controller;
}
