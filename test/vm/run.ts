/** `npm run test:vm [-- PART]`: makes the image where it is not cached, runs the jobs in machines, one line per step and check. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { describeError } from '#base/errors.ts';
import { buildImage, type VmImage } from './image.ts';
import { packJob } from './job.ts';
import { runVm } from './machine.ts';
import { missingPackages } from './programs.ts';
import { parseReport } from './report.ts';

interface Job {
  readonly name: string;
  readonly program: string;
  readonly timeoutMs: number;
}

const jobs: readonly Job[] = [
  { name: 'systemd units on cgroup v2', program: 'test/vm/guest/systemd-node.ts', timeoutMs: 1_200_000 },
  { name: 'isolation and pressure', program: 'test/vm/guest/isolation.ts', timeoutMs: 1_500_000 },
];

const startMs = performance.now();
const count = { passed: 0, failed: 0 };

function say(mark: string, text: string): void {
  const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
  console.log(`${seconds.padStart(6)} s  ${mark.padEnd(4)} ${text}`);
}

/** A machine per try. What a check finds is final; a set-up that dies is tried once more (docs/kernel-notes.md#tcg-segv). */
const triesMax = 2;

interface Outcome {
  /** Why the job did not come to its end, if it did not. */
  readonly died: string | undefined;
  readonly passed: number;
  readonly failed: number;
}

async function runJob(job: Job, image: VmImage, directory: string): Promise<void> {
  for (let tries = 1; ; tries++) {
    const consoleLog = join(directory, `console-${tries}.log`);
    const outcome = await runOnce(job, image, { directory, consoleLog });
    const showsConsole = process.env['PODWRIGHT_VM_CONSOLE'] !== undefined;
    if (showsConsole || outcome.died !== undefined || outcome.failed > 0) {
      console.log(`--- console of the machine\n${readFileSync(consoleLog, 'utf8').trimEnd()}\n---`);
    }
    const isFinal = outcome.died === undefined || outcome.failed > 0 || tries === triesMax;
    if (isFinal) {
      count.passed += outcome.passed;
      count.failed += outcome.failed + (outcome.died === undefined ? 0 : 1);
      if (outcome.died !== undefined) say('FAIL', `${job.name}: ${outcome.died}`);
      return;
    }
    say('', `${job.name}: ${outcome.died}; once more in another machine`);
  }
}

async function runOnce(
  job: Job,
  image: VmImage,
  { directory, consoleLog }: { readonly directory: string; readonly consoleLog: string },
): Promise<Outcome> {
  let isThrough = false;
  let died: string | undefined;
  let passed = 0;
  let failed = 0;
  const end = await runVm({
    image,
    jobTar: await packJob(directory, job.program),
    consoleLog,
    timeoutMs: job.timeoutMs,
    onLine: (line) => {
      const report = parseReport(line);
      if (report?.kind === 'step') say('', `${report.text} (${report.ms} ms)`);
      else if (report?.kind === 'passed') {
        passed++;
        say('ok', `${report.text} (${report.ms} ms)`);
      } else if (report?.kind === 'failed') {
        failed++;
        say('FAIL', `${report.text}: ${report.why}`);
      } else if (report?.kind === 'died') died = report.why;
      else if (report?.kind === 'through') isThrough = true;
      else say('', line);
    },
  });
  if (end.kind === 'failure') died ??= end.why;
  else if (end.kind === 'timeout') died ??= 'it took too long';
  else if (!isThrough) died ??= 'the machine ended before the job did';
  return { died, passed, failed };
}

async function main(): Promise<void> {
  const missing = missingPackages();
  if (missing.length > 0)
    throw new Error(`find what makes and runs machines: apt-get install ${missing.join(' ')}`);
  const directory = mkdtempSync(join(tmpdir(), 'podwright-vm-'));
  using undo = new DisposableStack();
  undo.defer(() => rmSync(directory, { recursive: true, force: true }));

  const { image, isCached } = await buildImage((text) => say('', text));
  say('', isCached ? 'image: made before' : 'image: made');
  const only = process.argv[2];
  for (const job of jobs) {
    if (only !== undefined && !job.program.includes(only)) continue;
    say('', `machine: ${job.name}`);
    await runJob(job, image, directory);
  }
}

try {
  await main();
} catch (error) {
  count.failed++;
  say('FAIL', describeError(error));
}
console.log(`${count.passed} passed, ${count.failed} failed`);
process.exitCode = count.failed === 0 ? 0 : 1;
