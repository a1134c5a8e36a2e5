import { existsSync } from 'node:fs';
import { join } from 'node:path';

import type { Clock } from '#base/clock.ts';

/** Milliseconds, from a launcher that starts a node beside its server. */
export const awaitVariable = 'PODWRIGHT_AWAIT_CREDENTIALS_MS';
const awaitLookMs = 10;

/** Until the server has written the last of a node's credentials (`writeNodeCredentials`), or the time is over: what lacks is said then. */
export async function awaitCredentials(
  directory: string,
  environment: Readonly<Record<string, string | undefined>>,
  clock: Clock,
): Promise<void> {
  const waitMs = Number(environment[awaitVariable] ?? 0);
  const untilMs = clock.monotonic() + waitMs;
  while (!existsSync(join(directory, 'ca.crt')) && clock.monotonic() < untilMs)
    await clock.sleep(awaitLookMs);
}
