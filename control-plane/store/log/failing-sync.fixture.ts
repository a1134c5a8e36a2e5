/** The disk worker, on a disk whose log cannot be synced while there is a file `fails` in its directory. */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { workerData } from 'node:worker_threads';
import type { DiskOptions } from '#control-plane/store/disk-protocol.ts';

const { directory } = workerData as DiskOptions;
const { fdatasyncSync } = fs;
fs.fdatasyncSync = (descriptor) => {
  if (fs.existsSync(join(directory, 'fails')))
    throw Object.assign(new Error('EIO: i/o error, fdatasync'), { code: 'EIO' });
  fdatasyncSync(descriptor);
};
syncBuiltinESMExports();
await import('#control-plane/store/disk.worker.ts');
