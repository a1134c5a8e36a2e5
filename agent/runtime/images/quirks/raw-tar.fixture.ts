/** Tar entries byte by byte, for what no library writes. Names are bytes as latin1. */

export interface RawEntry {
  readonly name: string;
  /** The type flag; a file. */
  readonly type?: string;
  readonly content?: string | Buffer;
  readonly link?: string;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mtime?: number;
  readonly device?: readonly [major: number, minor: number];
  readonly format?: 'ustar' | 'gnu' | 'v7';
  /** Records of a pax header before it. */
  readonly pax?: readonly (readonly [key: string, value: string | Buffer])[];
  /** By type: records of GNU's long names before it. */
  readonly long?: Readonly<Record<'L' | 'K', string>> | { readonly L: string } | { readonly K: string };
  /** Of the header, whatever the content is. */
  readonly size?: number;
  /** Bytes put into the header as they are, by place. */
  readonly raw?: Readonly<Record<number, string>>;
  /** Blocks between header and content. */
  readonly blocks?: Buffer;
}

const magics = { ustar: 'ustar\x0000', gnu: 'ustar  \0', v7: '' } as const;

/** An entry with what stands before it, in whole blocks. */
export function rawEntry(entry: RawEntry): Buffer {
  const { content = '', pax = [], long = {}, format = 'ustar' } = entry;
  const body = Buffer.from(content);
  const parts = Object.entries(long).map(([type, name]) =>
    rawEntry({ name: '././@LongLink', type, content: Buffer.from(`${name}\0`, 'latin1'), format: 'gnu' }),
  );
  if (pax.length > 0) {
    const records = Buffer.concat(pax.map(([key, value]) => paxRecord(key, value)));
    parts.push(rawEntry({ name: 'PaxHeaders/x', type: 'x', content: records }));
  }
  return Buffer.concat([
    ...parts,
    header(entry, body, format),
    entry.blocks ?? Buffer.alloc(0),
    padded(body),
  ]);
}

export const padded = (bytes: Buffer): Buffer =>
  Buffer.concat([bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]);

function header(entry: RawEntry, body: Buffer, format: NonNullable<RawEntry['format']>): Buffer {
  const { name, type = '0', link = '', mode = 0o644, uid = 0, gid = 0, mtime = 1_700_000_000 } = entry;
  const block = Buffer.alloc(512);
  block.write(name, 0, 100, 'latin1');
  putNumber(block, [100, 8], mode);
  putNumber(block, [108, 8], uid);
  putNumber(block, [116, 8], gid);
  putNumber(block, [124, 12], entry.size ?? body.length);
  putNumber(block, [136, 12], mtime);
  block.write(type, 156, 'latin1');
  block.write(link, 157, 100, 'latin1');
  block.write(magics[format], 257, 'latin1');
  if (entry.device !== undefined) {
    putNumber(block, [329, 8], entry.device[0]);
    putNumber(block, [337, 8], entry.device[1]);
  }
  for (const [at, text] of Object.entries(entry.raw ?? {})) block.write(text, Number(at), 'latin1');
  block.fill(' ', 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

/** Octal where it fits, else base 256 as GNU tar writes it. */
function putNumber(block: Buffer, [at, bytes]: readonly [number, number], value: number): void {
  if (value >= 0 && value < 8 ** (bytes - 1)) {
    block.write(value.toString(8).padStart(bytes - 1, '0'), at, 'latin1');
    return;
  }
  const bits = BigInt(bytes * 8);
  const number =
    value < 0 ? BigInt.asUintN(Number(bits), BigInt(value)) : BigInt(value) | (0x80n << (bits - 8n));
  block.write(number.toString(16).padStart(bytes * 2, '0'), at, 'hex');
}

function paxRecord(key: string, value: string | Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(` ${key}=`), Buffer.from(value), Buffer.from('\n')]);
  let length = body.length + 1;
  while (String(length).length + body.length !== length) length = String(length).length + body.length;
  return Buffer.concat([Buffer.from(String(length)), body]);
}

export const endOfTar: Buffer = Buffer.alloc(1024);

export const rawTar = (...entries: readonly RawEntry[]): Buffer =>
  Buffer.concat([...entries.map(rawEntry), endOfTar]);
