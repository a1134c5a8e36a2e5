import { createReadStream, existsSync, statSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { join, resolve } from 'node:path';

import { systemClock } from '#base/clock.ts';
import { describeError, isPodwrightError, PodwrightError } from '#base/errors.ts';
import { failureOf } from '#base/failure.ts';
import type { ImageRecord } from '#agent/runtime/runtime.ts';
import { nodesHere, type NodeHere } from './nodes-here.ts';
import { packDirectory } from './pack-directory.ts';
import { print } from './terminal/print.ts';
import { createProgress, type OutputFormat } from './terminal/progress.ts';

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
      const records = await importInto(node, archive, options.name);
      const names = records.flatMap(namesOrId);
      progress.say(renderImported(node.name, archive, records), { node: node.name, names });
    }
  }
}

function namesOrId({ names, id }: Pick<ImageRecord, 'names' | 'id'>): readonly string[] {
  return names.length > 0 ? names : [id];
}

/** What came of an archive, and how what it has no name for gets one: no pod can ask for it otherwise. Pure. */
export function renderImported(
  node: string,
  archive: string,
  records: readonly Pick<ImageRecord, 'names' | 'id'>[],
): string {
  const come = `${node}: ${records.flatMap(namesOrId).join(', ')}`;
  if (records.every(({ names }) => names.length > 0)) return come;
  return `${come}; no name that a pod could use: podwright image import --name REPOSITORY:TAG ${archive}`;
}

/** @throws what the node said, with the archive and the node before it */
export async function importInto(
  { name: nodeName, control }: NodeHere,
  archive: string,
  name: string | undefined,
): Promise<readonly ImageRecord[]> {
  const source = openArchive(resolve(archive));
  try {
    return await control.importArchive(source, name);
  } catch (error) {
    const { code, message: why } = failureOf(error);
    const message = `import ${archive} into ${nodeName}: ${why}`;
    throw new PodwrightError(code, message, { cause: error });
  } finally {
    source.destroy();
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

/** Every reference is tried, and each that is gone is said: one that is not there keeps no other. */
export async function runImageRemove(references: readonly string[], options: ImageOptions): Promise<void> {
  const nodes = await nodesHere(options.data);
  const progress = createProgress(systemClock, options.output, print);
  await removeImages(nodes, references, (reference, inUse) =>
    progress.say(renderRemoved(reference, inUse), { reference, inUse }),
  );
}

/** Containers of an image that was removed, by node. */
export interface ImageInUse {
  readonly node: string;
  readonly containers: number;
}

/** Pure. */
export function renderRemoved(reference: string, inUse: readonly ImageInUse[]): string {
  if (inUse.length === 0) return `removed ${reference}`;
  const places = inUse.map(({ node, containers }) => `${containers} on ${node}`).join(', ');
  return `removed ${reference}; in use by containers (${places}), which keep its layers until they are gone`;
}

/** @throws the first reason of each reference that no node has, or that some node did not remove, in one line */
export async function removeImages(
  nodes: readonly NodeHere[],
  references: readonly string[],
  onRemoved: (reference: string, inUse: readonly ImageInUse[]) => void,
): Promise<void> {
  const failures: unknown[] = [];
  for (const reference of references) {
    const outcomes = await Promise.allSettled(nodes.map((node) => node.control.removeImage(reference)));
    const reasons = outcomes.flatMap((outcome) =>
      outcome.status === 'rejected' ? [outcome.reason as unknown] : [],
    );
    const others = reasons.filter((reason) => !isPodwrightError(reason, 'E_NOT_FOUND'));
    // A node that never had it is as it should be, where another had.
    const isGone = reasons.length < outcomes.length;
    const inUse = outcomes.flatMap((outcome, at) => {
      const containers = outcome.status === 'fulfilled' ? outcome.value.containers : 0;
      return containers > 0 ? [{ node: nodes[at]?.name ?? '', containers }] : [];
    });
    if (isGone) onRemoved(reference, inUse);
    const [failure = isGone ? undefined : reasons[0]] = others;
    if (failure !== undefined) failures.push(failure);
  }
  const [first] = failures;
  if (failures.length <= 1) {
    if (first !== undefined) throw first;
    return;
  }
  throw new PodwrightError(failureOf(first).code, failures.map(describeError).join('; '));
}

/** Images that no container of their node is made of, or mounts: a pod that wants one again pulls it again. */
export async function runImagePrune(options: ImageOptions): Promise<void> {
  const progress = createProgress(systemClock, options.output, print);
  const failures: string[] = [];
  for (const node of await nodesHere(options.data)) {
    const pruned = await node.control.pruneImages();
    const names = pruned.removed.flatMap(namesOrId);
    progress.say(renderPruned(node.name, pruned.removed), { node: node.name, names });
    failures.push(...pruned.failures.map((failure) => `${node.name}: ${failure}`));
  }
  if (failures.length > 0) throw new PodwrightError('E_INTERNAL', `prune images: ${failures.join('; ')}`);
}

/** What went, and how much there was of it: layers that other images have too stay. Pure. */
export function renderPruned(
  node: string,
  removed: readonly Pick<ImageRecord, 'id' | 'names' | 'sizeBytes'>[],
): string {
  if (removed.length === 0) return `${node}: no unused images`;
  const bytes = removed.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  return `${node}: removed ${removed.flatMap(namesOrId).join(', ')}; ${(bytes / mib).toFixed(1)} MiB of images`;
}
