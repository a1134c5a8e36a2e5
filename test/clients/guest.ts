/** Suites that are programs of their own, in the client's language: they print a line of JSON for each of their examples. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

import { parseReport } from '#test/vm/report.ts';
import { judge, type Tally } from './tally.ts';
import type { Expected } from './rows.ts';

/** What hangs is ended and named by the example after the last one that was through. */
const guestMinutesMax = 10;

export interface Guest {
  readonly suite: string;
  readonly command: readonly string[];
  readonly directory: string;
  readonly environment: Readonly<Record<string, string>>;
  /** By the name of the example. */
  readonly expected: Readonly<Record<string, Expected>>;
}

/** Runs the program to its end; every example of `expected` has to be among those that it tried. */
export async function runGuest(guest: Guest, tally: Tally): Promise<void> {
  const [program = '', ...args] = guest.command;
  const child = spawn(program, args, {
    cwd: guest.directory,
    env: { ...process.env, ...guest.environment },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: guestMinutesMax * 60_000,
  });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-2000)));
  const left = new Set(Object.keys(guest.expected));
  let isThrough = false;
  const lines = createInterface({ input: child.stdout });
  lines.on('line', (line) => {
    const report = parseReport(line);
    if (report?.kind === 'passed' || report?.kind === 'failed') {
      const problem = report.kind === 'failed' ? report.why : undefined;
      tally.add(guest.suite, report.text, judge(problem, guest.expected[report.text]));
      left.delete(report.text);
    } else if (report?.kind === 'through') isThrough = true;
    else said = `${said}${line}\n`.slice(-2000);
  });
  await Promise.all([once(child, 'exit'), once(lines, 'close')]);
  if (!isThrough) tally.add(guest.suite, 'all examples', { kind: 'failed', why: `it ended before\n${said}` });
  for (const name of left)
    tally.add(guest.suite, name, { kind: 'failed', why: 'expected to fail, and was not tried' });
}
