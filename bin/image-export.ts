import { createWriteStream, existsSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

import { describeError, errnoOf, isPodwrightError, PodwrightError } from '#base/errors.ts';
import { nodesHere, type NodeHere } from './nodes-here.ts';

interface ExportOptions {
  readonly data: string;
  /** A file; undefined: standard output. */
  readonly to?: string;
}

/** One archive of images, from the first node that has all of them. */
export async function runImageExport(references: readonly string[], options: ExportOptions): Promise<void> {
  const { to } = options;
  if (to === undefined && process.stdout.isTTY)
    throw new PodwrightError(
      'E_USAGE',
      'export images: an archive is nothing for a terminal; write it with --to FILE, or into a pipe',
    );
  const archive = await archiveOf(await nodesHere(options.data), references);
  if (to === undefined) await pipeline(Readable.from(archive), process.stdout);
  else await writeArchive(archive, to);
}

/** @throws what the first node said that has not all of them, where none has */
export async function archiveOf(
  nodes: readonly Pick<NodeHere, 'name' | 'control'>[],
  references: readonly string[],
): Promise<AsyncIterable<Buffer>> {
  let first: unknown;
  for (const { control } of nodes) {
    try {
      return await control.exportArchive(references);
    } catch (error) {
      first ??= error;
      if (!isPodwrightError(error, 'E_NOT_FOUND') && !isPodwrightError(error, 'E_UNSUPPORTED')) throw error;
    }
  }
  throw first ?? new PodwrightError('E_NOT_FOUND', 'export images: there are no nodes');
}

/** The file is there when it is whole, in place of one that was. @throws E_INVALID, E_NO_SPACE and what the archive throws */
export async function writeArchive(archive: AsyncIterable<Buffer>, path: string): Promise<void> {
  const draft = `${path}.partial`;
  try {
    const file: Writable = createWriteStream(draft, { mode: 0o600 });
    await pipeline(Readable.from(archive), file);
    await rename(draft, path);
  } catch (error) {
    if (existsSync(draft)) await rm(draft);
    if (error instanceof PodwrightError) throw error;
    const code = errnoOf(error) === 'ENOSPC' ? 'E_NO_SPACE' : 'E_INVALID';
    throw new PodwrightError(code, `write ${path}: ${errnoOf(error) ?? describeError(error)}`, {
      cause: error,
    });
  }
}
