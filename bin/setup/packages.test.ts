import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

import { repositoryRoot } from '#bin/paths.ts';
import { expectedPackages, type LockedPackage, type Lockfile } from './expected-packages.ts';
import { environmentForNpm, findMissing, platformHere, renderNames, renderNpmFailure } from './packages.ts';

const linux = { os: 'linux', cpu: 'x64', libc: 'glibc' } as const;

describe('expectedPackages()', () => {
  it.each<{
    readonly name: string;
    readonly packages: Readonly<Record<string, LockedPackage>>;
    readonly want: readonly string[];
  }>([
    {
      name: 'what others need, the nearest first',
      packages: {
        '': { dependencies: { a: '1' }, devDependencies: { b: '1' } },
        'node_modules/a': { dependencies: { b: '2' } },
        'node_modules/a/node_modules/b': { devDependencies: { c: '1' } },
        'node_modules/b': {},
        'node_modules/c': {},
      },
      want: ['node_modules/a', 'node_modules/a/node_modules/b', 'node_modules/b'],
    },
    {
      name: 'no other platform, nor what only that needs',
      packages: {
        '': { optionalDependencies: { win: '1', arm: '1', musl: '1', here: '1', not: '1' } },
        'node_modules/win': { os: 'win32', dependencies: { wasm: '1' } },
        'node_modules/arm': { cpu: ['arm64'] },
        'node_modules/musl': { os: ['linux'], libc: ['musl'] },
        'node_modules/here': { os: ['linux', 'darwin'], cpu: ['x64'], libc: ['glibc'] },
        'node_modules/not': { os: ['!linux'] },
        'node_modules/wasm': {},
      },
      want: ['node_modules/here'],
    },
    {
      name: 'peers, but those that are optional',
      packages: {
        '': { dependencies: { a: '1' } },
        'node_modules/a': {
          peerDependencies: { b: '1', c: '1' },
          peerDependenciesMeta: { c: { optional: true } },
        },
        'node_modules/b': {},
        'node_modules/c': {},
      },
      want: ['node_modules/a', 'node_modules/b'],
    },
  ])('takes $name', ({ packages, want }) => {
    expect(expectedPackages({ packages }, linux).map(({ path }) => path)).toEqual(want);
  });

  it('has every native binding of our own lockfile, for both processors', () => {
    const lock = JSON.parse(readFileSync(join(repositoryRoot, 'package-lock.json'), 'utf8')) as Lockfile;
    for (const cpu of ['x64', 'arm64']) {
      const paths = expectedPackages(lock, { ...linux, cpu }).map(({ path }) => path);
      for (const name of [
        `node-linux-${cpu}`,
        `@koromix/koffi-linux-${cpu}`,
        `@rolldown/binding-linux-${cpu}-gnu`,
      ])
        expect(paths).toContain(`node_modules/${name}`);
    }
  });
});

describe('findMissing()', () => {
  it('misses nothing in this checkout', () => {
    const lock = JSON.parse(readFileSync(join(repositoryRoot, 'package-lock.json'), 'utf8')) as Lockfile;
    expect(findMissing(repositoryRoot, lock, platformHere())).toEqual([]);
  });
});

describe('what is said', () => {
  it('names five, and counts the others', () => {
    expect(renderNames(['a', 'b'])).toBe('a, b');
    expect(renderNames(['a', 'b', 'c', 'd', 'e', 'f', 'g'])).toBe('a, b, c, d, e and 2 more');
  });

  it('has npm in a line, whatever its version puts in front', () => {
    const old =
      'npm ERR! code ENOSPC\nnpm ERR! syscall write\nnpm ERR! no space left\n\nnpm ERR! A complete log of this run';
    expect(renderNpmFailure(old)).toBe('npm says ENOSPC: no space left');
    expect(renderNpmFailure('npm error code E404\nnpm error 404 Not Found')).toBe(
      'npm says E404: 404 Not Found',
    );
    expect(renderNpmFailure('')).toBe('');
  });

  it('nothing to npm of the npm that runs us', () => {
    const given = {
      PATH: '/bin',
      npm_config_cache: '/c',
      npm_config_local_prefix: '/x',
      npm_lifecycle_event: 'pretest',
    };
    expect(environmentForNpm(given)).toEqual({ PATH: '/bin', npm_config_cache: '/c' });
  });
});
