import type { Clock } from '#base/clock.ts';
import { describeError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { CSIDriver } from '#api/generated/objects.ts';
import type { Informer } from '#client/client.ts';
import type { CsiDrivers } from './csi-drivers.ts';
import type { CsiNodeWriter } from './csi-node.ts';

export interface FollowAllocatableOptions {
  readonly drivers: Pick<CsiDrivers, 'list'>;
  readonly objects: Pick<Informer<CSIDriver>, 'get'>;
  readonly writer: Pick<CsiNodeWriter, 'present'>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** CSIDriver is asked this often whether its driver is due; the least that nodeAllocatableUpdatePeriodSeconds may say is ten seconds. */
const lookMs = 5_000;

/** How many volumes a node can have, asked again as often as the CSIDriver says (nodeAllocatableUpdatePeriodSeconds). Until disposed. */
export function followAllocatable(options: FollowAllocatableOptions): AsyncDisposable {
  const { drivers, objects, clock } = options;
  const abort = new AbortController();
  const askedAt = new Map<string, number>();
  const look = async (): Promise<void> => {
    for (const driver of drivers.list()) {
      const seconds = objects.get(driver.name)?.spec.nodeAllocatableUpdatePeriodSeconds;
      if (seconds === undefined) continue;
      const before = askedAt.get(driver.name);
      if (before === undefined) askedAt.set(driver.name, clock.monotonic());
      if (before === undefined || clock.monotonic() - before < seconds * 1000) continue;
      askedAt.set(driver.name, clock.monotonic());
      await refreshOne(options, driver, abort.signal);
    }
  };
  const loop = (async () => {
    for (;;) {
      await clock.sleep(lookMs, abort.signal);
      await look();
    }
  })().catch(() => undefined); // Ends with the signal alone.
  return {
    [Symbol.asyncDispose]: async () => {
      abort.abort(new DOMException('stopped', 'AbortError'));
      await loop;
    },
  };
}

async function refreshOne(
  { writer, logger }: FollowAllocatableOptions,
  driver: ReturnType<CsiDrivers['list']>[number],
  signal: AbortSignal,
): Promise<void> {
  try {
    await writer.present(driver.name, await driver.call('NodeGetInfo', {}, signal));
  } catch (error) {
    signal.throwIfAborted();
    logger.warn({ driver: driver.name, error: describeError(error) }, 'limits of the driver not asked');
  }
}
