/**
 * `node test/ci/again.ts`: the files that `npm test` left failed are run once more, one after the other, with nothing beside them.
 * What passes then is printed as failed by chance, and is a bug all the same (docs/bugs.md); what fails again, fails.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

import { repositoryRoot } from '#bin/paths.ts';
import { failedFiles } from './file-times.ts';
import { timesFile } from './times-file.ts';

/** More than so many is no chance. */
const filesMax = 3;
const timeoutMs = 10 * 60_000;

function passesAlone(file: string): boolean {
  const { status } = spawnSync('npx', ['vitest', 'run', '--maxWorkers=1', file], {
    cwd: repositoryRoot,
    stdio: 'inherit',
    timeout: timeoutMs,
  });
  console.log(status === 0 ? `FAILED BY CHANCE, and passed alone: ${file}` : `failed again: ${file}`);
  return status === 0;
}

const failed = failedFiles(readFileSync(timesFile, 'utf8'));
const mayBeChance = failed.length > 0 && failed.length <= filesMax;
if (!mayBeChance) console.log(`${failed.length} files failed: not run again`);
process.exitCode = mayBeChance && failed.map(passesAlone).every(Boolean) ? 0 : 1;
