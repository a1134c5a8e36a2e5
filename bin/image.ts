import { createReadStream, existsSync, statSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { join, resolve } from 'node:path';

import { systemClock } from '#base/clock.ts';
import { PodwrightError } from '#base/errors.ts';
import type { ImageRecord } from '#agent/runtime/runtime.ts';
import { nodesHere } from './nodes-here.ts';
import { packDirectory } from './pack-directory.ts';
import { print } from './print.ts';
import { createProgress, type OutputFormat } from './progress.ts';

const mib = 1_048_576;

interface ImageOptions {
  readonly data: string;
  readonly output: OutputFormat;
}

/** Every archive into every node; a node that refuses one stops the command with its reason. */
export async function runImageImport(
  archives: readonly string[],
  options: ImageOptions & { readonly name?: string },
): Promise<void> {
  const nodes = await nodesHere(options.data);
  const progress = createProgress(systemClock, options.output, print);
  for (const archive of archives) {
    if (!existsSync(archive)) throw new PodwrightError('E_NOT_FOUND', `import ${archive}: no such file`);
    for (const node of nodes) {
      const records = await node.control.importArchive(openArchive(resolve(archive)), options.name);
      const names = records.flatMap(({ names, id }) => (names.length > 0 ? names : [id]));
      progress.say(`${node.name}: ${names.join(', ')}`, { node: node.name, names });
    }
  }
}

/** An archive as it is; a directory (an OCI layout) as a tar of it. */
function openArchive(path: string): Readable {
  if (!statSync(path).isDirectory()) return createReadStream(path);
  if (!existsSync(join(path, 'oci-layout'))) {
    throw new PodwrightError(
      'E_INVALID',
      `import ${path}: a directory must be an OCI layout, and this has no oci-layout file`,
    );
  }
  return packDirectory(path);
}

export async function runImageList(options: ImageOptions): Promise<void> {
  for (const node of await nodesHere(options.data)) {
    for (const image of await node.control.images()) {
      if (options.output === 'json') print(JSON.stringify({ node: node.name, ...image }));
      else for (const row of renderImage(node.name, image)) print(row);
    }
  }
}

/** A row for each name of an image; one that has none goes by its digest. Pure. */
export function renderImage(
  node: string,
  image: Pick<ImageRecord, 'id' | 'names' | 'digests' | 'sizeBytes'>,
): readonly string[] {
  const names = image.names.length > 0 ? image.names : [image.digests[0] ?? '<none>'];
  const id = image.id.replace('sha256:', '').slice(0, 12);
  const size = (image.sizeBytes / mib).toFixed(1).padStart(8);
  return names.map((name) => `${node.padEnd(10)} ${name.padEnd(56)} ${id} ${size} MiB`);
}

export async function runImageRemove(references: readonly string[], options: ImageOptions): Promise<void> {
  const nodes = await nodesHere(options.data);
  for (const reference of references) {
    const outcomes = await Promise.allSettled(nodes.map((node) => node.control.removeImage(reference)));
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
    if (options.output === 'text') print(`removed ${reference}`);
  }
}
