/**
 * A tar entry of a layer as an operation on the layer's directory: OCI image specification, layer.md. Pure; what an entry
 * may not do is refused here by name, and what depends on the tree (links in the way) is refused where it is written.
 */
import { PodwrightError } from '#base/errors.ts';
import { unreachable } from '#base/unreachable.ts';
import { tarText } from './tar-block.ts';
import type { TarHeader } from './tar-reader.ts';
import type { SparseMap } from './tar-sparse.ts';

export interface LayerAttributes {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeNs: bigint;
  readonly xattrs: ReadonlyMap<string, Buffer>;
}

/** Names and targets are bytes, written as latin1. */
export type LayerNode =
  | { readonly kind: 'directory' }
  | { readonly kind: 'file'; readonly sizeBytes: number; readonly sparse: SparseMap | undefined }
  | { readonly kind: 'symlink'; readonly target: string }
  /** Path components of another entry of the same layer. */
  | { readonly kind: 'hardlink'; readonly target: readonly string[] }
  | {
      readonly kind: 'device';
      readonly type: 'c' | 'b' | 'p';
      readonly major: number;
      readonly minor: number;
    };

export type LayerOp =
  | {
      readonly op: 'put';
      readonly path: readonly string[]; // empty: the root directory itself
      readonly node: LayerNode;
      readonly attributes: LayerAttributes;
    }
  /** Hides `path` of the layers below. */
  | { readonly op: 'whiteout'; readonly path: readonly string[] }
  /** Hides all that the layers below have in the directory. */
  | { readonly op: 'opaque'; readonly path: readonly string[] }
  | { readonly op: 'skip' };

/** PATH_MAX and a depth no real tree has, against walks that never end. */
export const layerPathBytesMax = 4096;
export const layerPathDepthMax = 255;

const whiteoutPrefix = '.wh.';
const opaqueName = '.wh..wh..opq';
/** Where aufs kept what has several names; entries are hard links to files in it, and it is no part of the image. */
export const aufsLinksName = '.wh..wh.plnk';
const idMax = 0xffff_fffe;

/** @throws E_INVALID, E_UNSUPPORTED naming the entry */
export function planLayerEntry(header: TarHeader): LayerOp {
  const path = pathOf(header.name, header.name, 'its path');
  const name = path.at(-1) ?? '';
  const parent = path.slice(0, -1);
  if (name === opaqueName) return { op: 'opaque', path: parent };
  const isAufs = path.some((component) => component.startsWith(`${whiteoutPrefix}${whiteoutPrefix}`));
  if (isAufs && path[0] !== aufsLinksName) return { op: 'skip' }; // aufs' own records
  if (isAufs) return { op: 'put', path, node: nodeOf(header), attributes: attributesOf(header) };
  if (name.startsWith(whiteoutPrefix)) {
    return { op: 'whiteout', path: [...parent, ...whiteoutTarget(header.name, name)] };
  }
  return { op: 'put', path, node: nodeOf(header), attributes: attributesOf(header) };
}

function whiteoutTarget(entry: string, name: string): readonly string[] {
  const hidden = name.slice(whiteoutPrefix.length);
  if (hidden === '' || hidden === '.' || hidden === '..') throw refuse(entry, 'a whiteout of no name');
  return [hidden];
}

function nodeOf(header: TarHeader): LayerNode {
  switch (header.type) {
    case 'directory':
      return { kind: 'directory' };
    case 'file':
    case 'contiguous-file':
      return { kind: 'file', sizeBytes: header.sizeBytes, sparse: header.sparse };
    case 'symlink':
      if (header.linkname === '' || header.linkname.includes('\0'))
        throw refuse(header.name, 'a symbolic link to nothing');
      return { kind: 'symlink', target: header.linkname };
    case 'link':
      return {
        kind: 'hardlink',
        target: pathOf(header.name, header.linkname, `its hard link to ${tarText(header.linkname)}`),
      };
    case 'character-device':
    case 'block-device': {
      const type = header.type === 'block-device' ? 'b' : 'c';
      return { kind: 'device', type, ...deviceOf(header) };
    }
    case 'fifo':
      return { kind: 'device', type: 'p', major: 0, minor: 0 };
    case 'sparse':
      throw unsupported(header, 'is a sparse file in a format of its own (star)');
    case 'unknown':
      throw unsupported(header, 'is of an unknown kind');
    default:
      return unreachable(header.type);
  }
}

function unsupported({ name }: TarHeader, what: string): PodwrightError {
  return new PodwrightError('E_UNSUPPORTED', `unpack layer: entry ${tarText(name)} ${what}`);
}

/** More bits than the kernel has for them (linux/kdev_t.h) would name another device. */
function deviceOf({ name, devmajor: major, devminor: minor }: TarHeader): { major: number; minor: number } {
  if (major >= 0 && major < 2 ** 12 && minor >= 0 && minor < 2 ** 20) return { major, minor };
  throw refuse(name, `there is no device ${major}:${minor}`);
}

/**
 * Components below the root. A leading `/` or `./` means the layer's root, as every other unpacker takes it; `..` takes back the component
 * before it, whatever that is (Go's path.Clean), and is refused where there is none.
 */
function pathOf(entry: string, text: string, what: string): readonly string[] {
  if (text.length > layerPathBytesMax) throw refuse(entry.slice(0, 80), `${what.slice(0, 80)} is too long`);
  const path: string[] = [];
  for (const component of text.split('/')) {
    if (component === '' || component === '.') continue;
    if (component !== '..') path.push(component);
    else if (path.pop() === undefined) throw refuse(entry, `${what} leaves the layer`);
  }
  if (text.includes('\0')) throw refuse(JSON.stringify(entry), `${what} holds a zero byte`);
  if (path.length > layerPathDepthMax) throw refuse(entry.slice(0, 80), `${what.slice(0, 80)} is too deep`);
  return path;
}

function attributesOf(header: TarHeader): LayerAttributes {
  for (const id of [header.uid, header.gid]) {
    if (!Number.isInteger(id) || id < 0 || id > idMax)
      throw refuse(header.name, `owner ${id} is out of range`);
  }
  const xattrs = new Map<string, Buffer>();
  for (const [name, value] of header.xattrs) {
    if (isOfImages(name)) xattrs.set(name, value);
  }
  return { mode: header.mode, uid: header.uid, gid: header.gid, mtimeNs: header.mtimeNs, xattrs };
}

/** POSIX ACLs as Linux keeps them, by uids and gids as the owners are (acl(5)). */
const accessLists: ReadonlySet<string> = new Set(['system.posix_acl_access', 'system.posix_acl_default']);

/**
 * Labels of the builder's host (SELinux, IMA) mean nothing on this one. What overlayfs keeps on the builder's host (buildah and podman
 * bring it along) would steer the one here: a layer could show files that are not its own.
 */
export function isOfImages(xattr: string): boolean {
  if (xattr === 'security.capability' || accessLists.has(xattr)) return true;
  return xattr.startsWith('user.') && !xattr.startsWith('user.overlay.');
}

/** What an image does without where the file system has no such thing. */
export function isOptional(xattr: string): boolean {
  return accessLists.has(xattr);
}

/** `entry`: bytes as latin1. */
export function refuse(entry: string, why: string): PodwrightError {
  const name = tarText(entry);
  return new PodwrightError('E_INVALID', `unpack layer: entry ${name} is refused: ${why}`, {
    detail: { entry: name },
  });
}
