import { readFileSync } from 'node:fs';

import { PodwrightError } from '#base/errors.ts';

/** Of the machine since it started, summed over its processors, in ticks of 10 ms (proc(5), /proc/stat, the line `cpu`). */
export interface MachineTicks {
  readonly idle: number;
  /** Without what a hypervisor gave to others, and without `guest`, which `user` holds already. */
  readonly all: number;
}

const msPerTick = 10;

/** @throws {E_INVALID} where the first line is not that of all processors */
export function parseMachineTicks(stat: string): MachineTicks {
  const numbers = /^cpu +(.*)$/m.exec(stat)?.[1]?.split(' ').map(Number) ?? [];
  const [user = NaN, nice = NaN, system = NaN, idle = NaN, waiting = NaN, irq = NaN, softIrq = NaN] = numbers;
  const all = user + nice + system + idle + waiting + irq + softIrq;
  if (Number.isNaN(all)) throw new PodwrightError('E_INVALID', 'no /proc/stat: it has no line of cpu');
  return { idle: idle + waiting, all };
}

/** Share of the processors' time, 0 to 1, in which they had nothing to do. */
export function idleShare(before: MachineTicks, after: MachineTicks): number {
  return after.all === before.all ? 0 : (after.idle - before.idle) / (after.all - before.all);
}

export const readMachineTicks = (): MachineTicks => parseMachineTicks(readFileSync('/proc/stat', 'latin1'));

/** Of the children that a process has waited for, with theirs, in ms: cutime and cstime (proc(5), /proc/PID/stat). */
export function parseChildrenMs(stat: string): number {
  // The name, in parentheses, may hold anything: fields are counted behind it, the first of them being the third.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[13]) + Number(fields[14])) * msPerTick;
}
