/**
 * Writes layer operations into a directory that nobody else writes to. Synchronous: it runs on a thread of its own
 * (unpack-thread.ts), where one system call after another is several times faster than the thread pool.
 *
 * The kernel follows no symbolic link of the layer: each parent is looked at by lstat before something is made in it, and a link is
 * followed here, with the layer's directory as its root, as containerd does (openat2 would be needed only against a second writer).
 */
import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  fchmodSync,
  fchownSync,
  ftruncateSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeSync,
  type BigIntStats,
  type Stats,
} from 'node:fs';
import { isPodwrightError } from '#base/errors.ts';
import { unreachable } from '#base/unreachable.ts';
import { deviceOf, getXattr, listXattrs, makeNode, setTimes, setXattr } from '#native/sys/file.ts';
import { isAscii, layerPath, layerRoot, type LayerPath } from './layer-path.ts';
import { isWhiteout, LowerLayers, type BelowNode } from '#agent/runtime/images/lower-layers.ts';
import { tarText } from './tar-block.ts';
import type { SparsePart } from './tar-sparse.ts';
import {
  aufsLinksName,
  isOfImages,
  isOptional,
  layerPathDepthMax,
  refuse,
  type LayerAttributes,
  type LayerNode,
  type LayerOp,
} from './layer-entry.ts';

type Put = Extract<LayerOp, { op: 'put' }>;
type Node<Kind extends LayerNode['kind']> = Extract<LayerNode, { readonly kind: Kind }>;

/** A file that was put, to be written to and given to `finishFile`. */
export interface OpenedFile {
  readonly fd: number;
  readonly path: LayerPath;
}

/** MAXSYMLINKS of Linux. */
const linksMax = 40;

/** On the directory of a layer that says nothing of its own root: the root's attributes are those of the layer below. */
export const impliedRootXattr = 'trusted.podwright.implied';

export class LayerWriter {
  readonly #root: string;
  readonly #below: LowerLayers;
  #hasAskedBelow = false;
  #hasRoot = false;
  /** Directories seen to be real ones, so that each is looked at once; paths below the root without links. */
  readonly #directories = new Set<string>();
  /** Paths with a whiteout of this layer; a directory put there later hides what was below it. */
  readonly #whiteouts = new Set<string>();
  /** Directories that no entry is for (yet). */
  readonly #implied = new Set<string>();
  /** Directories that hide what the layers below have there. */
  readonly #opaques = new Set<string>();
  /** Times of directories, set last: making something in one changes them. */
  readonly #directoryTimes = new Map<string, bigint>(); // by path below the root

  /** `root` exists and is empty; `below`: the directories of the layers that it will lie on, topmost first. */
  constructor(root: string, below: readonly string[]) {
    this.#root = layerRoot(root);
    this.#below = new LowerLayers(below);
    this.#directories.add('');
  }

  /** Whether what was written depends on the layers below: on others it is another directory. */
  get hasAskedBelow(): boolean {
    return this.#hasAskedBelow;
  }

  /** Makes the node of a put that has no bytes; of a file, what is to be written. */
  put(put: Put): OpenedFile | undefined {
    const { node, attributes } = put;
    if (put.path.length === 0) {
      if (node.kind !== 'directory') throw refuse('/', 'the root is no directory');
      this.#hasRoot = true;
      this.#putDirectory('', attributes);
      return undefined;
    }
    const relative = this.#place(put.path);
    if (node.kind === 'hardlink') {
      this.#putHardlink(put.path.join('/'), relative, node);
      return undefined;
    }
    this.#clear(relative, node);
    const path = this.#absolute(relative);
    switch (node.kind) {
      case 'directory':
        this.#putDirectory(relative, attributes);
        return undefined;
      case 'file':
        return { fd: openSync(path, newFile, 0o600), path };
      case 'symlink':
        symlinkSync(isAscii(node.target) ? node.target : Buffer.from(node.target, 'latin1'), path);
        lchownSync(path, attributes.uid, attributes.gid);
        finish(path, attributes);
        return undefined;
      case 'device':
        makeNode(path, { type: node.type, major: node.major, minor: node.minor, mode: attributes.mode });
        lchownSync(path, attributes.uid, attributes.gid);
        chmodSync(path, attributes.mode); // not a link: it was made just now
        finish(path, attributes);
        return undefined;
      default:
        return unreachable(node);
    }
  }

