import { fork, type ChildProcess } from 'node:child_process';
import { addSums, noWorlds, type WorldsSum } from './worlds-sum.ts';

/**
 * What a process of worlds tells the one that started it.
 *
 * ```
 * ──▶ text   of a world, whole
 * ──▶ sum    of all its worlds; last
 * ```
 */
export type Told =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'sum'; readonly sum: WorldsSum };

export interface JobsOptions {
  /** What runs worlds, and its arguments for each of the processes. */
  readonly program: string;
  readonly argsOf: (job: number) => readonly string[];
  readonly jobs: number;
  /** Goes on after a world that is wrong. */
  readonly isKept: boolean;
  readonly write: (text: string) => void;
}

/** Runs worlds in processes beside each other: a world has the time of its process. @returns of all of them */
export async function runInProcesses({
  program,
  argsOf,
  jobs,
  isKept,
  write,
}: JobsOptions): Promise<WorldsSum> {
  const running = new Set<ChildProcess>();
  const one = (job: number): Promise<WorldsSum> => {
    const { promise, resolve, reject } = Promise.withResolvers<WorldsSum>();
    const child = fork(program, argsOf(job));
    running.add(child);
    let sum: WorldsSum | undefined;
    child.on('error', reject);
    child.on('message', (told: Told) => {
      if (told.kind === 'text') return write(told.text);
      ({ sum } = told);
      if (!sum.isWell && !isKept) for (const other of running) if (other !== child) other.kill();
    });
    child.on('exit', (code, signal) => {
      running.delete(child);
      if (sum === undefined && signal === null) write(`a process of worlds ended with code ${code}`);
      resolve(sum ?? { ...noWorlds, isWell: signal !== null });
    });
    return promise;
  };
  const sums = await Promise.all(Array.from({ length: jobs }, (_, job) => one(job)));
  return sums.reduce(addSums, noWorlds);
}
