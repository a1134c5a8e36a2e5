/** A directory of what a program is made of, beside the name by which others call it. */
import { createHash } from 'node:crypto';
import { chmod, mkdtemp, rename, rm, rmdir, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { errnoOf, PodwrightError } from '#base/errors.ts';
import { namesIn } from '#base/names-in.ts';

export interface PlacedFile {
  readonly content: string | Uint8Array;
  readonly mode?: number;
}

export interface ProgramDirectory {
  /** Where other programs look. */
  readonly binDir: string;
  /** Directories are called so, and by a hash. */
  readonly prefix: string;
  /** All that may lie in one: what is put there, and what the program makes itself. */
  readonly names: readonly string[];
}

const draftName = 'draft-';

/**
 * Named after what is in it and what else decides how it runs (`also`), so that what runs from an older one goes on, and what V8 has
 * kept of a text does not meet another text of the same length. Whole or not at all, safe to repeat. Absolute. @throws errno
 */
export async function placeProgram(
  { binDir, prefix }: ProgramDirectory,
  files: Readonly<Record<string, PlacedFile>>,
  also: readonly string[],
): Promise<string> {
  const hash = createHash('sha256').update(also.join('\0'));
  for (const [name, { content }] of Object.entries(files)) hash.update(`\0${name}\0`).update(content);
  const directory = join(binDir, `${prefix}${hash.digest('hex').slice(0, 16)}`);
  const draft = await mkdtemp(join(binDir, `${prefix}${draftName}`));
  for (const [name, { content, mode = 0o644 }] of Object.entries(files)) {
    await writeFile(join(draft, name), content);
    await chmod(join(draft, name), mode);
  }
  await chmod(draft, 0o755);
  try {
    await rename(draft, directory);
  } catch (error) {
    await removeDirectory(draft, Object.keys(files));
    // The same is there: two at once, or a second time.
    if (!['ENOTEMPTY', 'EEXIST'].includes(errnoOf(error) ?? '')) throw error;
  }
  return directory;
}

/** Those of earlier installations, of those that were cut short, and of all where none is kept. What somebody else put there stays. */
export async function removeOtherPrograms(
  { binDir, prefix, names }: ProgramDirectory,
  kept: string | undefined,
): Promise<void> {
  for (const name of await namesIn(binDir)) {
    const path = join(binDir, name);
    if (name.startsWith(prefix) && isOurs(name.slice(prefix.length)) && path !== kept)
      await removeDirectory(path, names);
  }
}

function isOurs(rest: string): boolean {
  return rest.startsWith(draftName) || /^[0-9a-f]{16}$/.test(rest);
}

async function removeDirectory(path: string, names: readonly string[]): Promise<void> {
  for (const name of names) await rm(join(path, name), { force: true });
  await rmdir(path).catch((error: unknown) => {
    if (!['ENOTEMPTY', 'ENOENT'].includes(errnoOf(error) ?? '')) throw error;
  });
}

/** The file of a package's addon: what the package does first is to look for it, which takes longer than the rest of a call. */
export function addonOf(root: string, program: string): (name: string) => string {
  const require = createRequire(join(root, 'package.json'));
  return (name) => {
    require(name);
    const addon = Object.keys(require.cache).find((path) => path.endsWith(`${name}.node`));
    if (addon !== undefined) return addon;
    throw new PodwrightError('E_UNSUPPORTED', `bundle ${program}: ${name} has no addon for ${process.arch}`);
  };
}
