import type { Clock } from '#base/clock.ts';
import { describeError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import { rotateLog, type LogRotation } from './rotate-logs.ts';

/** A log that is being written. */
export interface OpenLog {
  readonly path: string;
  /** Tells its writer that it was renamed. */
  readonly reopen: () => Promise<void>;
}

export interface LogMonitorOptions {
  readonly rotation: LogRotation;
  /** containerLogMonitorInterval of a kubelet. */
  readonly intervalMs: number;
  readonly logs: () => readonly OpenLog[];
  readonly clock: Clock;
  readonly log: Logger;
}

/** The kubelet's; sizes of files are nobody's event. */
export const defaultLogMonitorIntervalMs = 10_000;

/** Rotates every log that has grown too large. One that cannot be is reported, and the others go on. */
export async function rotateLogs(options: LogMonitorOptions): Promise<void> {
  const { rotation, clock, log } = options;
  for (const { path, reopen } of options.logs()) {
    try {
      await rotateLog(path, { rotation, nowMs: clock.now(), reopen });
    } catch (error) {
      log.warn({ path, error: describeError(error) }, 'log not rotated');
    }
  }
}

/** Rotates again and again until disposed. */
export function monitorLogs(options: LogMonitorOptions): Disposable {
  let timer: Disposable | undefined;
  let isStopped = false;
  const again = (): void => {
    if (isStopped) return;
    timer = options.clock.after(options.intervalMs, () => void rotateLogs(options).then(again));
  };
  again();
  return {
    [Symbol.dispose]: () => {
      isStopped = true;
      timer?.[Symbol.dispose]();
    },
  };
}
