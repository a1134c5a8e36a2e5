/**
 * Writes layer operations into a directory that nobody else writes to. Synchronous: it runs on a thread of its own
 * (unpack-thread.ts), where one system call after another is several times faster than the thread pool.
 *
 * No symbolic link of the layer is ever followed: each parent is looked at by lstat before something is made in it, which is
 * enough because the directory is private to us (openat2 would be needed only against a second writer).
 */
import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  rmSync,
  symlinkSync,
  writeSync,
  type Stats,
} from 'node:fs';
import { unreachable } from '#base/unreachable.ts';
import { makeNode, setTimes, setXattr } from '#native/sys/file.ts';
import { tarText } from './tar-block.ts';
import { refuse, type LayerAttributes, type LayerNode, type LayerOp } from './layer-entry.ts';

type Put = Extract<LayerOp, { op: 'put' }>;
type Path = string | Buffer;

export class LayerWriter {
  readonly #root: string;
  /** Directories seen to be real ones, so that each is looked at once. */
  readonly #directories = new Set<string>();
  /** Paths with a whiteout of this layer; a directory put there later hides what was below it. */
  readonly #whiteouts = new Set<string>();
  /** Times of directories, set last: making something in one changes them. */
  readonly #directoryTimes = new Map<string, bigint>(); // by path below the root

  /** `root` exists and is empty. */
  constructor(root: string) {
    this.#root = root;
    this.#directories.add('');
  }

  /** Makes the node of a put that has no bytes; for a file, the descriptor to write to, to be given to `finishFile`. */
  put(put: Put): number | undefined {
    const path = this.#clear(put);
    const { node, attributes } = put;
    switch (node.kind) {
      case 'directory':
        this.#putDirectory(put.path, path, attributes);
        return undefined;
      case 'file':
        return openSync(
          path,
          constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY | constants.O_NOFOLLOW,
          0o600,
        );
      case 'symlink':
        symlinkSync(isAscii(node.target) ? node.target : Buffer.from(node.target, 'latin1'), path);
        lchownSync(path, attributes.uid, attributes.gid);
        this.#finish(path, attributes);
        return undefined;
      case 'hardlink':
        this.#putHardlink(put.path, path, node);
        return undefined;
      case 'device':
        makeNode(path, { type: node.type, major: node.major, minor: node.minor, mode: attributes.mode });
        lchownSync(path, attributes.uid, attributes.gid);
        chmodSync(path, attributes.mode); // not a link: it was made just now
        this.#finish(path, attributes);
        return undefined;
      default:
        return unreachable(node);
    }
  }

