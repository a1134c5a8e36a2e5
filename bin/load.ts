/**
 * `podwright load`, for the entry script: makes the bundle (decision 0166), and has Node keep what it makes of each program: loads
 * what the long-running ones and their threads load, and ends, once for all options of V8 that one of them has, as Node keeps code
 * for the same options only. Where no bundle can be made that is done with the sources: Node strips a file's types with a program
 * that it keeps in memory from then on (30 MB, and again in each thread), unless its compile cache has the file as it is now.
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify, stripVTControlCharacters } from 'node:util';

import { systemClock } from '#base/clock.ts';
import { describeError, isPodwrightError } from '#base/errors.ts';
import { fileOfBundle } from './bundle/bundle.ts';
import { repositoryRoot } from './paths.ts';
import { nodeOptionSets } from './program/program.ts';

/** Times of files are compared by whole seconds. */
const sourcesRestMs = 1_500;

const run = promisify(execFile);

export async function runLoad(): Promise<void> {
  if (fileOfBundle(repositoryRoot, 'main') === undefined) await makeBundle();
  const program = join(repositoryRoot, 'bin', 'podwright.ts');
  const loads = nodeOptionSets().map((options) =>
    run(process.execPath, [
      '--disable-warning=ExperimentalWarning',
      ...options,
      program,
      'load',
      '--programs',
    ]),
  );
  await Promise.all(loads);
}

async function makeBundle(): Promise<void> {
  try {
    const { writeBundle } = await import('./bundle/write-bundle.ts');
    await writeBundle(repositoryRoot).catch(async (error: unknown) => {
      if (!isPodwrightError(error, 'E_CONFLICT')) throw error;
      await systemClock.sleep(sourcesRestMs); // Of a checkout that has just been made.
      await writeBundle(repositoryRoot);
    });
  } catch (error) {
    const problem = stripVTControlCharacters(describeError(error));
    console.error(`podwright: ${problem}; programs start from their sources, which takes longer`);
  }
}

/** In a process that has the options. */
export async function loadPrograms(): Promise<void> {
  await Promise.all([
    import('./agent.ts'),
    import('./server.ts'),
    import('./up/command.ts'),
    import('#agent/runtime/images/unpack/unpack-worker.ts'),
    import('#control-plane/store/disk.worker.ts'),
    import('#native/netlink/worker-thread.ts'),
  ]);
}
