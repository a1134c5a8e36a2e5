import { cpus, loadavg, release, totalmem } from 'node:os';

/** What the numbers depend on. */
export interface Machine {
  readonly cpus: number;
  readonly model: string;
  readonly kernel: string;
  readonly memoryGiB: number;
  readonly node: string;
  /** One minute's load average when this was asked. */
  readonly load: number;
}

export function machineFacts(): Machine {
  const all = cpus();
  return {
    cpus: all.length,
    model: all[0]?.model.trim() ?? '',
    kernel: release(),
    memoryGiB: Math.round(totalmem() / 1_073_741_824),
    node: process.version,
    load: loadavg()[0] ?? 0,
  };
}
