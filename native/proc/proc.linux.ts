import { readFileSync } from 'node:fs';
import { type Clock, systemClock } from '#base/clock.ts';
import { errnoOf } from '#base/errors.ts';
import type { OwnedFd } from '#native/sys/fd.ts';
import { fromNodeError } from '#native/sys/errno.ts';
import { openPidfd, signalPidfd } from '#native/sys/process.ts';
import { countCpus, parseMeminfo, parseProcessStat, type ProcessStat } from './parse.ts';
import type { Proc, ProcessHandle } from './proc.ts';

/** Between looks at a process that is to end: libuv cannot poll a pidfd. */
const endPollMs = 20;

/** The port over /proc and pidfds. */
export function createProc(options: { readonly clock?: Clock } = {}): Proc {
  const clock = options.clock ?? systemClock;
  return {
    bootId: () => readText('/proc/sys/kernel/random/boot_id').trim(),
    kernelRelease: () => readText('/proc/sys/kernel/osrelease').trim(),
    cpuCount: () => countCpus(readText('/sys/devices/system/cpu/online')),
    memory: () => parseMeminfo(readText('/proc/meminfo')),
    stat: readStat,
    open: (pid, startTicks) => openProcess(pid, startTicks, clock),
  };
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw fromNodeError(error, `read ${path}`);
  }
}

function readStat(pid: number): ProcessStat | undefined {
  try {
    return parseProcessStat(readText(`/proc/${pid}/stat`));
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes(errnoOf(error) ?? '')) return undefined;
    throw error;
  }
}

function openProcess(pid: number, startTicks: bigint | undefined, clock: Clock): ProcessHandle | undefined {
  const pidfd = openPidfd(pid);
  if (pidfd === undefined) return undefined;
  // The pidfd comes first: what is read of the pid now is of this process, or of none.
  const stat = readStat(pid);
  if (stat === undefined || (startTicks !== undefined && stat.startTicks !== startTicks)) {
    pidfd[Symbol.dispose]();
    return undefined;
  }
  return new LinuxProcess(pidfd, stat, clock);
}

class LinuxProcess implements ProcessHandle {
  readonly pid: number;
  readonly startTicks: bigint;
  readonly #pidfd: OwnedFd;
  readonly #clock: Clock;

  constructor(pidfd: OwnedFd, stat: ProcessStat, clock: Clock) {
    this.pid = stat.pid;
    this.startTicks = stat.startTicks;
    this.#pidfd = pidfd;
    this.#clock = clock;
  }

  isRunning(): boolean {
    if (!signalPidfd(this.#pidfd, 0)) return false;
    const stat = readStat(this.pid);
    return (
      stat !== undefined && stat.startTicks === this.startTicks && stat.state !== 'Z' && stat.state !== 'X'
    );
  }

  signal(signal: number): boolean {
    return signalPidfd(this.#pidfd, signal);
  }

  async ended(signal: AbortSignal): Promise<void> {
    while (this.isRunning()) await this.#clock.sleep(endPollMs, signal);
  }

  [Symbol.dispose](): void {
    this.#pidfd[Symbol.dispose]();
  }
}
