import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { tarOf } from './test-archive.ts';
import { readTar, type TarHeader } from './tar-reader.ts';

async function headersOf(bytes: Buffer): Promise<readonly TarHeader[]> {
  const headers: TarHeader[] = [];
  for await (const { header } of readTar(Readable.from([bytes]))) headers.push(header);
  return headers;
}

describe('readTar()', () => {
  it('keeps binary extended attributes byte for byte, on the entry that they belong to', async () => {
    const value = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    const tar = await tarOf([
      { name: 'before', content: 'x' },
      { name: 'with', content: 'x', xattrs: { 'security.capability': value, 'user.a': Buffer.from('b') } },
      { name: 'after', content: 'x' },
    ]);
    const headers = await headersOf(tar);
    expect(headers.map((header) => [header.name, header.xattrs.size])).toEqual([
      ['before', 0],
      ['with', 2],
      ['after', 0],
    ]);
    expect(headers[1]?.xattrs.get('security.capability')).toEqual(value);
  });

  it('reads names longer than a header holds, in any cut of the stream', async () => {
    const name = `${'directory/'.repeat(20)}file`;
    const tar = await tarOf([{ name, content: 'content' }]);
    for (const cut of [1, 511, 512, 513, 1000, 1536, 2000]) {
      const read = [];
      for await (const { header, body } of readTar(
        Readable.from([tar.subarray(0, cut), tar.subarray(cut)]),
      )) {
        read.push([header.name, Buffer.concat(await Array.fromAsync(body)).toString()]);
      }
      expect(read).toEqual([[name, 'content']]);
    }
  });

  it('skips a body that nobody read', async () => {
    const tar = await tarOf([
      { name: 'a', content: 'x'.repeat(5000) },
      { name: 'b', content: 'y' },
    ]);
    expect((await headersOf(tar)).map((header) => header.name)).toEqual(['a', 'b']);
  });

  it('throws where the stream ends inside an entry, or is no tar', async () => {
    const tar = await tarOf([{ name: 'a', content: 'x'.repeat(5000) }]);
    await expect(headersOf(tar.subarray(0, 3000))).rejects.toThrow(/unexpected end/i);
    await expect(headersOf(Buffer.alloc(2048, 'not a tar'))).rejects.toThrow(/invalid tar header/i);
  });
});
