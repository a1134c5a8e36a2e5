import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';
import { makeNode, setXattr } from '#native/sys/file.ts';
import { readLayeredFile } from './layered-file.ts';

const isRoot = process.getuid?.() === 0;
const scratch = scratchDirectory('podwright-layered-');
let root = '';
let layers: readonly string[] = [];

beforeEach(() => {
  root = mkdtempSync(`${scratch}/`);
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

  it('never follows a link of a lower layer under a directory of an upper one', async () => {
    // What the container sees at /etc is the upper layer's directory alone: the link below it is hidden.
    rmSync(`${root}/middle/etc`, { recursive: true });
    symlinkSync('/etc', `${root}/middle/etc`);
    expect(readFileSync('/etc/passwd', 'utf8')).toContain('root');
    expect(await readLayeredFile(layers, '/etc/passwd', 1e6)).toBeUndefined();
    writeFileSync(`${root}/bottom/etc/passwd`, 'hidden by the link');
    expect(await readLayeredFile(layers, '/etc/passwd', 1e6)).toBeUndefined();
    writeFileSync(`${root}/top/etc/passwd`, 'top');
    expect(await read('/etc/passwd')).toBe('top');
  });

  it.each([
    ['a file', (path: string) => writeFileSync(path, '')],
    ['a link', (path: string) => symlinkSync('/', path)],
  ])('sees nothing of the layers below %s at the place of a directory', async (_what, make) => {
    rmSync(`${root}/middle/etc`, { recursive: true });
    make(`${root}/middle/etc`);
    writeFileSync(`${root}/bottom/etc/passwd`, 'bottom');
    expect(await read('/etc/passwd')).toBeUndefined();
  });

  it.skipIf(!isRoot)(
    'sees nothing below an opaque directory, and of one that was whited out (needs root)',
    async () => {
      writeFileSync(`${root}/bottom/etc/passwd`, 'bottom');
      setXattr(`${root}/middle/etc`, 'trusted.overlay.opaque', Buffer.from('y'));
      expect(await read('/etc/passwd')).toBeUndefined();
      rmSync(`${root}/middle/etc`, { recursive: true });
      expect(await read('/etc/passwd')).toBe('bottom');
      makeNode(`${root}/middle/etc`, { type: 'c', major: 0, minor: 0, mode: 0 });
      expect(await read('/etc/passwd')).toBeUndefined();
      setXattr(layers[0] ?? '', 'trusted.overlay.opaque', Buffer.from('y'));
      rmSync(`${root}/middle/etc`);
      expect(await read('/etc/passwd')).toBeUndefined();
    },
  );

  it.skipIf(!isRoot)('is not held up by what is no file (needs root)', async () => {
    makeNode(`${root}/top/etc/passwd`, { type: 'p', major: 0, minor: 0, mode: 0o600 });
    makeNode(`${root}/top/etc/group`, { type: 'c', major: 1, minor: 5, mode: 0o600 });
    expect(await read('/etc/passwd')).toBeUndefined();
    expect(await read('/etc/group')).toBeUndefined();
    writeFileSync(`${root}/middle/etc/passwd`, 'hidden');
    expect(await read('/etc/passwd')).toBeUndefined();
  });

  it('goes up from where a link led, not from where it is, and never above the root', async () => {
    mkdirSync(`${root}/middle/usr/share`, { recursive: true });
    writeFileSync(`${root}/bottom/etc/passwd`, 'etc');
    mkdirSync(`${root}/top/usr`);
    writeFileSync(`${root}/top/usr/passwd`, 'usr');
    symlinkSync('usr/share', `${root}/bottom/link`);
    expect(await read('/link/../passwd')).toBe('usr');
    expect(await read('/link/../../../../etc/passwd')).toBe('etc');
    symlinkSync(`${'../'.repeat(50)}etc/passwd`, `${root}/top/usr/up`);
    expect(await read('/link/../up')).toBe('etc');
    expect(await read('/etc/passwd/more')).toBeUndefined();
    expect(await read(`/${'n'.repeat(300)}`)).toBeUndefined();
  });

  it('refuses links that go round, and files that are too large', async () => {
    symlinkSync('/etc/b', `${root}/top/etc/a`);
    symlinkSync('/etc/a', `${root}/top/etc/b`);
    await expect(read('/etc/a')).rejects.toThrow('too many symbolic links');
    writeFileSync(`${root}/top/etc/passwd`, 'x'.repeat(101));
    await expect(read('/etc/passwd')).rejects.toThrow('larger than');
  });
});
