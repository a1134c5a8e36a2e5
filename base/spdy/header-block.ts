import zlib from 'node:zlib';
import { PodwrightError } from '#base/errors.ts';
import { spdyDictionary } from './dictionary.ts';

/** Names in lower case; several values of one name are joined by NUL on the wire and by `\0` here. */
export type SpdyHeaders = Readonly<Record<string, string>>;

/** Bytes of one block when inflated; a small compressed one may not blow up. */
const blockLengthMax = 65_536;

/** The uncompressed form: count, then length and bytes of each name and value. */
export function encodeHeaders(headers: SpdyHeaders): Buffer {
  const parts: Buffer[] = [word(Object.keys(headers).length)];
  for (const [name, value] of Object.entries(headers)) {
    for (const text of [name.toLowerCase(), value]) {
      const bytes = Buffer.from(text);
      parts.push(word(bytes.length), bytes);
    }
  }
  return Buffer.concat(parts);
}

/** @throws {E_INVALID} */
export function decodeHeaders(block: Buffer): SpdyHeaders {
  let offset = 0;
  const take = (length: number): Buffer => {
    if (offset + length > block.length) throw new PodwrightError('E_INVALID', 'read SPDY headers: cut short');
    offset += length;
    return block.subarray(offset - length, offset);
  };
  const number = (): number => take(4).readUInt32BE(0);
  const entries: [string, string][] = [];
  for (let left = number(); left > 0; left--) {
    const name = take(number()).toString('utf8').toLowerCase();
    entries.push([name, take(number()).toString('utf8')]);
  }
  return Object.fromEntries(entries);
}

function word(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32BE(value);
  return buffer;
}

/** One direction of a connection: header blocks share one zlib context, so they must be coded in the order of their frames. */
export interface HeaderCoder extends Disposable {
  code(bytes: Buffer): Promise<Buffer>;
}

export function createHeaderDeflater(): HeaderCoder {
  return createCoder(zlib.createDeflate({ dictionary: spdyDictionary, flush: zlib.constants.Z_SYNC_FLUSH }));
}

export function createHeaderInflater(): HeaderCoder {
  return createCoder(zlib.createInflate({ dictionary: spdyDictionary, flush: zlib.constants.Z_SYNC_FLUSH }));
}

function createCoder(stream: zlib.Deflate | zlib.Inflate): HeaderCoder {
  let chunks: Buffer[] = [];
  let size = 0;
  let fail: ((error: unknown) => void) | undefined;
  stream.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size <= blockLengthMax) chunks.push(chunk);
    else
      stream.destroy(new PodwrightError('E_LIMIT', `SPDY header block of more than ${blockLengthMax} bytes`));
  });
  stream.on('error', (error) => fail?.(error));
  let last: Promise<unknown> = Promise.resolve();
  const one = (bytes: Buffer): Promise<Buffer> => {
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
    const wrap = (error: unknown): void =>
      reject(
        error instanceof PodwrightError
          ? error
          : new PodwrightError('E_INVALID', 'SPDY header block', { cause: error }),
      );
    fail = wrap;
    if (stream.destroyed) wrap(new PodwrightError('E_CLOSED', 'code SPDY headers: closed'));
    stream.write(bytes, (error) => {
      if (error !== null && error !== undefined) {
        wrap(error);
        return;
      }
      resolve(Buffer.concat(chunks));
      chunks = [];
      size = 0;
    });
    return promise;
  };
  return {
    code: (bytes) => {
      const result = last.then(() => one(bytes));
      last = result.catch(() => undefined); // Told to the caller of that block.
      return result;
    },
    [Symbol.dispose]: () => void stream.destroy(),
  };
}
