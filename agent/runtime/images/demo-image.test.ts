import { createHash } from 'node:crypto';
import type { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { buildDemoArchive, createDemoImage } from './demo-image.ts';
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
