import { readdir, readFile, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';

import { writeDurably } from '#base/durable-file.ts';

const supervisorName = /^supervisor-\w+-[0-9a-f]{16}$/;

/**
 * A copy of the supervisor's binary in the agent's own directory, which it starts pods with for as long as it runs: the checkout that it
 * came from may be updated meanwhile. Those of earlier agents go; supervisors that run do not need their file.
 */
export async function holdSupervisor(binary: string, dataDir: string): Promise<string> {
  const name = basename(binary);
  const held = join(dataDir, name);
  await writeDurably(held, await readFile(binary), { mode: 0o755, survives: 'kill' });
  for (const other of await readdir(dataDir)) {
    if (supervisorName.test(other) && other !== name) await rm(join(dataDir, other), { force: true });
  }
  return held;
}
