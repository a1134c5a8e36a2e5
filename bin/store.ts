import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { systemClock } from '#base/clock.ts';
import { PodwrightError } from '#base/errors.ts';
import { salvageStore } from '#control-plane/store/salvage.ts';
import { claimDirectory } from './ownership/claim-directory.ts';
import { print } from './print.ts';
import type { OutputFormat } from './progress.ts';

/** Where a server keeps its store: DIR of `podwright server`, or DIR/server of `podwright up`. @throws E_NOT_FOUND */
function serverDirectory(data: string): string {
  const directory = resolve(data);
  const found = [directory, join(directory, 'server')].find((each) =>
    ['store', 'store.mark', 'pki'].some((name) => existsSync(join(each, name))),
  );
  if (found !== undefined) return found;
  throw new PodwrightError(
    'E_NOT_FOUND',
    `find a store in ${directory}: there is none; name the server's directory with --data`,
  );
}

/** Keeps what is whole of a damaged store, and sets the damaged files aside. */
export async function runStoreSalvage(options: {
  readonly data: string;
  readonly output: OutputFormat;
}): Promise<void> {
  const directory = serverDirectory(options.data);
  // What is in the way of the new store is removed: in a directory of somebody else that is theirs.
  using _claim = claimDirectory(directory, { role: 'server', mode: 0o700, option: '--data' });

  const result = salvageStore(join(directory, 'store'), join(directory, 'store.mark'), systemClock.now());
  if (options.output === 'json') {
    print(JSON.stringify(result));
    return;
  }
  print(
    `kept ${result.kept} objects, as of the newest version that is whole; the store goes on at revision ${result.revision}`,
  );
  if (result.refused > 0) print(`${result.refused} versions were not as they had been written and are lost`);
  if (result.isPartial) print('parts of store.db could not be read and are lost');
  if (result.damagedDirectory !== undefined)
    print(`the damaged files are in ${result.damagedDirectory}; remove them when nothing is missed`);
}
