/**
 * A layer's directory as the tar of a layer (OCI image-spec, layer.md). The same directory gives the same bytes: entries go by the bytes of their
 * names, directories before what is in them, and nothing of the disk (inodes, times of access) is in it.
 */
import { constants, type BigIntStats } from 'node:fs';
import { lstat, open, readdir, readlink } from 'node:fs/promises';
import { PodwrightError } from '#base/errors.ts';
import { deviceOf, getXattr, listXattrs } from '#native/sys/file.ts';
import { isOpaque, isWhiteout } from '#agent/runtime/images/lower-layers.ts';
import { isOfImages } from '#agent/runtime/images/unpack/layer-entry.ts';
import { layerPath, layerRoot, type LayerPath } from '#agent/runtime/images/unpack/layer-path.ts';
import { impliedRootXattr } from '#agent/runtime/images/unpack/layer-writer.ts';
import { renderTarHeader, tarEnd, tarPadding, type TarEntry } from './tar-header.ts';

const readBytes = 262_144;

/** @throws E_CONFLICT where a file is not as long as it was said to be */
export async function* layerTar(directory: string, signal: AbortSignal): AsyncGenerator<Buffer> {
  const root = layerRoot(directory);
  const firstNames = new Map<bigint, string>();
  // What is still to be looked at, the next last.
  const ahead = await childrenOf(root, '');
  if (getXattr(directory, impliedRootXattr) === undefined) ahead.push('');
  else if (isOpaque(directory)) yield opaqueMark('');
  for (let relative = ahead.pop(); relative !== undefined; relative = ahead.pop()) {
    signal.throwIfAborted();
    const path = layerPath(root, relative);
    const stats = await lstat(path, { bigint: true });
    const entry = await entryOf(relative, path, stats, firstNames);
    if (entry === undefined) continue;
    yield renderTarHeader(entry);
    if (entry.type === 'file' && entry.sizeBytes > 0) yield* contentOf(path, relative, entry.sizeBytes);
    if (entry.type !== 'directory') continue;
    if (isOpaque(path)) yield opaqueMark(relative);
    // Of the root they are ahead already.
    if (relative !== '') ahead.push(...(await childrenOf(root, relative)));
  }
  yield tarEnd;
}

/** Last first. */
async function childrenOf(root: string, relative: string): Promise<string[]> {
  const names = await readdir(layerPath(root, relative), { encoding: 'buffer' });
  const sorted = names.toSorted((a, b) => b.compare(a));
  return sorted.map((name) => `${relative === '' ? '' : `${relative}/`}${name.toString('latin1')}`);
}

/** Undefined for what no tar has: sockets. */
async function entryOf(
  relative: string,
  path: LayerPath,
  stats: BigIntStats,
  firstNames: Map<bigint, string>,
): Promise<TarEntry | undefined> {
  if (isWhiteout(stats)) return mark(marked(relative, '.wh.'));
  const type = typeOf(stats);
  if (type === undefined) return undefined;
  const entry = {
    ...{ name: type === 'directory' ? `${relative === '' ? '.' : relative}/` : relative, type },
    ...{ mode: Number(stats.mode) & 0o7777, uid: Number(stats.uid), gid: Number(stats.gid) },
    ...{ mtimeNs: stats.mtimeNs, sizeBytes: 0 },
  };
  if (type !== 'directory' && stats.nlink > 1n) {
    const first = firstNames.get(stats.ino);
    if (first !== undefined) return { ...entry, type: 'link', linkname: first };
    firstNames.set(stats.ino, relative);
  }
  if (type === 'symlink') return { ...entry, linkname: (await readlink(path, 'buffer')).toString('latin1') };
  const xattrs = listXattrs(path)
    .filter(isOfImages)
    .toSorted()
    .map((name) => [name, getXattr(path, name) ?? Buffer.alloc(0)] as const);
  if (type === 'file') return { ...entry, sizeBytes: Number(stats.size), xattrs };
  if (type === 'directory' || type === 'fifo') return { ...entry, xattrs };
  return { ...entry, xattrs, device: deviceOf(stats.rdev) };
}

function typeOf(stats: BigIntStats): TarEntry['type'] | undefined {
  if (stats.isFile()) return 'file';
  if (stats.isDirectory()) return 'directory';
  if (stats.isSymbolicLink()) return 'symlink';
  if (stats.isFIFO()) return 'fifo';
  if (stats.isCharacterDevice()) return 'character-device';
  return stats.isBlockDevice() ? 'block-device' : undefined;
}

/** Of no time: that of the disk is when the layer was unpacked. */
function mark(name: string): TarEntry {
  return { name, type: 'file', mode: 0o600, uid: 0, gid: 0, sizeBytes: 0, mtimeNs: 0n };
}

/** That nothing of the layers below is in a directory. */
function opaqueMark(directory: string): Buffer {
  return renderTarHeader(mark(`${directory === '' ? '' : `${directory}/`}.wh..wh..opq`));
}

function marked(relative: string, mark: string): string {
  const at = relative.lastIndexOf('/') + 1;
  return `${relative.slice(0, at)}${mark}${relative.slice(at)}`;
}

async function* contentOf(path: LayerPath, relative: string, sizeBytes: number): AsyncGenerator<Buffer> {
  await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);

  let bytes = 0;
  for await (const chunk of file.createReadStream({ highWaterMark: readBytes, autoClose: false })) {
    bytes += (chunk as Buffer).length;
    if (bytes > sizeBytes) break;
    yield chunk as Buffer;
  }
  if (bytes !== sizeBytes)
    throw new PodwrightError('E_CONFLICT', `read ${relative} of a layer: it is not ${sizeBytes} bytes long`);
  yield tarPadding(sizeBytes);
}
