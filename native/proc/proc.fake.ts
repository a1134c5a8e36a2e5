import type { MemoryInfo, ProcessStat } from './parse.ts';
import type { Proc, ProcessHandle } from './proc.ts';

export interface FakeProc extends Proc {
  /** Starts a process under a pid that is free. */
  start(pid: number, command?: string): void;
  /** Ends one; its pid is free afterwards. */
  end(pid: number): void;
  /** The signals that each process got, oldest first. */
  readonly signals: readonly { readonly pid: number; readonly signal: number }[];
}

const memory: MemoryInfo = {
  totalBytes: 8_589_934_592,
  availableBytes: 4_294_967_296,
  freeBytes: 2_147_483_648,
  swapTotalBytes: 0,
};

const sigkill = 9;
const sigterm = 15;

/** A machine with two CPUs and 8 GiB; SIGTERM and SIGKILL end its processes at once. */
export function createFakeProc(): FakeProc {
  const processes = new Map<number, ProcessStat>();
  const waiting = new Map<ProcessStat, PromiseWithResolvers<void>[]>();
  const signals: { readonly pid: number; readonly signal: number }[] = [];
  let ticks = 1_000n;
  const end = (pid: number): void => {
    const stat = processes.get(pid);
    processes.delete(pid);
    if (stat === undefined) return;
    for (const { resolve } of waiting.get(stat) ?? []) resolve();
    waiting.delete(stat);
  };
  return {
    bootId: () => '00000000-0000-4000-8000-000000000000',
    kernelRelease: () => '6.1.0-fake',
    cpuCount: () => 2,
    memory: () => memory,
    stat: (pid) => processes.get(pid),
    open: (pid, startTicks) => {
      const stat = processes.get(pid);
      if (stat === undefined || (startTicks !== undefined && startTicks !== stat.startTicks))
        return undefined;
      return holdOf(stat);
    },
    start: (pid, command = 'fake') => {
      processes.set(pid, { pid, command, state: 'S', parentPid: 1, startTicks: ticks++ });
    },
    end,
    signals,
  };

  function holdOf(stat: ProcessStat): ProcessHandle {
    const isRunning = (): boolean => processes.get(stat.pid) === stat;
    return {
      pid: stat.pid,
      startTicks: stat.startTicks,
      isRunning,
      signal: (signal) => {
        if (!isRunning()) return false;
        if (signal !== 0) signals.push({ pid: stat.pid, signal });
        if (signal === sigkill || signal === sigterm) end(stat.pid);
        return true;
      },
      ended: async (abort) => {
        abort.throwIfAborted();
        if (!isRunning()) return;
        const end = Promise.withResolvers<void>();
        waiting.set(stat, [...(waiting.get(stat) ?? []), end]);
        abort.addEventListener('abort', () => end.reject(abort.reason), { once: true });
        await end.promise;
      },
      [Symbol.dispose]: () => {},
    };
  }
}