  write(fd: number, chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length;) at += writeSync(fd, chunk, at);
  }

  /** Owner first: chown(2) takes away set-user-id bits and capabilities. */
  finishFile(fd: number, put: Put): void {
    const { attributes } = put;
    fchownSync(fd, attributes.uid, attributes.gid);
    fchmodSync(fd, attributes.mode);
    closeSync(fd);
    this.#finish(this.#absolute(put.path), attributes);
  }

  /** A character device 0/0, which is how overlayfs writes "not here" (kernel Documentation/filesystems/overlayfs.rst). */
  whiteout(path: readonly string[]): void {
    const parent = this.#parent(path);
    const absolute = this.#absolute(path);
    this.#whiteouts.add(path.join('/'));
    const existing = lstat(absolute);
    if (existing === undefined) makeNode(absolute, { type: 'c', major: 0, minor: 0, mode: 0 });
    // A whiteout hides only the layers below; what this layer itself has there stays, without what was below it.
    else if (existing.isDirectory()) this.opaque(path);
    this.#keepTime(parent);
  }

  opaque(path: readonly string[]): void {
    this.#ensureDirectories(path, path.join('/'));
    setXattr(this.#absolute(path), 'trusted.overlay.opaque', Buffer.from('y'));
  }

  /** After the last entry. */
  finish(): void {
    for (const [path, mtimeNs] of this.#directoryTimes) {
      setTimes(path === '' ? this.#root : this.#below(path), mtimeNs, mtimeNs);
    }
  }

  #absolute(path: readonly string[]): Path {
    return path.length === 0 ? this.#root : this.#below(path.join('/'));
  }

  /** Of names that are bytes as latin1; one of ASCII is itself. */
  #below(relative: string): Path {
    const path = `${this.#root}/${relative}`;
    return isAscii(relative)
      ? path
      : Buffer.concat([Buffer.from(`${this.#root}/`), Buffer.from(relative, 'latin1')]);
  }

  /** Makes the way free for an entry: real parents, and nothing at its place but a directory for a directory. */
  #clear(put: Put): Path {
    if (put.path.length === 0) {
      if (put.node.kind !== 'directory') throw refuse('/', 'the root is no directory');
      return this.#root;
    }
    this.#parent(put.path);
    const path = this.#absolute(put.path);
    const existing = lstat(path);
    if (existing === undefined) return path;
    if (existing.isDirectory() && put.node.kind === 'directory') return path;
    rmSync(path, { recursive: true, force: true });
    if (existing.isDirectory()) this.#forget(put.path.join('/'));
    return path;
  }

  #forget(directory: string): void {
    for (const known of this.#directories) {
      if (known === directory || known.startsWith(`${directory}/`)) this.#directories.delete(known);
    }
    for (const known of this.#directoryTimes.keys()) {
      if (known === directory || known.startsWith(`${directory}/`)) this.#directoryTimes.delete(known);
    }
  }

  #parent(path: readonly string[]): readonly string[] {
    const parent = path.slice(0, -1);
    this.#ensureDirectories(parent, path.join('/'));
    return parent;
  }

  /** Every component is a directory; missing ones are made. @throws E_INVALID when one is a link or anything else */
  #ensureDirectories(path: readonly string[], entry: string): void {
    if (this.#directories.has(path.join('/'))) return;
    for (let depth = 1; depth <= path.length; depth++) {
      const relative = path.slice(0, depth).join('/');
      if (this.#directories.has(relative)) continue;
      const absolute = this.#below(relative);
      const existing = lstat(absolute);
      if (existing === undefined || isWhiteout(existing)) this.#makeDirectory(relative, absolute, existing);
      else if (existing.isSymbolicLink())
        throw refuse(entry, `it goes through the symbolic link ${tarText(relative)}`);
      else if (!existing.isDirectory()) throw refuse(entry, `${tarText(relative)} is no directory`);
      this.#directories.add(relative);
    }
  }

  #makeDirectory(relative: string, absolute: Path, whiteout: Stats | undefined): void {
    if (whiteout !== undefined) rmSync(absolute);
    mkdirSync(absolute, 0o755);
    chmodSync(absolute, 0o755); // whatever the umask is
    if (this.#whiteouts.has(relative)) setXattr(absolute, 'trusted.overlay.opaque', Buffer.from('y'));
  }

  #putDirectory(components: readonly string[], path: Path, attributes: LayerAttributes): void {
    this.#ensureDirectories(components, components.join('/'));
    lchownSync(path, attributes.uid, attributes.gid);
    chmodSync(path, attributes.mode); // a directory for sure, see #ensureDirectories
    for (const [name, value] of attributes.xattrs) setXattr(path, name, value);
    this.#directoryTimes.set(components.join('/'), attributes.mtimeNs);
  }

  #putHardlink(
    components: readonly string[],
    path: Path,
    node: Extract<LayerNode, { kind: 'hardlink' }>,
  ): void {
    const entry = components.join('/');
    const target = tarText(node.target.join('/'));
    for (let depth = 1; depth < node.target.length; depth++) {
      const parent = lstat(this.#absolute(node.target.slice(0, depth)));
      if (parent !== undefined && !parent.isDirectory()) {
        throw refuse(entry, `its hard link to ${target} leaves the layer's own files`);
      }
    }
    const existing = lstat(this.#absolute(node.target));
    if (existing === undefined || node.target.length === 0) {
      throw refuse(entry, `its hard link to ${target} names no entry of the layer`);
    }
    if (existing.isDirectory() || isWhiteout(existing))
      throw refuse(entry, `its hard link to ${target} names no file`);
    linkSync(this.#absolute(node.target), path); // link(2) does not follow a link at the end
  }

  #finish(path: Path, attributes: LayerAttributes): void {
    for (const [name, value] of attributes.xattrs) setXattr(path, name, value);
    setTimes(path, attributes.mtimeNs, attributes.mtimeNs);
  }

  #keepTime(directory: readonly string[]): void {
    const path = directory.join('/');
    if (this.#directoryTimes.has(path)) return;
    this.#directoryTimes.set(path, lstatSync(this.#absolute(directory), { bigint: true }).mtimeNs);
  }
}

function lstat(path: Path): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false });
}

function isAscii(text: string): boolean {
  // oxlint-disable-next-line no-control-regex -- all of ASCII
  return /^[\0-\x7f]*$/.test(text);
}

function isWhiteout(stats: Stats): boolean {
  return stats.isCharacterDevice() && stats.rdev === 0;
}
