/** The proc port: facts of the machine, and processes that cannot be mistaken for another of the same pid. */
import type { MemoryInfo, ProcessStat } from './parse.ts';

export interface Proc {
  /** Changes with every boot. */
  bootId(): string;
  /** `6.1.0-18-cloud-amd64` */
  kernelRelease(): string;
  /** CPUs online. */
  cpuCount(): number;
  memory(): MemoryInfo;
  /** undefined when there is no such process. */
  stat(pid: number): ProcessStat | undefined;
  /**
   * A hold on a process. With `startTicks` of an earlier look, undefined also when the pid belongs to another by now.
   * @throws E_PERMISSION
   */
  open(pid: number, startTicks?: bigint): ProcessHandle | undefined;
}

/** Refers to one process for as long as it is held, whatever becomes of its pid. */
export interface ProcessHandle extends Disposable {
  readonly pid: number;
  readonly startTicks: bigint;
  /** False once it has ended, reaped or not. */
  isRunning(): boolean;
  /** Whether it was there to get the signal. */
  signal(signal: number): boolean;
  /** Resolves when it has ended; rejects with the signal's reason. */
  ended(signal: AbortSignal): Promise<void>;
}
