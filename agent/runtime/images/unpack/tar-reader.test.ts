import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { tarOf } from '#agent/runtime/images/test-archive.ts';
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

describe('readTar() of what other tars write', () => {
  const block = (fields: Readonly<Record<number, string>>): Buffer => {
    const bytes = Buffer.alloc(512);
    const given = {
      100: '0000644',
      108: '0000000',
      116: '0000000',
      124: '00000000000',
      136: '00000000000',
      156: '0',
    };
    for (const [at, text] of Object.entries({ ...given, ...fields })) bytes.write(text, Number(at), 'latin1');
    bytes.fill(' ', 148, 156);
    const sum = bytes.reduce((total, byte) => total + byte, 0);
    bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
    return bytes;
  };
  const ustar = { 257: 'ustar\x0000' };

  it.each([
    { name: 'v7, which has no magic', fields: { 0: 'old' }, want: { name: 'old', type: 'file' } },
    { name: 'v7: a directory is a name', fields: { 0: 'old/' }, want: { type: 'directory' } },
    { name: 'names that are no UTF-8', fields: { ...ustar, 0: '\xff\xfe' }, want: { name: '\xff\xfe' } },
    {
      name: 'star: a shorter prefix',
      fields: { ...ustar, 0: 'a', 345: `${'p'.repeat(131)}00000000000`, 508: 'tar\0' },
      want: { name: `${'p'.repeat(131)}/a` },
    },
    {
      name: 'a size where there are no bytes',
      fields: { ...ustar, 0: 'a', 156: '1', 157: 'b', 124: '00000001000' },
      want: { type: 'link', sizeBytes: 0 },
    },
    {
      name: 'a number of base 256',
      fields: { ...ustar, 0: 'a', 108: '\x80\0\0\0\xee\x6b\x28\0' },
      want: { uid: 4_000_000_000 },
    },
    {
      name: 'a time before 1970',
      fields: { ...ustar, 0: 'a', 136: '\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff' },
      want: { mtimeNs: -1_000_000_000n },
    },
  ])('$name', async ({ fields, want }) => {
    const next = block({ ...ustar, 0: 'next' });
    const headers = await headersOf(Buffer.concat([block(fields), next, Buffer.alloc(1024)]));
    expect(headers).toHaveLength(2);
    expect(headers[0]).toMatchObject(want);
    expect(headers[1]).toMatchObject({ name: 'next' });
  });

  it.each([
    {
      name: 'a size that is no number (and once was waited for without end)',
      bytes: block({ ...ustar, 0: 'a', 124: '\xc0\0\0\0\0\0\0\0\0\0\0\0' }),
    },
    { name: 'a negative size', bytes: block({ ...ustar, 0: 'a', 124: '\xff'.repeat(12) }) },
    { name: 'octal digits that are none', bytes: block({ ...ustar, 0: 'a', 124: '0000000008' }) },
    {
      name: 'one empty block in the midst',
      bytes: Buffer.concat([Buffer.alloc(512), block({ ...ustar, 0: 'a' })]),
    },
    {
      name: 'records that end elsewhere than they say',
      bytes: Buffer.concat([
        block({ ...ustar, 0: 'x', 156: 'x', 124: '00000000012' }),
        Buffer.from('99 path=x\n'.padEnd(512, '\0')),
        block({ ...ustar, 0: 'a' }),
      ]),
    },
  ])('refuses $name', async ({ bytes }) => {
    await expect(headersOf(bytes)).rejects.toThrow(/invalid tar header/);
  });

  it('takes nothing that stands behind the end', async () => {
    const hidden = block({ ...ustar, 0: 'hidden' });
    expect(
      await headersOf(Buffer.concat([block({ ...ustar, 0: 'a' }), Buffer.alloc(1024), hidden])),
    ).toHaveLength(1);
  });

  it('ends where empty blocks do not', async () => {
    const zeros = Readable.from(
      (function* () {
        for (;;) yield Buffer.alloc(65_536);
      })(),
    );
    const read = Array.fromAsync(readTar(zeros, 1_000_000));
    await expect(read).rejects.toMatchObject({ code: 'E_LIMIT' });
  });

  it('holds no more than a bound of records', async () => {
    const endless = Readable.from(
      (function* () {
        yield block({ ...ustar, 0: 'x', 156: 'x', 124: '77777777777' });
        for (;;) yield Buffer.alloc(65_536);
      })(),
    );
    await expect(Array.fromAsync(readTar(endless))).rejects.toMatchObject({ code: 'E_LIMIT' });
  });
});
