import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { pageBytes, renderBolt, type BoltEntry } from './bolt.ts';
import { connectRaw } from './raw-client.fixture.ts';
import { startServed } from './served.fixture.ts';
import { renderSnapshot } from './snapshot.ts';

const entry = (key: string, value: Buffer): BoltEntry => ({
  key: Buffer.from(key),
  valueBytes: value.length,
  value: () => value,
});

/** What a reader of bbolt's pages finds: the keys and values of a bucket, in order. */
function readBucket(file: Buffer, name: string): readonly (readonly [string, number])[] {
  const newest = file.readBigUInt64LE(16 + 48) > file.readBigUInt64LE(pageBytes + 16 + 48) ? 0 : pageBytes;
  const read = (page: number): readonly (readonly [string, Buffer])[] => {
    const at = page * pageBytes;
    expect(Number(file.readBigUInt64LE(at))).toBe(page);
    const flags = file.readUInt16LE(at + 8);
    return Array.from({ length: file.readUInt16LE(at + 10) }, (_, index) => at + 16 + index * 16).flatMap(
      (element): readonly (readonly [string, Buffer])[] => {
        if (flags === 1) return read(Number(file.readBigUInt64LE(element + 8)));
        const start = element + file.readUInt32LE(element + 4);
        const end = start + file.readUInt32LE(element + 8);
        return [
          [file.toString('latin1', start, end), file.subarray(end, end + file.readUInt32LE(element + 12))],
        ];
      },
    );
  };
  const root = new Map(read(Number(file.readBigUInt64LE(newest + 16 + 16))));
  const bucket = root.get(name);
  if (bucket === undefined) return [];
  return read(Number(bucket.readBigUInt64LE())).map(([key, value]) => [key, value.length]);
}

describe('renderBolt()', () => {
  it.each([
    { name: 'nothing', sizes: [] },
    { name: 'one', sizes: [5] },
    { name: 'an entry over pages', sizes: [5, 3 * pageBytes, 7] },
    { name: 'many, over two levels of branches', sizes: Array.from({ length: 30_000 }, (_, at) => at % 200) },
  ])('gives pages in which a reader finds $name', ({ sizes }) => {
    const key = (at: number): string => `key-${String(at).padStart(20, '0')}`;
    const entries = sizes.map((size, at) => entry(key(at), Buffer.alloc(size, 1)));
    const buckets = [
      { name: 'more', entries: [] },
      { name: 'keys', entries },
    ];
    const file = Buffer.concat([...renderBolt(buckets)]);
    expect(readBucket(file, 'keys')).toEqual(sizes.map((size, at) => [key(at), size]));
    expect(readBucket(file, 'more')).toEqual([]);
    const end = Number(file.readBigUInt64LE(16 + 40));
    expect(file.length).toBe(end * pageBytes);
  });

  it('is byte for byte what it was when etcd ran on it', () => {
    const versions = [
      { key: '/a', text: 'x', modRevision: 2, version: 1, isDeletion: false },
      { key: '/b', text: 'y', modRevision: 2, version: 3, isDeletion: false },
      { key: '/a', text: '', modRevision: 300, version: 0, isDeletion: true },
    ].map(({ text, ...rest }) => ({ ...rest, value: Buffer.from(text), createRevision: 1, lease: 0 }));
    const leases = [{ id: 4711, ttlSeconds: 60, leftMs: 0, keys: [] }];
    const file = Buffer.concat([...renderSnapshot({ versions, leases, compactRevision: 2 })]);
    expect(readBucket(file, 'key').map(([key]) => Buffer.from(key, 'latin1').toString('hex'))).toEqual([
      '00000000000000025f0000000000000000',
      '00000000000000025f0000000000000001',
      '000000000000012c5f000000000000000074',
    ]);
    const trailer = createHash('sha256').update(file.subarray(0, -32)).digest();
    expect(file.subarray(-32)).toEqual(trailer);
    expect(trailer.toString('hex')).toMatchInlineSnapshot(
      `"bbaa8978d6818a069e84d1244a9e8e36e09c9efdd9dbb0479cdc14486a670fc7"`,
    );
  });
});

describe('Snapshot', () => {
  it('is one at a time', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'podwright-snapshot-'));
    await using served = await startServed(directory);
    using client = await connectRaw(served.url, served.admin);

    const value = Buffer.alloc(1_000_000);
    for (let at = 0; at < 8; at++) {
      await served.store.commit({ expect: [], ops: [{ op: 'put', key: `/${at}`, value }] });
    }
    const first = client.snapshot();
    await expect(client.snapshot()).rejects.toMatchObject({ code: 8 });
    expect((await first).length).toBeGreaterThan(8_000_000);
    expect((await client.snapshot()).length % 512).toBe(32);
    rmSync(directory, { recursive: true, force: true });
  });
});
