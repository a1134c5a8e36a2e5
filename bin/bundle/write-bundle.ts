import { createHash } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';

import { writeDurably } from '#base/durable-file.ts';
import { errnoOf, PodwrightError } from '#base/errors.ts';
import { compileCachePath } from '#bin/paths.ts';
import { bundleSources, isOurs, type BundledFile } from './bundle-sources.ts';
import { bundlesDirectory, indexName, packagesOf, sourceAt, type BundleIndex } from './bundle.ts';

/** Packages that look for files beside their own. */
const leftOut: ReadonlySet<string> = new Set(['koffi', 'rolldown']);

/** Processes that run go on loading from the bundle that they began with. */
const keptBefore = 2;

/** For every user of the machine, as the packages are. */
const modes = { directory: 0o755, file: 0o644 };

/**
 * Makes all that `bin/main.ts` may load anew, in a directory named after what is in it. Who starts meanwhile has the bundle before,
 * or the sources.
 *
 * @throws E_CONFLICT when a source was changed meanwhile: there is no bundle of it
 */
export async function writeBundle(root: string): Promise<void> {
  const startedAt = Math.floor(Date.now() / 1000);
  const bundles = join(root, bundlesDirectory);
  await mkdir(bundles, { recursive: true });
  const draft = await mkdtemp(join(bundles, 'draft-'));
  try {
    const files = await bundleSources({
      root,
      entries: { main: join('bin', 'main.ts') },
      upToRoot: relative(draft, root),
      isLeftOut: (name) => leftOut.has(name),
    });
    for (const { name, text } of files) await writeFile(join(draft, name), text);
    const sources = sourcesOf(files, root).map((path) => sourceAt(root, path));
    const changed = sources.find(([, , changedAt]) => changedAt >= startedAt);
    if (changed !== undefined)
      throw new PodwrightError(
        'E_CONFLICT',
        `bundle ${root}: ${changed[0]} was changed meanwhile; once more`,
      );
    const directory = nameOf(files);
    await chmod(draft, modes.directory);
    await moveUnlessThere(draft, join(bundles, directory));
    const index: BundleIndex = { directory, packages: packagesOf(root), sources };
    await writeDurably(join(bundles, indexName), JSON.stringify(index), { mode: modes.file });
    await removeOld(bundles, directory);
    // Node never takes out of its cache what was of files that are gone.
    await rm(join(root, compileCachePath), { recursive: true, force: true, maxRetries: 3 });
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

function sourcesOf(files: readonly BundledFile[], root: string): readonly string[] {
  const ids = files.flatMap(({ sources }) => sources).filter((id) => isOurs(id, root));
  return [...new Set(ids)].map((id) => relative(root, id)).toSorted();
}

function nameOf(files: readonly BundledFile[]): string {
  const hash = createHash('sha256');
  for (const { name, text } of files) hash.update(`${name}\0${text}\0`);
  return hash.digest('hex').slice(0, 16);
}

/** What is there has the same name, and so the same content. */
async function moveUnlessThere(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    if (!['ENOTEMPTY', 'EEXIST'].includes(errnoOf(error) ?? '')) throw error;
  }
}

async function removeOld(bundles: string, current: string): Promise<void> {
  const names = (await readdir(bundles)).filter((name) => name !== current && name !== indexName);
  const others = await Promise.all(
    names.map(async (name) => ({
      path: join(bundles, name),
      madeMs: (await stat(join(bundles, name))).mtimeMs,
    })),
  );
  const old = others.toSorted((a, b) => b.madeMs - a.madeMs).slice(keptBefore);
  for (const { path } of old) await rm(path, { recursive: true, force: true });
}
