import { readFileSync } from 'node:fs';

import { expect, it } from 'vitest';

import { gitVersion } from './release.ts';

it('gitVersion names the version of package.json', () => {
  const manifest: { readonly version: string } = JSON.parse(
    readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
  );
  expect(gitVersion).toMatch(/^v1\.36\.\d+\+podwright-/);
  expect(gitVersion.endsWith(`-${manifest.version}`)).toBe(true);
});
