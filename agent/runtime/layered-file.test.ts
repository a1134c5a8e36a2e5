import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeNode } from '#native/sys/file.ts';
import { readLayeredFile } from './layered-file.ts';

const isRoot = process.getuid?.() === 0;
let root = '';
let layers: readonly string[] = [];

beforeEach(() => {
  root = mkdtempSync('/tmp/podwright-layered-');
  layers = ['top', 'middle', 'bottom'].map((name) => `${root}/${name}`);
  for (const layer of layers) mkdirSync(`${layer}/etc`, { recursive: true });
});
afterEach(() => rmSync(root, { recursive: true }));

const read = (path: string): Promise<string | undefined> => readLayeredFile(layers, path, 100);

describe('readLayeredFile()', () => {
  it('takes the topmost', async () => {
    writeFileSync(`${root}/bottom/etc/passwd`, 'bottom');
    expect(await read('/etc/passwd')).toBe('bottom');
    writeFileSync(`${root}/middle/etc/passwd`, 'middle');
    expect(await read('/etc/passwd')).toBe('middle');
    expect(await read('/etc/group')).toBeUndefined();
    expect(await read('/etc')).toBeUndefined();
  });

  it.skipIf(!isRoot)('sees a whiteout (needs root)', async () => {
    writeFileSync(`${root}/bottom/etc/passwd`, 'bottom');
    makeNode(`${root}/middle/etc/passwd`, { type: 'c', major: 0, minor: 0, mode: 0 });
    expect(await read('/etc/passwd')).toBeUndefined();
  });

  it('follows symbolic links inside the layers only', async () => {
    mkdirSync(`${root}/bottom/usr`);
    writeFileSync(`${root}/bottom/usr/passwd`, 'linked');
    symlinkSync('/usr/passwd', `${root}/top/etc/passwd`);
    expect(await read('/etc/passwd')).toBe('linked');
    writeFileSync(`${root}/secret`, 'of the host');
    for (const target of [`${root}/secret`, '../../../secret', '/../../secret']) {
      symlinkSync(target, `${root}/top/etc/link`);
      expect(await read('/etc/link')).toBeUndefined();
      rmSync(`${root}/top/etc/link`);
    }
  });

  it('refuses links that go round, and files that are too large', async () => {
    symlinkSync('/etc/b', `${root}/top/etc/a`);
    symlinkSync('/etc/a', `${root}/top/etc/b`);
    await expect(read('/etc/a')).rejects.toThrow('too many symbolic links');
    writeFileSync(`${root}/top/etc/passwd`, 'x'.repeat(101));
    await expect(read('/etc/passwd')).rejects.toThrow('larger than');
  });
});
