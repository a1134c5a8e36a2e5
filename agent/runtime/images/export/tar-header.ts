/** Headers of a tar: ustar, and before it a PAX record of what that has no room for (POSIX pax, pax(1)). Pure; bytes of names as latin1. */

export interface TarEntry {
  readonly name: string;
  readonly type: 'file' | 'directory' | 'symlink' | 'link' | 'fifo' | 'character-device' | 'block-device';
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Of a file; 0 otherwise. */
  readonly sizeBytes: number;
  readonly mtimeNs: bigint;
  readonly linkname?: string;
  readonly device?: { readonly major: number; readonly minor: number };
  /** By name, in the order in which they are written. */
  readonly xattrs?: readonly (readonly [name: string, value: Buffer])[];
}

export const blockBytes = 512;
const typeFlags = {
  ...{ file: '0', link: '1', symlink: '2', 'character-device': '3', 'block-device': '4' },
  ...{ directory: '5', fifo: '6' },
} as const;

/** What fills the last block of so many bytes. */
export function tarPadding(bytes: number): Buffer {
  return Buffer.alloc((blockBytes - (bytes % blockBytes)) % blockBytes);
}

/** Two empty blocks. */
export const tarEnd: Buffer = Buffer.alloc(2 * blockBytes);

/** The blocks before an entry's content. */
export function renderTarHeader(entry: TarEntry): Buffer {
  const records = paxRecords(entry);
  if (records.length === 0) return ustarHeader(entry, typeFlags[entry.type]);
  const body = Buffer.concat(records);
  const pax = { ...entry, name: 'pax', mode: 0o644, uid: 0, gid: 0, mtimeNs: 0n, sizeBytes: body.length };
  return Buffer.concat([
    ustarHeader({ ...pax, linkname: '', device: { major: 0, minor: 0 } }, 'x'),
    body,
    tarPadding(body.length),
    ustarHeader(entry, typeFlags[entry.type]),
  ]);
}

const nameBytesMax = 100;
/** Of eight bytes, and of twelve, with the NUL after the octal digits. */
const [shortMax, longMax] = [0o7777777, 0o77777777777];
const nanoseconds = 1_000_000_000n;

function paxRecords({
  name,
  linkname = '',
  uid,
  gid,
  sizeBytes,
  mtimeNs,
  xattrs = [],
}: TarEntry): readonly Buffer[] {
  const isWhole = mtimeNs >= 0n && mtimeNs % nanoseconds === 0n && mtimeNs / nanoseconds <= BigInt(longMax);
  return [
    ...(name.length > nameBytesMax ? [paxRecord('path', latin1(name))] : []),
    ...(linkname.length > nameBytesMax ? [paxRecord('linkpath', latin1(linkname))] : []),
    ...(uid > shortMax ? [paxRecord('uid', latin1(String(uid)))] : []),
    ...(gid > shortMax ? [paxRecord('gid', latin1(String(gid)))] : []),
    ...(sizeBytes > longMax ? [paxRecord('size', latin1(String(sizeBytes)))] : []),
    ...(isWhole ? [] : [paxRecord('mtime', latin1(renderTime(mtimeNs)))]),
    ...xattrs.map(([key, value]) => paxRecord(`SCHILY.xattr.${key}`, value)),
  ];
}

/** Seconds since the epoch, with as many digits after the point as there are. */
function renderTime(ns: bigint): string {
  const [sign, amount] = ns < 0n ? ['-', -ns] : ['', ns];
  const fraction = (amount % nanoseconds).toString().padStart(9, '0').replace(/0+$/, '');
  return `${sign}${amount / nanoseconds}${fraction === '' ? '' : `.${fraction}`}`;
}

/** `LENGTH KEY=VALUE\n`, where the length counts itself. */
function paxRecord(key: string, value: Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from('\n')]);
  let length = rest.length;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

function ustarHeader(entry: TarEntry, typeFlag: string): Buffer {
  const { name, linkname = '', mode, uid, gid, sizeBytes, mtimeNs, device } = entry;
  const header = Buffer.alloc(blockBytes);
  const octal = (value: number, at: number, digits: number): void => {
    const max = 8 ** digits - 1;
    const within = value < 0 || value > max ? 0 : value; // What is not, a record says.
    header.write(within.toString(8).padStart(digits, '0'), at, 'latin1');
  };
  header.write(name.slice(0, nameBytesMax), 0, 'latin1');
  octal(mode & 0o7777, 100, 7);
  octal(uid, 108, 7);
  octal(gid, 116, 7);
  octal(sizeBytes, 124, 11);
  octal(Number(mtimeNs / nanoseconds), 136, 11);
  header.write(typeFlag, 156, 'latin1');
  header.write(linkname.slice(0, nameBytesMax), 157, 'latin1');
  header.write('ustar\x0000', 257, 'latin1');
  octal(device?.major ?? 0, 329, 7);
  octal(device?.minor ?? 0, 337, 7);
  header.fill(' ', 148, 156); // The sum is of a header with this in its place.
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return header;
}

function latin1(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}
