import type { Clock } from '#base/clock.ts';
import { describeError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import { repairLog, rotateLog, type ContainerLog, type LogRotation } from './rotate-logs.ts';

export interface LogMonitorOptions {
  readonly rotation: LogRotation;
  /** containerLogMonitorInterval of a kubelet. */
  readonly intervalMs: number;
  readonly logs: () => readonly ContainerLog[];
  readonly clock: Clock;
  readonly log: Logger;
}

/** The kubelet's; sizes of files are nobody's event. */
export const defaultLogMonitorIntervalMs = 10_000;

/** Rotates every log that has grown too large. */
export async function rotateLogs(options: LogMonitorOptions): Promise<void> {
  const { rotation, clock } = options;
  await withEach(options, 'log not rotated', (log) => rotateLog(log, { rotation, nowMs: clock.now() }));
}

/** Makes whole what an earlier agent was cut off in. */
export async function repairLogs(options: LogMonitorOptions): Promise<void> {
  await withEach(options, 'log not repaired', (log) => repairLog(log, options.rotation));
}

/** One that cannot be is reported, and the others go on. */
async function withEach(
  { logs, log }: LogMonitorOptions,
  complaint: string,
  work: (log: ContainerLog) => Promise<unknown>,
): Promise<void> {
  for (const each of logs()) {
    try {
      await work(each);
    } catch (error) {
      log.warn({ path: each.path, error: describeError(error) }, complaint);
    }
  }
}

/** Rotates at once, as this process may not live for another interval, then again and again until disposed. */
export function monitorLogs(options: LogMonitorOptions): Disposable {
  let timer: Disposable | undefined;
  let isStopped = false;
  const look = (): void => {
    void rotateLogs(options).then(() => {
      if (!isStopped) timer = options.clock.after(options.intervalMs, look);
    });
  };
  look();
  return {
    [Symbol.dispose]: () => {
      isStopped = true;
      timer?.[Symbol.dispose]();
    },
  };
}
