import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Budget, Measurement, PeerResult, Summary, Unit } from './row.ts';

/** One of those that are compared: does the thing once and says how long (or how much) it was. */
export type Contender =
  | { readonly name: string; readonly round: () => Promise<number> }
  | { readonly name: string; readonly skipped: string };

export function summarise(values: readonly number[]): Summary {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
  return { count: sorted.length, median: at(0.5), min: at(0), p99: at(0.99), max: at(1) };
}

/** Runs all contenders in turn, round after round, so that the machine's moods meet them alike; the first of them is ours. */
export async function alternate(measured: {
  readonly what: string;
  readonly unit: Unit;
  readonly contenders: readonly Contender[];
  readonly rounds: number;
  readonly budgets?: readonly Budget[];
  readonly detail?: () => unknown;
  /** Rounds before those that count. */
  readonly warmUp?: number;
}): Promise<Measurement> {
  const { what, unit, contenders, rounds, warmUp = 2 } = measured;
  const values = new Map<string, number[]>();
  const broken = new Map<string, string>();
  for (let round = -warmUp; round < rounds; round++) {
    for (const contender of contenders) {
      if ('skipped' in contender || broken.has(contender.name)) continue;
      try {
        const value = await contender.round();
        if (round >= 0) values.set(contender.name, [...(values.get(contender.name) ?? []), value]);
      } catch (error) {
        if (contender === contenders[0]) throw error;
        broken.set(contender.name, error instanceof Error ? error.message : String(error));
      }
    }
  }
  const resultOf = (contender: Contender): PeerResult => {
    const { name } = contender;
    const skipped = 'skipped' in contender ? contender.skipped : broken.get(name);
    return skipped === undefined ? { name, ...summarise(values.get(name) ?? []) } : { name, skipped };
  };
  const [ours, ...peers] = contenders;
  return {
    what,
    unit,
    ours: summarise(values.get(ours?.name ?? '') ?? []),
    peers: peers.map(resultOf),
    budgets: measured.budgets ?? [],
    ...(measured.detail === undefined ? {} : { detail: measured.detail() }),
  };
}

/** The program's path, looked for in PATH and where administrators' programs are. */
export function findProgram(name: string): string | undefined {
  return [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin']
    .map((directory) => join(directory, name))
    .find((path) => existsSync(path));
}

/** A peer's contender, or why there is none. */
export function ifInstalled(name: string, make: (path: string) => () => Promise<number>): Contender {
  const path = findProgram(name);
  return path === undefined ? { name, skipped: 'not installed' } : { name, round: make(path) };
}

/** Milliseconds that `work` took. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  await work();
  return performance.now() - startMs;
}

/** CLOCK_MONOTONIC in nanoseconds: the clock that the probe program prints. */
export function monotonicNs(): bigint {
  return process.hrtime.bigint();
}

/** Milliseconds from `startNs` to the first instruction, as the probe printed it. */
export function firstInstructionMs(startNs: bigint, output: string): number {
  const printed = /(\d{6,})\s*$/.exec(output)?.[1];
  if (printed === undefined) throw new Error(`the probe printed ${JSON.stringify(output.slice(0, 200))}`);
  return Number(BigInt(printed) - startNs) / 1e6;
}
