import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createFakeClock, systemClock } from '#base/clock.ts';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';
import { awaitCredentials, awaitVariable } from './await-credentials.ts';

const directory = join(scratchDirectory('podwright-await-'), 'nodes', 'node-1');

it('waits for the last file, if it is told to, and no longer than it may', async () => {
  await awaitCredentials(directory, {}, createFakeClock()); // Time stands: it does not wait.
  const startMs = performance.now();
  await awaitCredentials(directory, { [awaitVariable]: '50' }, systemClock);
  expect(performance.now() - startMs).toBeGreaterThanOrEqual(49);
  let isThere = false;
  const waiting = awaitCredentials(directory, { [awaitVariable]: '60000' }, systemClock).then(
    () => (isThere = true),
  );
  await systemClock.sleep(30);
  expect(isThere).toBe(false);
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'ca.key'), '');
  await systemClock.sleep(30);
  expect(isThere).toBe(false);
  writeFileSync(join(directory, 'ca.crt'), '');
  await waiting;
});
