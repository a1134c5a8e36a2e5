/** /proc files as values (proc(5)). Pure. */
import { PodwrightError } from '#base/errors.ts';

/** What we read of /proc/<pid>/stat. */
export interface ProcessStat {
  readonly pid: number;
  /** The executable's name, at most 15 bytes; may hold spaces and parentheses. */
  readonly command: string;
  readonly state: string; // R, S, D, Z, …
  readonly parentPid: number;
  /** Clock ticks since boot. With the boot id, this makes a pid unmistakable. */
  readonly startTicks: bigint;
}

/** @throws E_INVALID */
export function parseProcessStat(text: string): ProcessStat {
  // The name is the one field that may hold anything: it ends at the last parenthesis.
  const [open, close] = [text.indexOf('('), text.lastIndexOf(')')];
  const fields = text
    .slice(close + 2)
    .trim()
    .split(' ');
  const [state, parentPid] = fields;
  const startTicks = fields[19]; // Field 22 of the line; the state is field 3.
  if (open < 1 || close < open || state === undefined || startTicks === undefined) {
    throw new PodwrightError('E_INVALID', `parse process stat '${text.slice(0, 80)}'`);
  }
  return {
    pid: Number(text.slice(0, open)),
    command: text.slice(open + 1, close),
    state,
    parentPid: Number(parentPid),
    startTicks: BigInt(startTicks),
  };
}

/** /proc/meminfo, in bytes. */
export interface MemoryInfo {
  readonly totalBytes: number;
  /** What can be had without swapping (MemAvailable). */
  readonly availableBytes: number;
  readonly freeBytes: number;
  readonly swapTotalBytes: number;
}

/** @throws E_INVALID when a line is missing */
export function parseMeminfo(text: string): MemoryInfo {
  const bytesOf = (name: string): number => {
    const match = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text);
    if (match === null) throw new PodwrightError('E_INVALID', `parse meminfo: no ${name}`);
    return Number(match[1]) * 1024;
  };
  return {
    totalBytes: bytesOf('MemTotal'),
    availableBytes: bytesOf('MemAvailable'),
    freeBytes: bytesOf('MemFree'),
    swapTotalBytes: bytesOf('SwapTotal'),
  };
}

/** `0-3,6` of /sys/devices/system/cpu/online as a count. @throws E_INVALID */
export function countCpus(text: string): number {
  return text
    .trim()
    .split(',')
    .map((range) => {
      const match = /^(\d+)(?:-(\d+))?$/.exec(range);
      if (match === null) throw new PodwrightError('E_INVALID', `parse cpu list '${text.trim()}'`);
      return Number(match[2] ?? match[1]) - Number(match[1]) + 1;
    })
    .reduce((sum, count) => sum + count, 0);
}
