import type { Readable } from 'node:stream';
import { extract, type Extract, type Header } from 'tar-stream';

/** What PAX says beyond the header, once decoded. */
export interface TarHeader {
  readonly name: string;
  readonly type: Header['type'] | 'unknown';
  readonly linkname: string;
  readonly sizeBytes: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeNs: bigint;
  readonly devmajor: number;
  readonly devminor: number;
  readonly xattrs: ReadonlyMap<string, Buffer>;
}

export interface TarEntry {
  readonly header: TarHeader;
  /** To be read to its end, or left alone, before the next entry is asked for. */
  readonly body: AsyncIterable<Buffer>;
}

const xattrPrefix = 'SCHILY.xattr.';

/** The entries of a plain tar stream (ustar, pax, GNU long names), in order. Owns `source`. */
export async function* readTar(source: Readable): AsyncGenerator<TarEntry> {
  const reader = extract();
  const xattrs = keepRawXattrs(reader);
  source.on('error', (error) => reader.destroy(error));
  source.pipe(reader);
  try {
    for await (const entry of reader) {
      yield { header: headerOf(entry.header, xattrs.take()), body: entry as AsyncIterable<Buffer> };
      entry.resume();
    }
  } finally {
    source.destroy();
    reader.destroy();
  }
}

/**
 * tar-stream decodes PAX records as UTF-8, which spoils binary values: security.capability is a struct. The raw record is
 * only visible in its `_decodeLongHeader` (3.2.2, pinned; tar-reader.test.ts fails when an update takes it away).
 */
function keepRawXattrs(reader: Extract): { take(): ReadonlyMap<string, Buffer> } {
  let found = new Map<string, Buffer>();
  const inner = reader as unknown as { _decodeLongHeader(buffer: Buffer): void; _header: { type: string } };
  const decode = inner._decodeLongHeader.bind(reader);
  inner._decodeLongHeader = (buffer) => {
    if (inner._header.type === 'pax-header') found = parsePaxXattrs(Buffer.from(buffer));
    decode(buffer);
  };
  return {
    take: () => {
      const taken = found;
      found = new Map();
      return taken;
    },
  };
}

/** Records of `LENGTH KEY=VALUE\n` (POSIX pax); only the extended attributes are kept. */
function parsePaxXattrs(records: Buffer): Map<string, Buffer> {
  const found = new Map<string, Buffer>();
  for (let at = 0; at < records.length;) {
    const space = records.indexOf(0x20, at);
    const length = Number.parseInt(records.toString('latin1', at, space), 10);
    if (space < 0 || !(length > 0)) break;
    const record = records.subarray(space + 1, at + length - 1);
    const equals = record.indexOf(0x3d);
    const key = record.toString('utf8', 0, equals);
    if (key.startsWith(xattrPrefix)) found.set(key.slice(xattrPrefix.length), record.subarray(equals + 1));
    at += length;
  }
  return found;
}

function headerOf(header: Header, xattrs: ReadonlyMap<string, Buffer>): TarHeader {
  const pax = (header.pax ?? {}) as Readonly<Record<string, string | undefined>>;
  // The declared types leave out that an unknown type flag is null, and that only links have a linkname.
  const raw = header as { readonly type: Header['type'] | null; readonly linkname: string | null };
  return {
    name: header.name,
    type: raw.type ?? 'unknown',
    linkname: raw.linkname ?? '',
    sizeBytes: header.size,
    mode: header.mode & 0o7777,
    uid: paxInteger(pax['uid']) ?? header.uid,
    gid: paxInteger(pax['gid']) ?? header.gid,
    mtimeNs: paxTime(pax['mtime']) ?? BigInt(Math.trunc(header.mtime.getTime())) * 1_000_000n,
    devmajor: header.devmajor,
    devminor: header.devminor,
    xattrs,
  };
}

function paxInteger(text: string | undefined): number | undefined {
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
}

/** Seconds with a fraction of any length, POSIX pax `mtime`. */
function paxTime(text: string | undefined): bigint | undefined {
  const match = text === undefined ? null : /^(-?\d+)(?:\.(\d+))?$/.exec(text);
  if (match === null) return undefined;
  return BigInt(match[1] ?? '0') * 1_000_000_000n + BigInt((match[2] ?? '').padEnd(9, '0').slice(0, 9));
}
