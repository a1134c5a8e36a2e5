import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

import { repositoryRoot } from '#bin/paths.ts';
import { readVagrantSetUp } from './base-root.ts';
import { parseTarget } from './registry-proxy.ts';

describe('tests', () => {
  it('run on the pinned Node, whatever Node the machine has', () => {
    const manifest = JSON.parse(readFileSync(join(repositoryRoot, 'package.json'), 'utf8')) as {
      readonly optionalDependencies: Readonly<Record<string, string>>;
    };
    expect(process.version).toBe(`v${manifest.optionalDependencies[`node-linux-${process.arch}`]}`);
  });
});

describe('the Vagrantfile', () => {
  it('sets up as everybody does, with nothing but nodejs and npm', async () => {
    const script = await readVagrantSetUp(join(repositoryRoot, 'Vagrantfile'));
    expect(script).toMatch(/install -y --no-install-recommends nodejs npm /);
    expect(script).toMatch(/^\/opt\/podwright\/podwright setup$|^ {2}\/opt\/podwright\/podwright setup$/m);
  });
});

describe('parseTarget()', () => {
  it.each([
    ['registry.example.org:443', { host: 'registry.example.org', port: 443 }],
    ['deb.example.org', { host: 'deb.example.org', port: 80 }],
    ['10.96.0.1:443', undefined],
    ['[::1]:443', undefined],
    ['localhost:443', undefined],
  ])('of %s', (authority, want) => {
    expect(parseTarget(authority, 80)).toEqual(want);
  });
});
