import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { systemClock } from '#base/clock.ts';
import { PodwrightError } from '#base/errors.ts';
import { Encryption } from '#control-plane/apiserver/encryption/encryption.ts';
import { EncryptionMetrics } from '#control-plane/apiserver/encryption/encryption-metrics.ts';
import { rewriteSealed } from '#control-plane/apiserver/encryption/rewrite.ts';
import { silentLogger } from '#base/log.ts';
import { openEmbeddedStore } from '#control-plane/store/embedded.ts';
import { vacuum } from '#control-plane/store/free-pages.ts';
import { salvageStore } from '#control-plane/store/salvage.ts';
import { claimDirectory } from './ownership/claim-directory.ts';
import { print } from './terminal/print.ts';
import type { OutputFormat } from './terminal/progress.ts';

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

/** Seals every value as a server with this configuration would write it, and leaves nothing of what was there before. */
export async function runStoreRewrite(options: {
  readonly data: string;
  readonly encryptionProviderConfig: string;
  readonly output: OutputFormat;
}): Promise<void> {
  const directory = serverDirectory(options.data);
  using _claim = claimDirectory(directory, { role: 'server', mode: 0o700, option: '--data' });

  const result = await rewriteStore(directory, resolve(options.encryptionProviderConfig));
  if (options.output === 'json') print(JSON.stringify(result));
  else {
    print(
      `${result.values} values are encrypted as the configuration says; ${result.rewritten} were written anew`,
    );
  }
  if (result.failed.length === 0) return;
  throw new PodwrightError(
    'E_DAMAGED',
    `rewrite the store: these cannot be read, and stay as they are; give the keys that wrote them, behind the first:\n${result.failed.join('\n')}`,
  );
}

async function rewriteStore(directory: string, path: string): ReturnType<typeof rewriteSealed> {
  const storeDirectory = join(directory, 'store');
  const parts = { clock: systemClock, logger: silentLogger, metrics: new EncryptionMetrics() };
  using encryption = new Encryption({ path, isReloaded: false }, parts);

  await encryption.start();
  if (encryption.kmsFailure !== undefined) {
    throw new PodwrightError('E_CONNECTION', `rewrite the store: ${encryption.kmsFailure}`);
  }
  const result = await openAndRewrite(directory, storeDirectory, encryption);
  vacuum(join(storeDirectory, 'store.db'));
  return result;
}

async function openAndRewrite(
  directory: string,
  storeDirectory: string,
  encryption: Encryption,
): ReturnType<typeof rewriteSealed> {
  await using store = await openEmbeddedStore({
    directory: storeDirectory,
    markFile: join(directory, 'store.mark'),
    mustExist: true,
    erasesDeleted: true,
    clock: systemClock,
  });

  return await rewriteSealed(store, encryption);
}
