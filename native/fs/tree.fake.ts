import { kernelError } from '#native/sys/errno.ts';
import {
  checkedName,
  type Entry,
  type EntryStat,
  type EntryType,
  type TreeDirectory,
  type Trees,
} from './tree.ts';

interface Node {
  readonly type: EntryType;
  readonly inode: bigint;
  uid: number;
  gid: number;
  links: number;
  readonly target: string | undefined;
  readonly children: Map<string, Node>; // by the bytes of the name, as latin1
  parent: Node | undefined;
  /** Something is mounted on it. */
  mounts: number;
}

export interface FakeTrees extends Trees {
  /** By path from the root of the fake; directories on the way are made. Of a link: its target. */
  make(path: string, type?: EntryType, target?: string): void;
  mount(path: string): void;
  /** All paths, sorted. */
  paths(): readonly string[];
  /** Directories that are open. */
  openCount(): number;
}

/** A tree in memory. Positions are indices, as those of an old tmpfs: they shift when entries go. */
export function createFakeTrees(): FakeTrees {
  let nextInode = 1n;
  let open = 0;
  const node = (type: EntryType, parent: Node | undefined, target?: string): Node => ({
    type,
    inode: nextInode++,
    uid: 0,
    gid: 0,
    links: 1,
    target,
    children: new Map(),
    parent,
    mounts: 0,
  });
  const root = node('directory', undefined);
  const find = (path: string): Node =>
    namesOf(path).reduce((at, name) => at.children.get(name) ?? fail(`open ${path}`, 'ENOENT'), root);
  return {
    open: (path) => {
      const found = find(path);
      if (found.type !== 'directory') fail(`open ${path}`, 'ENOTDIR');
      return openNode(found, (change) => (open += change));
    },
    make: (path, type = 'directory', target) => {
      const names = namesOf(path);
      const last = names.pop() ?? fail(`make ${path}`, 'EEXIST');
      let at = root;
      for (const name of names) {
        const child = at.children.get(name) ?? node('directory', at);
        at.children.set(name, child);
        at = child;
      }
      if (!at.children.has(last)) at.children.set(last, node(type, at, target));
    },
    mount: (path) => void find(path).mounts++,
    paths: () => pathsOf(root, '').toSorted(),
    openCount: () => open,
  };
}

const namesOf = (path: string): string[] =>
  path
    .split('/')
    .filter((name) => name !== '')
    .map((name) => Buffer.from(name).toString('latin1'));

const pathsOf = (node: Node, path: string): string[] =>
  [...node.children].flatMap(([name, child]) => {
    const own = `${path}/${Buffer.from(name, 'latin1').toString()}`;
    return [own, ...pathsOf(child, own)];
  });

function fail(attempt: string, errno: string): never {
  throw kernelError(attempt, errno);
}

const readMax = 100;

function openNode(node: Node, count: (change: number) => void): TreeDirectory {
  let isOpen = true;
  count(1);
  const childOf = (name: Buffer, attempt: string): Node => {
    if (!isOpen) throw new RangeError('file descriptor is closed');
    return node.children.get(checkedName(name).toString('latin1')) ?? fail(attempt, 'ENOENT');
  };
  const remove = (name: Buffer): void => {
    const child = childOf(name, 'remove');
    if (child.mounts > 0) fail('remove', 'EBUSY');
    node.children.delete(name.toString('latin1'));
  };
  return {
    fd: -1,
    stat: () => statOfNode(node),
    statOf: (name) => {
      const child = node.children.get(checkedName(name).toString('latin1'));
      return child === undefined ? undefined : statOfNode(child);
    },
    read: (from) => [...node.children].slice(Number(from), Number(from) + readMax).map(entryAt(from)),
    openDirectory: (name) => {
      const child = childOf(name, 'open');
      if (child.type === 'link') fail('open', 'ELOOP');
      if (child.type !== 'directory') fail('open', 'ENOTDIR');
      if (child.mounts > 0) fail('open', 'EXDEV');
      return openNode(child, count);
    },
    openParent: () => openNode(node.parent ?? node, count),
    changeOwner: (name, { uid, gid }) => void Object.assign(childOf(name, 'change owner'), { uid, gid }),
    readLink: (name) => Buffer.from(childOf(name, 'read link').target ?? fail('read link', 'EINVAL')),
    removeFile: (name) => {
      if (childOf(name, 'remove').type === 'directory') fail('remove', 'EISDIR');
      remove(name);
    },
    removeEmpty: (name) => {
      const child = node.children.get(checkedName(name).toString('latin1'));
      const goes = child?.type === 'directory' && child.mounts === 0 && child.children.size === 0;
      if (goes) remove(name);
      return goes;
    },
    removeDirectory: (name) => {
      const child = childOf(name, 'remove');
      if (child.type !== 'directory') fail('remove', 'ENOTDIR');
      if (child.mounts > 0) fail('remove', 'EBUSY');
      if (child.children.size > 0) fail('remove', 'ENOTEMPTY');
      remove(name);
    },
    unmount: (name) => {
      const child = node.children.get(checkedName(name).toString('latin1'));
      if (child === undefined || child.mounts === 0) return false;
      child.mounts--;
      return true;
    },
    closeRemoved: async () => {
      if (isOpen) count(-1);
      isOpen = false;
    },
    [Symbol.dispose]: () => {
      if (isOpen) count(-1);
      isOpen = false;
    },
  };
}

const entryAt =
  (from: bigint) =>
  ([name, { type, inode }]: readonly [string, Node], index: number): Entry => ({
    name: Buffer.from(name, 'latin1'),
    type,
    inode,
    next: from + BigInt(index) + 1n,
  });

function statOfNode({ type, inode, uid, gid, links }: Node): EntryStat {
  return { type, inode, uid, gid, links, mode: 0o755, sizeBytes: 0, usedBytes: 0, device: 1n };
}
