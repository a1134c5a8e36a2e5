import { readdir, readFile, stat } from 'node:fs/promises';
import { statSync } from 'node:fs';
import { extname, isAbsolute, join } from 'node:path';
import { stringOf } from '#api/wire/json.ts';
import { describeError, PodwrightError } from '#base/errors.ts';
import { wrong } from '#control-plane/apiserver/chain/admission/configuration.ts';
import type { ManifestFile } from './manifest-set.ts';

const field = 'staticManifestsDir';
const extensions: ReadonlySet<string> = new Set(['.yaml', '.yml', '.json']);
/** Of one directory: people write these by hand. */
const filesMax = 256;
const bytesMax = 3 * 1024 * 1024;

/** The directory that a plugin's configuration names; undefined: none. @throws {E_INVALID} where it is no absolute path of a directory */
export function manifestDirectoryOf(configuration: Readonly<Record<string, unknown>>): string | undefined {
  const path = stringOf(configuration[field]);
  if (path === '') return undefined;
  if (!isAbsolute(path)) throw wrong(field, `${path} must be an absolute path`);
  try {
    if (statSync(path).isDirectory()) return path;
  } catch (error) {
    throw wrong(field, describeError(error));
  }
  throw wrong(field, `${path} must be a directory`);
}

/** The files in it that are YAML or JSON by their names, in order; nothing below. @throws {E_LIMIT} {E_…} what keeps it from being read */
export async function readManifestFiles(directory: string): Promise<readonly ManifestFile[]> {
  const paths = await manifestPaths(directory);
  const files: ManifestFile[] = [];
  for (const path of paths) files.push({ path, text: await readFile(path, 'utf8') });
  return files.filter(({ text }) => text !== '');
}

/** Another text whenever the files may say something else. A link that leads elsewhere (a mounted ConfigMap) leads to another inode. */
export async function stampOf(directory: string): Promise<string> {
  const stamps: string[] = [];
  let bytes = 0;
  for (const path of await manifestPaths(directory)) {
    const { dev, ino, size, mtimeMs, ctimeMs } = await stat(path);
    bytes += size;
    stamps.push([path, dev, ino, size, mtimeMs, ctimeMs].join(' '));
  }
  if (bytes > bytesMax)
    throw new PodwrightError('E_LIMIT', `${directory}: ${bytes} bytes, more than ${bytesMax}`);
  return stamps.join('\n');
}

async function manifestPaths(directory: string): Promise<readonly string[]> {
  const entries = await readdir(directory, { withFileTypes: true });
  const names = entries
    .filter((entry) => !entry.isDirectory() && extensions.has(extname(entry.name).toLowerCase()))
    .map(({ name }) => name);
  if (names.length > filesMax)
    throw new PodwrightError('E_LIMIT', `${directory}: ${names.length} files, more than ${filesMax}`);
  return names.toSorted().map((name) => join(directory, name));
}
