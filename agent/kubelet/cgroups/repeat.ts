import type { Clock } from '#base/clock.ts';
import { describeError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';

export interface Repeated extends Disposable {
  /** Does it now. */
  refresh(): void;
}

/** Does the same at once when asked, and every so often anyway. A failure is one line with `what`; the next turn tries again. */
export function repeat(
  { clock, logger, everyMs }: { readonly clock: Clock; readonly logger: Logger; readonly everyMs: number },
  what: string,
  work: () => Promise<void>,
): Repeated {
  const abort = new AbortController();
  let wake = Promise.withResolvers<void>();
  const run = async (): Promise<void> => {
    for (;;) {
      await Promise.race([clock.sleep(everyMs, abort.signal), wake.promise]);
      abort.signal.throwIfAborted();
      wake = Promise.withResolvers();
      await work().catch((error: unknown) => logger.warn({ error: describeError(error) }, what));
    }
  };
  run().catch(() => undefined); // Ends by abort only.
  return {
    refresh: () => wake.resolve(),
    [Symbol.dispose]: () => abort.abort(new DOMException('kubelet stopped', 'AbortError')),
  };
}
