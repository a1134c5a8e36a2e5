import { execFile } from 'node:child_process';
import { writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

import { describeError } from '#base/errors.ts';
import type { Report } from '#test/vm/report.ts';

/** Everything takes ten to twenty times as long under TCG. */
const deadlineMsDefault = 300_000;
const pollMs = 250;
/** Of its time a probe takes at most a quarter: what it waits for runs on the same processors, and a question may take them for a second. */
const pausePerProbe = 3;
const standardOutput = 1;

export function report(line: Report): void {
  writeSync(standardOutput, `${JSON.stringify(line)}\n`);
}

/** Something that must work for the rest to make sense; throws on. */
export async function step<T>(text: string, work: () => Promise<T>): Promise<T> {
  const startMs = performance.now();
  const result = await work();
  report({ kind: 'step', text, ms: Math.round(performance.now() - startMs) });
  return result;
}

/** One line of the result. A check that fails does not keep the others from running. */
export async function check(text: string, work: () => Promise<void>): Promise<void> {
  const startMs = performance.now();
  const ms = (): number => Math.round(performance.now() - startMs);
  try {
    await work();
    report({ kind: 'passed', text, ms: ms() });
  } catch (error) {
    report({ kind: 'failed', text, ms: ms(), why: describeError(error) });
  }
}

/** Runs a program to its end and gives what it printed; throws with its words when it fails. */
export async function run(program: string, ...args: readonly string[]): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(program, args, { timeout: 2 * deadlineMsDefault });
    return stdout;
  } catch (cause) {
    const said = cause instanceof Error && 'stderr' in cause ? String(cause.stderr).trim() : '';
    throw new Error(`${program} ${args.join(' ')}: ${said === '' ? String(cause) : said}`, { cause });
  }
}

/** Waits until a probe gives something; its last failure is in the message when it does not in time. */
export async function eventually<T>(
  what: string,
  probe: () => T | undefined | Promise<T | undefined>,
  deadlineMs: number = deadlineMsDefault,
): Promise<T> {
  const giveUpMs = performance.now() + deadlineMs;
  let last = '';
  for (;;) {
    const startMs = performance.now();
    try {
      const found = await probe();
      if (found !== undefined) return found;
    } catch (error) {
      last = `; last: ${describeError(error)}`;
    }
    if (performance.now() > giveUpMs) throw new Error(`${what}: not within ${deadlineMs} ms${last}`);
    await sleep(Math.max(pollMs, pausePerProbe * (performance.now() - startMs)));
  }
}

export function expectEqual(what: string, got: unknown, want: unknown): void {
  const [gotText, wantText] = [JSON.stringify(got), JSON.stringify(want)];
  if (gotText !== wantText) throw new Error(`${what}: got ${gotText}, want ${wantText}`);
}
