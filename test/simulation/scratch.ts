import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const memory = '/dev/shm';

/** A directory that goes with the process; in memory where there is one: kubelets make and remove files all the time. */
export function makeScratchDirectory(): string {
  const directory = mkdtempSync(path.join(existsSync(memory) ? memory : tmpdir(), 'simulate-'));
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  return directory;
}
