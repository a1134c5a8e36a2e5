import { systemClock } from '#base/clock.ts';
import { execFile } from 'node:child_process';
import { closeSync, writeSync } from 'node:fs';
import { promisify } from 'node:util';

/** Tells whoever started this process (systemd by NOTIFY_SOCKET, `podwright up` by a pipe) that it serves. */
export async function announceReady(environment: NodeJS.ProcessEnv): Promise<void> {
  const fd = environment['PODWRIGHT_READY_FD'];
  if (fd !== undefined) {
    writeSync(Number(fd), 'READY\n');
    closeSync(Number(fd));
    delete environment['PODWRIGHT_READY_FD'];
  }
  await notifySystemd(environment, 'READY=1');
  feedWatchdog(environment);
}

/** sd_notify(3). Node has no unix datagram sockets, so systemd's own tool is asked; nothing happens outside systemd. */
export async function notifySystemd(environment: NodeJS.ProcessEnv, state: string): Promise<void> {
  if (environment['NOTIFY_SOCKET'] === undefined) return;
  await promisify(execFile)('systemd-notify', [state], { env: environment });
}

/**
 * The milliseconds between signs of life that the unit's WatchdogSec asks for: a third of it, so that one may be late.
 * Undefined where none is asked of this process. sd_watchdog_enabled(3). Pure.
 */
export function watchdogIntervalMs(environment: NodeJS.ProcessEnv, pid: number): number | undefined {
  const us = Number(environment['WATCHDOG_USEC']);
  const of = environment['WATCHDOG_PID'];
  if (!Number.isSafeInteger(us) || us <= 0) return undefined;
  return of === undefined || Number(of) === pid ? Math.max(1, Math.floor(us / 3000)) : undefined;
}

/** From the event loop's own timer, so that a loop that hangs gets the process restarted. */
function feedWatchdog(environment: NodeJS.ProcessEnv): void {
  const intervalMs = watchdogIntervalMs(environment, process.pid);
  if (intervalMs === undefined) return;
  const feed = (): void => {
    systemClock.after(intervalMs, feed);
    notifySystemd(environment, 'WATCHDOG=1').catch((error: unknown) => {
      // One that is lost does no harm; systemd counts.
      console.error(`podwright: tell systemd's watchdog: ${String(error)}`);
    });
  };
  systemClock.after(intervalMs, feed);
}
