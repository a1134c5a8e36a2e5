/** The kubectl versions that every client test runs with. */
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

import { findKubectl, run } from './cluster.ts';

const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'podwright', 'kubectl-1.20');

/** Debian's kubernetes-client 1.20, unpacked into the cache so that it is in the way of no other kubectl. */
export async function debianKubectl(): Promise<string> {
  const program = join(cache, 'usr', 'bin', 'kubectl');
  if (existsSync(program)) return program;
  mkdirSync(cache, { recursive: true });
  const fetch = `cd '${cache}' && apt-get -qq download kubernetes-client`;
  // A fresh machine has no lists yet.
  const download = await run(['sh', '-c', `(${fetch}) 2>/dev/null || (apt-get -qq update && ${fetch})`], {
    timeoutMs: 300_000,
  });
  const archive = readdirSync(cache).find((name) => name.endsWith('.deb'));
  if (download.code !== 0 || archive === undefined)
    throw new Error(`download kubernetes-client: ${download.stderr}`);
  const unpack = await run(['dpkg', '-x', join(cache, archive), cache]);
  if (unpack.code !== 0) throw new Error(`unpack ${archive}: ${unpack.stderr}`);
  return program;
}

export interface KubectlVersion {
  readonly name: string;
  readonly path: () => Promise<string>;
}

export const kubectls: readonly KubectlVersion[] = [
  { name: '1.32', path: async () => findKubectl() },
  { name: '1.20', path: debianKubectl },
];
