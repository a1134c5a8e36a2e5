import { pipeline, Readable } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { PodwrightError } from '#base/errors.ts';

export type Compression = 'none' | 'gzip' | 'zstd' | 'xz' | 'bzip2';

/** The first bytes of each format, RFC 1952, RFC 8878 and the formats' own documents. Media types lie too often to be asked. */
const magics: readonly (readonly [Compression, readonly number[]])[] = [
  ['gzip', [0x1f, 0x8b]],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
  ...Array.from({ length: 16 }, (_, at) => ['zstd', [0x50 + at, 0x2a, 0x4d, 0x18]] as const), // Frames that are skipped.
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ['bzip2', [0x42, 0x5a, 0x68]],
];

const magicBytesMax = 6;

export function compressionOf(start: Uint8Array): Compression {
  return magics.find(([, magic]) => magic.every((byte, at) => start[at] === byte))?.[0] ?? 'none';
}

/** The plain bytes of a stream that may be compressed. Owns `source`. @throws E_UNSUPPORTED (xz, bzip2) */
export async function decompress(source: Readable): Promise<Readable> {
  const chunks = source[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  const start: Buffer[] = [];
  for (let length = 0; length < magicBytesMax;) {
    const next = await chunks.next();
    if (next.done === true) break;
    start.push(next.value);
    length += next.value.length;
  }
  const head = Buffer.concat(start);
  const whole = Readable.from(resume(head, chunks), { objectMode: false });
  const compression = compressionOf(head);
  switch (compression) {
    case 'none':
      return whole;
    case 'gzip':
      return pipeline(whole, createGunzip(), ignoreEnd);
    case 'zstd':
      return pipeline(whole, createZstdDecompress(), ignoreEnd);
    default:
      whole.destroy();
      throw new PodwrightError(
        'E_UNSUPPORTED',
        `decompress: ${compression} is not known (gzip and zstd are)`,
      );
  }
}

async function* resume(head: Buffer, rest: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  try {
    if (head.length > 0) yield head;
    for (let next = await rest.next(); next.done !== true; next = await rest.next()) yield next.value;
  } finally {
    await rest.return?.();
  }
}

/** The error of a pipeline also reaches the reader of its last stream, who handles it. */
function ignoreEnd(): void {}
