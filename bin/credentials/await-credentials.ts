import { existsSync, watch } from 'node:fs';
import { dirname, join } from 'node:path';

import type { Clock } from '#base/clock.ts';

/** Milliseconds, from a launcher that starts a node beside its server. */
export const awaitVariable = 'PODWRIGHT_AWAIT_CREDENTIALS_MS';
/** Where the kernel tells nothing of a directory, as of some that others share. */
const lookAnewMs = 500;

/** Until the server has written the last of a node's credentials (`writeNodeCredentials`), or the time is over: what lacks is said then. */
export async function awaitCredentials(
  directory: string,
  environment: Readonly<Record<string, string | undefined>>,
  clock: Clock,
): Promise<void> {
  const waitMs = Number(environment[awaitVariable] ?? 0);
  const untilMs = clock.monotonic() + waitMs;
  const last = join(directory, 'ca.crt');
  while (!existsSync(last) && clock.monotonic() < untilMs)
    await nextChange(last, Math.min(lookAnewMs, untilMs - clock.monotonic()), clock);
}

/** Resolves when something changed where the file, or the first directory towards it that lacks, will be; after `waitMs` at the latest. */
async function nextChange(file: string, waitMs: number, clock: Clock): Promise<void> {
  using undo = new DisposableStack();
  const { promise, resolve } = Promise.withResolvers<void>();
  const watched = nearestDirectory(file);
  try {
    undo
      .adopt(
        watch(watched, () => resolve()),
        (watcher) => watcher.close(),
      )
      .on('error', () => undefined);
  } catch {
    // It went, or nobody may watch it: the timer remains.
  }
  // What was made before it was watched is seen at once.
  if (existsSync(file) || nearestDirectory(file) !== watched) return;
  undo.use(clock.after(waitMs, resolve));
  await promise;
}

function nearestDirectory(path: string): string {
  const above = dirname(path);
  return above === path || existsSync(above) ? above : nearestDirectory(above);
}