  /** All of a file, whose bytes come in `chunks`. Owner first: chown(2) takes away set-user-id bits and capabilities. */
  async writeFile(file: OpenedFile, node: Node<'file'>, chunks: AsyncIterable<Buffer>): Promise<void> {
    if (node.sizeBytes > 0) {
      if (node.sparse === undefined) for await (const chunk of chunks) writeAll(file.fd, chunk);
      else await writeParts(file.fd, node.sparse.parts, chunks);
    }
    // The hole at the end.
    if (node.sparse !== undefined) ftruncateSync(file.fd, node.sparse.sizeBytes);
  }

  finishFile({ fd, path }: OpenedFile, { attributes }: Put): void {
    fchownSync(fd, attributes.uid, attributes.gid);
    fchmodSync(fd, attributes.mode);
    closeSync(fd);
    finish(path, attributes);
  }

  /**
   * A character device 0/0, which is how overlayfs writes "not here" (kernel Documentation/filesystems/overlayfs.rst). Of a directory
   * that has none below it, overlayfs would show the device's name.
   */
  whiteout(path: readonly string[]): void {
    if (this.#isBelowGone(path.slice(0, -1))) return;
    const relative = this.#place(path);
    const parent = parentOf(relative);
    if (this.#whiteouts.has(relative)) return;
    this.#whiteouts.add(relative);
    this.#keepTime(parent);
    const absolute = this.#absolute(relative);
    const existing = lstat(absolute);
    // A whiteout hides only the layers below; what this layer itself has there stays, without what was below it.
    if (existing?.isDirectory() === true && !this.#isOnlyWhiteouts(relative)) this.#setOpaque(relative);
    else if (existing === undefined || existing.isDirectory()) this.#hide(relative, parent);
  }

  opaque(path: readonly string[]): void {
    if (this.#isBelowGone(path)) return;
    this.#setOpaque(this.#directory(path, path.join('/')));
  }

  #hide(relative: string, parent: string): void {
    if (lstat(this.#absolute(relative)) !== undefined) this.#remove(relative);
    if (parent === '' || this.#below.isDirectory(parent)) {
      makeNode(this.#absolute(relative), { type: 'c', major: 0, minor: 0, mode: 0 });
      return;
    }
    this.#hasAskedBelow = true;
  }

  /**
   * Whether a directory of a path is gone by this layer, by a whiteout or something else in its place: then so is all below it, and a link
   * there leads to what is not meant.
   */
  #isBelowGone(path: readonly string[]): boolean {
    for (let depth = 1; depth <= path.length; depth++) {
      const relative = path.slice(0, depth).join('/');
      if (this.#directories.has(relative)) continue;
      const existing = lstat(this.#absolute(relative));
      if (existing === undefined) return this.#whiteouts.has(relative);
      if (existing.isSymbolicLink()) {
        const isInItsPlace = this.#below.isDirectory(relative);
        this.#hasAskedBelow ||= isInItsPlace;
        return isInItsPlace;
      }
      if (!existing.isDirectory()) return true;
    }
    return false;
  }

  /** A directory that was made for whiteouts in it only. */
  #isOnlyWhiteouts(relative: string): boolean {
    if (!this.#implied.has(relative)) return false;
    return readdirSync(this.#absolute(relative), { encoding: 'latin1' }).every((name) => {
      const each = `${relative}/${name}`;
      const stats = lstatSync(this.#absolute(each));
      return isWhiteout(stats) || (stats.isDirectory() && this.#isOnlyWhiteouts(each));
    });
  }

  #setOpaque(relative: string): void {
    setXattr(this.#absolute(relative), 'trusted.overlay.opaque', Buffer.from('y'));
    this.#opaques.add(relative);
  }

  /** What is below an opaque directory has nothing to hide. */
  #removeVainWhiteouts(): void {
    if (this.#opaques.size === 0) return;
    for (const relative of this.#whiteouts) {
      const stats = this.#isBelowOpaque(relative) ? lstat(this.#absolute(relative)) : undefined;
      if (stats === undefined || !isWhiteout(stats)) continue;
      this.#keepTime(parentOf(relative));
      rmSync(this.#absolute(relative));
    }
  }

  #isBelowOpaque(relative: string): boolean {
    if (this.#opaques.has('')) return true;
    for (let end = relative.lastIndexOf('/'); end > 0; end = relative.lastIndexOf('/', end - 1)) {
      if (this.#opaques.has(relative.slice(0, end))) return true;
    }
    return false;
  }

  /** After the last entry. */
  finish(): void {
    if (lstat(this.#absolute(aufsLinksName)) !== undefined) this.#remove(aufsLinksName);
    this.#removeVainWhiteouts();
    for (const [relative, mtimeNs] of this.#directoryTimes) {
      setTimes(this.#absolute(relative), mtimeNs, mtimeNs);
    }
    if (!this.#hasRoot) setXattr(this.#absolute(''), impliedRootXattr, Buffer.from('y'));
  }

  #absolute(relative: string): LayerPath {
    return layerPath(this.#root, relative);
  }

  /** Where an entry goes: its parents are there, and links among them are followed. */
  #place(path: readonly string[]): string {
    const parent = this.#directory(path.slice(0, -1), path.join('/'));
    const name = path.at(-1) ?? '';
    return parent === '' ? name : `${parent}/${name}`;
  }

  /** Makes the way free: nothing at the place of an entry but a directory for a directory. */
  #clear(relative: string, node: LayerNode): void {
    const existing = lstat(this.#absolute(relative));
    if (existing === undefined || (existing.isDirectory() && node.kind === 'directory')) return;
    if (existing.isDirectory()) this.#remove(relative);
    else rmSync(this.#absolute(relative));
  }

  #remove(directory: string): void {
    rmSync(this.#absolute(directory), { recursive: true });
    for (const known of [this.#directories, this.#directoryTimes, this.#implied, this.#opaques]) {
      for (const path of known.keys()) {
        if (path === directory || path.startsWith(`${directory}/`)) known.delete(path);
      }
    }
  }

  /**
   * The directory that a path leads to, made where it is missing.
   * @throws E_INVALID when a component is neither a directory nor a link that leads to one
   */
  #directory(path: readonly string[], entry: string): string {
    const text = path.join('/');
    if (this.#directories.has(text)) return text;
    return this.#walk(path, (relative, existing) => {
      if (existing === undefined || isWhiteout(existing)) this.#makeDirectory(relative, existing);
      else if (!existing.isDirectory()) throw refuse(entry, `${tarText(relative)} is no directory`);
      this.#directories.add(relative);
    });
  }

  /** Follows links, with the layer as their root; `each` component that is none is told. */
  #walk(path: readonly string[], each: (relative: string, existing: Stats | undefined) => void): string {
    const rest = [...path];
    let here: string[] = [];
    for (let links = 0; ;) {
      const name = rest.shift();
      if (name === undefined) return here.join('/');
      if (name === '..') {
        here.pop();
        continue;
      }
      const relative = [...here, name].join('/');
      const existing = this.#directories.has(relative) ? undefined : lstat(this.#absolute(relative));
      if (existing?.isSymbolicLink() === true) {
        links += 1;
        if (links > linksMax) throw refuse(path.join('/'), 'its parents are links that go round');
        const target = readlinkSync(this.#absolute(relative), 'latin1');
        if (target.startsWith('/')) here = [];
        rest.unshift(...target.split('/').filter((part) => part !== '' && part !== '.'));
        continue;
      }
      if (!this.#directories.has(relative)) each(relative, existing);
      here.push(name);
      if (here.length > layerPathDepthMax) throw refuse(path.join('/'), 'its parents lead too deep');
    }
  }

  /** One that no entry of the layer is for (yet): it is what the layers below have there (containerd's mkparent). */
  #makeDirectory(relative: string, whiteout: Stats | undefined): void {
    const path = this.#absolute(relative);
    if (whiteout !== undefined) rmSync(path);
    mkdirSync(path, 0o755);
    chmodSync(path, 0o755); // whatever the umask is
    this.#implied.add(relative);
    if (this.#whiteouts.has(relative)) {
      this.#setOpaque(relative);
      return;
    }
    const below = this.#askBelow(relative);
    if (below?.stats.isDirectory() !== true) return;
    copyAttributes(below, path);
    this.#directoryTimes.set(relative, below.stats.mtimeNs);
  }

  #askBelow(relative: string): BelowNode | undefined {
    this.#hasAskedBelow = true;
    return this.#below.find(relative);
  }

  #putDirectory(relative: string, attributes: LayerAttributes): void {
    const path = this.#absolute(relative);
    const isNew = lstat(path) === undefined;
    if (isNew) mkdirSync(path, 0o755);
    if (isNew && this.#whiteouts.has(relative)) this.#setOpaque(relative);
    this.#directories.add(relative);
    this.#implied.delete(relative);
    lchownSync(path, attributes.uid, attributes.gid);
    chmodSync(path, attributes.mode); // a directory for sure, see #clear
    for (const [name, value] of attributes.xattrs) putXattr(path, name, value);
    this.#directoryTimes.set(relative, attributes.mtimeNs);
  }

  #putHardlink(entry: string, relative: string, node: Node<'hardlink'>): void {
    const target = tarText(node.target.join('/'));
    if (node.target.length === 0) throw refuse(entry, `its hard link to ${target} names no file`);
    let isMissing = false;
    const parent = this.#walk(node.target.slice(0, -1), (_, existing) => {
      if (existing !== undefined && !existing.isDirectory())
        throw refuse(entry, `its hard link to ${target} leaves the layer's own files`);
      isMissing ||= existing === undefined;
    });
    const place = parent === '' ? (node.target.at(-1) ?? '') : `${parent}/${node.target.at(-1)}`;
    // Of the same name twice, as archives that were appended to have it.
    if (place === relative && lstat(this.#absolute(place))?.isDirectory() === false) return;
    const existing = isMissing ? undefined : lstat(this.#absolute(place));
    if (existing === undefined) this.#copyUp(entry, target, place);
    else if (existing.isDirectory() || isWhiteout(existing))
      throw refuse(entry, `its hard link to ${target} names no file`);
    this.#clear(relative, node);
    linkSync(this.#absolute(place), this.#absolute(relative)); // link(2) does not follow a link at the end
  }

  /** A file of a layer below gets another name here: as overlayfs does it, it becomes this layer's. */
  #copyUp(entry: string, target: string, place: string): void {
    const below = this.#askBelow(place);
    if (below === undefined || below.stats.isDirectory())
      throw refuse(entry, `its hard link to ${target} names no entry of the layer, and none below it`);
    const parent = parentOf(place);
    this.#directory(parent === '' ? [] : parent.split('/'), entry);
    this.#keepTime(parent);
    const path = this.#absolute(place);
    if (below.stats.isFile())
      copyFileSync(below.path, path, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
    else if (below.stats.isSymbolicLink()) symlinkSync(readlinkSync(below.path, 'buffer'), path);
    else if (deviceTypeOf(below.stats) !== undefined)
      makeNode(path, { type: deviceTypeOf(below.stats) ?? 'p', ...deviceOf(below.stats.rdev), mode: 0 });
    else throw refuse(entry, `its hard link to ${target} names no file of a layer below`);
    copyAttributes(below, path);
    setTimes(path, below.stats.mtimeNs, below.stats.mtimeNs);
  }

  #keepTime(directory: string): void {
    if (this.#directoryTimes.has(directory)) return;
    this.#directoryTimes.set(directory, lstatSync(this.#absolute(directory), { bigint: true }).mtimeNs);
  }
}

const newFile = constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY | constants.O_NOFOLLOW;

function finish(path: LayerPath, attributes: LayerAttributes): void {
  for (const [name, value] of attributes.xattrs) putXattr(path, name, value);
  setTimes(path, attributes.mtimeNs, attributes.mtimeNs);
}

/** @throws E_UNSUPPORTED where the file system has no such attributes, and the image is not the same without */
function putXattr(path: LayerPath, name: string, value: Uint8Array): void {
  try {
    setXattr(path, name, value);
  } catch (error) {
    if (!isOptional(name) || !isPodwrightError(error, 'E_UNSUPPORTED')) throw error;
  }
}

/** Owner, mode and what an image may set of extended attributes; not the times. */
function copyAttributes(
  { path: from, stats }: { readonly path: LayerPath; readonly stats: BigIntStats },
  to: LayerPath,
): void {
  lchownSync(to, Number(stats.uid), Number(stats.gid));
  if (stats.isSymbolicLink()) return;
  chmodSync(to, Number(stats.mode) & 0o7777);
  for (const name of listXattrs(from)) {
    const value = isOfImages(name) ? getXattr(from, name) : undefined;
    if (value !== undefined) putXattr(to, name, value);
  }
}

function deviceTypeOf(stats: BigIntStats): 'c' | 'b' | 'p' | undefined {
  if (stats.isCharacterDevice()) return 'c';
  if (stats.isBlockDevice()) return 'b';
  return stats.isFIFO() ? 'p' : undefined;
}

function parentOf(relative: string): string {
  return relative.slice(0, Math.max(0, relative.lastIndexOf('/')));
}

function writeAll(fd: number, chunk: Uint8Array, position: number | null = null): void {
  for (let at = 0; at < chunk.length;) {
    at += writeSync(fd, chunk, at, chunk.length - at, position === null ? null : position + at);
  }
}

async function writeParts(
  fd: number,
  parts: readonly SparsePart[],
  chunks: AsyncIterable<Buffer>,
): Promise<void> {
  let at = 0;
  let done = 0; // of the part in hand
  for await (const chunk of chunks) {
    for (let taken = 0; taken < chunk.length;) {
      const { offset, bytes } = parts[at] ?? { offset: 0, bytes: Infinity };
      const piece = chunk.subarray(taken, taken + bytes - done);
      writeAll(fd, piece, offset + done);
      taken += piece.length;
      done += piece.length;
      if (done < bytes) continue;
      at += 1;
      done = 0;
    }
  }
}

function lstat(path: LayerPath): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false });
}
