import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { PassThrough, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

import { pack, type Pack } from 'tar-stream';

/** The files of a directory as a tar, made as it is read. Links are followed; what is no file or directory is left out. */
export function packDirectory(directory: string): Readable {
  const archive = pack();
  addAll(archive, directory, directory)
    .then(() => archive.finalize())
    .catch((error: Error) => archive.destroy(error));
  return archive.pipe(new PassThrough());
}

async function addAll(archive: Pack, root: string, directory: string): Promise<void> {
  for (const name of (await readdir(directory)).toSorted()) {
    const path = join(directory, name);
    const facts = await stat(path);
    if (facts.isDirectory()) await addAll(archive, root, path);
    else if (facts.isFile()) {
      await pipeline(createReadStream(path), archive.entry({ name: relative(root, path), size: facts.size }));
    }
  }
}
