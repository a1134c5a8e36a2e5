import { Buffer } from 'node:buffer';

/**
 * Writes a database of bbolt (go.etcd.io/bbolt page.go, db.go), which is what etcd keeps its keys in: pages of 4 KiB, little-endian.
 *
 * ```
 * page 0, 1   meta: where the root is; the one with the higher transaction id holds
 * page 2      freelist: empty
 * then        of each bucket its leaves, and branches over them up to one page
 * last        the leaf of the root: the name of each bucket with its topmost page
 * ```
 * An entry that is larger than a page goes on over the following ones.
 */
export interface BoltEntry {
  readonly key: Uint8Array;
  /** Bytes of what `value` gives. */
  readonly valueBytes: number;
  readonly value: () => Uint8Array;
}

export interface BoltBucket {
  readonly name: string;
  /** In order of their keys, none twice. */
  readonly entries: readonly BoltEntry[];
}

export const pageBytes = 4096;
const pageHeaderBytes = 16;
/** Of a leaf and of a branch alike. */
const elementBytes = 16;
const branchFlag = 0x01;
const leafFlag = 0x02;
const metaFlag = 0x04;
const freelistFlag = 0x10;
const bucketEntryFlag = 0x01;
const magic = 0xed0c_daed;
const formatVersion = 2;
const freelistPage = 2;
const metaBytes = 56;

type Page =
  | {
      readonly kind: 'leaf';
      readonly id: number;
      readonly entries: readonly BoltEntry[];
      readonly flags: number;
    }
  | { readonly kind: 'branch'; readonly id: number; readonly children: readonly Child[] };

interface Child {
  readonly key: Uint8Array;
  readonly page: number;
}

interface Tree {
  readonly pages: readonly Page[];
  readonly root: number;
  /** The first page behind it. */
  readonly end: number;
}

/** The file, page by page: values are asked for only when their page is written. Pure. */
export function* renderBolt(buckets: readonly BoltBucket[]): Generator<Buffer, void> {
  const pages: Page[] = [];
  const roots: BoltEntry[] = [];
  let end = freelistPage + 1;
  for (const { name, entries } of buckets.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const tree = planTree(entries, end, 0);
    pages.push(...tree.pages);
    end = tree.end;
    const header = Buffer.alloc(16);
    header.writeBigUInt64LE(BigInt(tree.root));
    roots.push({ key: Buffer.from(name), valueBytes: header.length, value: () => header });
  }
  const root = planTree(roots, end, bucketEntryFlag);
  yield renderMeta(0, root);
  yield renderMeta(1, root);
  yield withHeader({ id: freelistPage, flag: freelistFlag, count: 0, bytes: pageHeaderBytes });
  for (const page of [...pages, ...root.pages]) yield renderPage(page);
}

function planTree(entries: readonly BoltEntry[], start: number, flags: number): Tree {
  const pages: Page[] = [];
  let end = start;
  const place = (bytes: number): number => {
    const id = end;
    end += Math.ceil(bytes / pageBytes);
    return id;
  };
  let level = groupBySize(entries, bytesOfEntry).map((group): Child => {
    const id = place(bytesOf(group, bytesOfEntry));
    pages.push({ kind: 'leaf', id, entries: group, flags });
    return { key: group[0]?.key ?? new Uint8Array(), page: id };
  });
  while (level.length > 1) {
    level = groupBySize(level, bytesOfChild).map((group): Child => {
      const id = place(bytesOf(group, bytesOfChild));
      pages.push({ kind: 'branch', id, children: group });
      return { key: group[0]?.key ?? new Uint8Array(), page: id };
    });
  }
  return { pages, root: level[0]?.page ?? start, end };
}

const bytesOfEntry = ({ key, valueBytes }: BoltEntry): number => elementBytes + key.length + valueBytes;
const bytesOfChild = ({ key }: Child): number => elementBytes + key.length;

function bytesOf<Item>(items: readonly Item[], sizeOf: (item: Item) => number): number {
  return items.reduce((sum, item) => sum + sizeOf(item), pageHeaderBytes);
}

/** As many as a page holds, two of a branch at least, so that each level is smaller; one group where there is nothing. */
function groupBySize<Item>(items: readonly Item[], sizeOf: (item: Item) => number): Item[][] {
  let group: Item[] = [];
  const groups = [group];
  let bytes = pageHeaderBytes;
  for (const item of items) {
    const size = sizeOf(item);
    if (bytes + size > pageBytes && group.length > 1) {
      group = [];
      groups.push(group);
      bytes = pageHeaderBytes;
    }
    group.push(item);
    bytes += size;
  }
  return groups;
}

function renderPage(page: Page): Buffer {
  const { id } = page;
  if (page.kind === 'branch') {
    const { children } = page;
    const bytes = bytesOf(children, bytesOfChild);
    const buffer = withHeader({ id, flag: branchFlag, count: children.length, bytes });
    let at = pageHeaderBytes + children.length * elementBytes;
    children.forEach(({ key, page: child }, index) => {
      const element = pageHeaderBytes + index * elementBytes;
      buffer.writeUInt32LE(at - element, element);
      buffer.writeUInt32LE(key.length, element + 4);
      buffer.writeBigUInt64LE(BigInt(child), element + 8);
      buffer.set(key, at);
      at += key.length;
    });
    return buffer;
  }
  const { entries, flags } = page;
  const bytes = bytesOf(entries, bytesOfEntry);
  const buffer = withHeader({ id, flag: leafFlag, count: entries.length, bytes });
  let at = pageHeaderBytes + entries.length * elementBytes;
  entries.forEach(({ key, valueBytes, value }, index) => {
    const element = pageHeaderBytes + index * elementBytes;
    buffer.writeUInt32LE(flags, element);
    buffer.writeUInt32LE(at - element, element + 4);
    buffer.writeUInt32LE(key.length, element + 8);
    buffer.writeUInt32LE(valueBytes, element + 12);
    buffer.set(key, at);
    buffer.set(value(), at + key.length);
    at += key.length + valueBytes;
  });
  return buffer;
}

function withHeader(page: {
  readonly id: number;
  readonly flag: number;
  readonly count: number;
  readonly bytes: number;
}): Buffer {
  const span = Math.ceil(page.bytes / pageBytes);
  const buffer = Buffer.alloc(span * pageBytes);
  buffer.writeBigUInt64LE(BigInt(page.id), 0);
  buffer.writeUInt16LE(page.flag, 8);
  buffer.writeUInt16LE(page.count, 10);
  buffer.writeUInt32LE(span - 1, 12);
  return buffer;
}

function renderMeta(id: number, root: Tree): Buffer {
  const buffer = withHeader({ id, flag: metaFlag, count: 0, bytes: pageHeaderBytes });
  const meta = buffer.subarray(pageHeaderBytes);
  meta.writeUInt32LE(magic, 0);
  meta.writeUInt32LE(formatVersion, 4);
  meta.writeUInt32LE(pageBytes, 8);
  meta.writeBigUInt64LE(BigInt(root.root), 16);
  meta.writeBigUInt64LE(BigInt(freelistPage), 32);
  meta.writeBigUInt64LE(BigInt(root.end), 40);
  meta.writeBigUInt64LE(BigInt(id), 48);
  meta.writeBigUInt64LE(fnv1a64(meta.subarray(0, metaBytes)), metaBytes);
  return buffer;
}

/** http://www.isthe.com/chongo/tech/comp/fnv/ */
function fnv1a64(bytes: Uint8Array): bigint {
  let hash = 0xcbf2_9ce4_8422_2325n;
  for (const byte of bytes) hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100_0000_01b3n);
  return hash;
}
