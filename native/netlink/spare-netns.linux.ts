/** A network namespace made ahead of its use (docs/decisions/0009-spare-network-namespace.md). */
import type { Clock } from '#base/clock.ts';
import { isPodwrightError } from '#base/errors.ts';
import { O_RDONLY } from '#native/sys/constants.ts';
import { openFd, type OwnedFd } from '#native/sys/fd.ts';
import { threadNetnsPath, withFreshNetns } from '#native/sys/namespace.ts';

/** The next is made when nobody has wanted one for so long: not beside the set-up of the pod that took the last. */
export const refillAfterMs = 50;
/** One that nobody wants for so long is closed: an idle node keeps none, and no pod gets sysctl defaults older than this. */
export const keepMs = 60_000;

/** At most one, held by a descriptor alone: no path names it, and the kernel takes it down with the process. */
export interface SpareNetns extends Disposable {
  /** The namespace that is ready, if one is; the caller's from here on. The next one is made soon. */
  take(): OwnedFd | undefined;
}

export function createSpareNetns(clock: Clock): SpareNetns {
  let ready: OwnedFd | undefined;
  let timer: Disposable | undefined;
  const after = (ms: number, run: () => void): void => {
    timer?.[Symbol.dispose]();
    timer = clock.after(ms, run);
  };
  const drop = (): void => {
    ready?.[Symbol.dispose]();
    ready = undefined;
  };
  const refill = (): void => {
    try {
      ready ??= withFreshNetns(() => openFd(threadNetnsPath, O_RDONLY));
    } catch (error) {
      // Whoever wants one makes it then, and is told why it cannot be made.
      if (!isPodwrightError(error)) throw error;
      return;
    }
    after(keepMs, drop);
  };
  return {
    take: () => {
      const taken = ready;
      ready = undefined;
      after(refillAfterMs, refill);
      return taken;
    },
    [Symbol.dispose]: () => {
      timer?.[Symbol.dispose]();
      drop();
    },
  };
}
