import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { repositoryRoot } from './paths.ts';
import { print } from './terminal/print.ts';

/** The version of this checkout, from package.json. */
export function version(): string {
  const manifest: { readonly version: string } = JSON.parse(
    readFileSync(join(repositoryRoot, 'package.json'), 'utf8'),
  );
  return manifest.version;
}

export function versionLine(): string {
  return `podwright ${version()} (Node ${process.versions.node}, Kubernetes API 1.36)`;
}

export function runVersion(): void {
  print(versionLine());
}
