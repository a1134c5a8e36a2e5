import type { Clock } from '#base/clock.ts';
import { describeError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { CsiVolumes } from '#agent/volume/volume.ts';
import type { CsiDrivers } from './csi-drivers.ts';

/** Undoes what is staged for nobody, beside all else: per driver one at a time, again until it is done or the driver is gone. */
export interface Unstaging extends Disposable {
  start(driver: string): void;
}

export interface UnstagingOptions extends Pick<CsiVolumes, 'unstageUnused'> {
  readonly drivers: Pick<CsiDrivers, 'list'>;
  readonly clock: Clock;
  readonly logger: Logger;
}

const retryMs = 10_000;

export function startUnstaging({ drivers, unstageUnused, clock, logger }: UnstagingOptions): Unstaging {
  const abort = new AbortController();
  const wanted = new Set<string>();
  const running = new Set<string>();
  const isThere = (driver: string): boolean => drivers.list().some(({ name }) => name === driver);
  const run = async (driver: string): Promise<void> => {
    while (wanted.has(driver) && isThere(driver) && !abort.signal.aborted) {
      wanted.delete(driver);
      try {
        await unstageUnused(driver);
      } catch (error) {
        if (abort.signal.aborted) return;
        logger.warn({ driver, error: describeError(error), retryMs }, 'staged volumes of nobody stay');
        wanted.add(driver);
        await clock.sleep(retryMs, abort.signal);
      }
    }
  };
  return {
    start: (driver) => {
      wanted.add(driver);
      if (running.has(driver)) return;
      running.add(driver);
      void run(driver)
        .catch(() => undefined) // Ends with the signal.
        .finally(() => {
          running.delete(driver);
        });
    },
    [Symbol.dispose]: () => {
      abort.abort(new DOMException('stopped', 'AbortError'));
    },
  };
}
