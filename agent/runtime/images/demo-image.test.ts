import { createHash } from 'node:crypto';
import { utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';
import { buildDemoArchive, createDemoImage, demoImageKey } from './demo-image.ts';
import { readTar } from './unpack/tar-reader.ts';

const input = {
  busybox: Buffer.from('busybox'),
  applets: ['sh', 'tar', 'sh', 'busybox'],
  nodeArchitecture: 'x64',
};

async function bytesOf(archive: Readable): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(archive as AsyncIterable<Buffer>));
}

describe('buildDemoArchive()', () => {
  it('gives the same bytes for the same busybox, whatever the order of its applets', async () => {
    const [a, b] = [
      await bytesOf(await buildDemoArchive(input)),
      await bytesOf(await buildDemoArchive(input)),
    ];
    const c = await bytesOf(await buildDemoArchive({ ...input, applets: input.applets.toReversed() }));
    const digests = [a, b, c].map((bytes) => createHash('sha256').update(bytes).digest('hex'));
    expect(new Set(digests).size).toBe(1);
  });

  it('is an OCI layout', async () => {
    const names: string[] = [];
    for await (const { header } of readTar(await buildDemoArchive(input))) names.push(header.name);
    expect(names.slice(0, 2)).toEqual(['oci-layout', 'index.json']);
    expect(names.length).toBe(5);
  });
});

describe('createDemoImage()', () => {
  it('says what to install where there is no busybox', async () => {
    await expect(createDemoImage('/nonexistent/busybox')).rejects.toMatchObject({
      code: 'E_NOT_FOUND',
      message: expect.stringContaining('apt install busybox-static'),
    });
  });
});

describe('demoImageKey()', () => {
  const busybox = join(scratchDirectory('podwright-demo-key-'), 'busybox');

  it('is of the program, its size and its time', async () => {
    const keyAfter = async (bytes: string, at: number): Promise<string> => {
      writeFileSync(busybox, bytes);
      utimesSync(busybox, at, at);
      return demoImageKey(busybox);
    };
    const keys = [
      await keyAfter('a', 1),
      await keyAfter('a', 1),
      await keyAfter('a', 2),
      await keyAfter('ab', 2),
    ];
    expect(keys.map((key) => keys.indexOf(key))).toEqual([0, 0, 2, 3]);
  });

  it('says what to install where there is no busybox', async () => {
    await expect(demoImageKey('/nonexistent/busybox')).rejects.toMatchObject({
      code: 'E_NOT_FOUND',
      message: expect.stringContaining('apt install busybox-static'),
    });
  });
});
