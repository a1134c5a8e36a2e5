import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { repositoryRoot } from '#bin/paths.ts';
import { pathOptions } from './path-options.ts';

it.each(['server', 'agent'])('all options of %s that are files or directories are known as such', (role) => {
  const help = execFileSync(
    process.execPath,
    [...process.execArgv, join(repositoryRoot, 'bin', 'podwright.ts'), role, '--help'],
    { encoding: 'utf8' },
  );
  const flags = [...help.matchAll(/^ +--([a-z-]+) <(?:file|dir|path)>/gm)].map(([, name = '']) => name);
  expect(flags).toContain('data');
  const names = flags.map((flag) => flag.replaceAll(/-(.)/g, (_all, letter: string) => letter.toUpperCase()));
  expect(names.filter((name) => !pathOptions.has(name))).toEqual([]);
});
