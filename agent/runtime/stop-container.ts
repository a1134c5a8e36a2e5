import type { Clock } from '#base/clock.ts';
import { isPodwrightError } from '#base/errors.ts';
import type { Pod } from './pod.ts';
import type { ContainerDocument } from './pod-state.ts';

const SIGKILL = 9;

/** Stop signal, then SIGKILL to all of it after the grace period. Resolves when its end is written down. */
export async function stopContainer(
  pod: Pod,
  container: ContainerDocument,
  options: {
    readonly gracePeriodSeconds: number;
    readonly clock: Clock;
    /** A signal to its first process, or to all of it. */
    readonly kill: (signal: number, all: boolean) => Promise<void>;
    /** Ends the pod's supervisor, and with it all that it runs. */
    readonly killSupervisor: () => Promise<void>;
  },
  signal: AbortSignal,
): Promise<void> {
  const { id, stopSignal } = container;
  const { gracePeriodSeconds, clock, kill, killSupervisor } = options;
  const ended = pod.waitForEnd(id);
  using stop = new DisposableStack();

  const aborted = rejectOnAbort(signal, stop);
  if (gracePeriodSeconds > 0) {
    const late = Promise.withResolvers<void>();
    stop.use(clock.after(gracePeriodSeconds * 1000, late.resolve));
    await send(() => kill(stopSignal, false), killSupervisor);
    const isLate = await Promise.race([ended.then(() => false), late.promise.then(() => true), aborted]);
    if (!isLate) return;
  }
  await send(() => kill(SIGKILL, true), killSupervisor);
  await Promise.race([ended, aborted]);
}

/** A supervisor that is gone took the container with it: its end is on its way. One that answers no more is ended. */
async function send(kill: () => Promise<void>, killSupervisor: () => Promise<void>): Promise<void> {
  try {
    await kill();
  } catch (error) {
    if (isPodwrightError(error, 'E_TIMEOUT')) return killSupervisor();
    if (!isPodwrightError(error, 'E_CONNECTION') && !isPodwrightError(error, 'E_CLOSED')) throw error;
  }
}

function rejectOnAbort(signal: AbortSignal, stop: DisposableStack): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>();
  promise.catch(() => undefined); // Also where nobody races it any more.
  const onAbort = (): void => reject(signal.reason);
  if (signal.aborted) onAbort();
  signal.addEventListener('abort', onAbort);
  stop.defer(() => signal.removeEventListener('abort', onAbort));
  return promise;
}
