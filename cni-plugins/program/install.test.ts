/** `install cni` and `uninstall cni`: what is put into a directory of programs, and that only that is taken out again. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';
import { createPluginRegistry } from '#cni-plugins/registry.ts';
import { installPlugins, uninstallPlugins } from './install.ts';

const parent = scratchDirectory('podwright-install-');

const types = [...createPluginRegistry().keys()].toSorted();
const install = (binDir: string): Promise<unknown> =>
  installPlugins({
    binDir,
    nodePath: process.execPath,
    root: join(import.meta.dirname, '../..'),
    sockets: [join(parent, 'a.sock'), join(parent, 'b.sock')],
  });
const names = (binDir: string): readonly string[] => readdirSync(binDir).toSorted();

test('what is installed is removed whole; what is not ours stays, under whatever name', async () => {
  const binDir = join(parent, 'bin');
  mkdirSync(binDir);
  writeFileSync(join(binDir, 'weave-net'), '#!/bin/sh\n', { mode: 0o755 });
  mkdirSync(join(binDir, '.podwright-mine'));
  await install(binDir);
  expect(names(binDir).filter((name) => !name.startsWith('.'))).toEqual([...types, 'weave-net'].toSorted());
  const inodes = new Set(types.map((type) => statSync(join(binDir, type)).ino));
  expect(inodes.size).toBe(1);

  // Somebody else's bridge takes the place of ours, and a directory of ours gets a file of somebody's.
  rmSync(join(binDir, 'bridge'));
  writeFileSync(join(binDir, 'bridge'), 'another bridge', { mode: 0o755 });
  const [directory = ''] = names(binDir).filter((name) => /^\.podwright-[0-9a-f]{16}$/.test(name));
  writeFileSync(join(binDir, directory, 'notes'), 'mine');

  await uninstallPlugins(binDir);
  expect(names(binDir)).toEqual([directory, '.podwright-mine', 'bridge', 'weave-net'].toSorted());
  expect(names(join(binDir, directory))).toEqual(['notes']);
  expect(readFileSync(join(binDir, 'bridge'), 'utf8')).toBe('another bridge');
  await uninstallPlugins(binDir);
  expect(existsSync(join(binDir, 'weave-net'))).toBe(true);
});

test('an installation that was cut short is removed, too', async () => {
  const binDir = join(parent, 'cut');
  mkdirSync(join(binDir, '.podwright-draft-abc'), { recursive: true });
  writeFileSync(join(binDir, '.podwright-draft-abc/plugins.cjs'), 'half');
  await uninstallPlugins(binDir);
  expect(names(binDir)).toEqual([]);
});

test('where nothing was ever installed there is nothing to remove', async () => {
  await uninstallPlugins(join(parent, 'missing'));
  expect(existsSync(join(parent, 'missing'))).toBe(false);
});
