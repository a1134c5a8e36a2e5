/** When the certificates in a data directory expire, for `status`. */
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { errnoOf } from '#base/errors.ts';
import { namesIn } from '#base/names-in.ts';
import { renewBeforeMs } from '#control-plane/apiserver/pki/certificate.ts';

export interface CertificateAge {
  /** `pki/apiserver`, `nodes/n1/serving` */
  readonly name: string;
  readonly expiresAtMs: number;
}

const dayMs = 86_400_000;

/** Of a server's data directory, or of the one of `up` around it; what is not there, or no certificate, is left out. */
export async function readAges(dataDir: string): Promise<readonly CertificateAge[]> {
  const ages: CertificateAge[] = [];
  for (const root of [dataDir, join(dataDir, 'server')]) {
    const nodes = (await namesIn(join(root, 'nodes'))).map((name) => `nodes/${name}`);
    for (const directory of ['pki', ...nodes]) {
      for (const name of await namesIn(join(root, directory))) {
        if (!name.endsWith('.crt')) continue;
        const expiresAtMs = await expiryOf(join(root, directory, name));
        if (expiresAtMs !== undefined) ages.push({ name: `${directory}/${name.slice(0, -4)}`, expiresAtMs });
      }
    }
  }
  return ages;
}

async function expiryOf(path: string): Promise<number | undefined> {
  try {
    return new X509Certificate(await readFile(path)).validToDate.getTime();
  } catch (error) {
    // Gone meanwhile, not ours to read, or no certificate (OpenSSL's codes): nothing to tell an age of.
    const code = errnoOf(error) ?? '';
    if (code.startsWith('ERR_OSSL') || ['ENOENT', 'EACCES'].includes(code)) return undefined;
    throw error;
  }
}

/** Pure: how many there are and which is the first to expire; then those that should have been renewed, and what to do. */
export function renderAges(ages: readonly CertificateAge[], nowMs: number): readonly string[] {
  const sorted = ages.toSorted((a, b) => a.expiresAtMs - b.expiresAtMs);
  const [first] = sorted;
  if (first === undefined) return [];
  const date = new Date(first.expiresAtMs).toISOString().slice(0, 10);
  const late = sorted.filter(({ expiresAtMs }) => expiresAtMs - nowMs < renewBeforeMs);
  return [
    `${ages.length}, the first to expire: ${first.name}, ${date}, ${distance(first.expiresAtMs - nowMs)}`,
    ...late.map(({ name, expiresAtMs }) =>
      expiresAtMs < nowMs ? `${name} has expired` : `${name} expires ${distance(expiresAtMs - nowMs)}`,
    ),
    ...(late.length === 0
      ? []
      : [
          'start the server, which renews what has 30 days left, and copy DATA/nodes/NAME to nodes on other hosts',
        ]),
  ];
}

function distance(ms: number): string {
  const days = Math.floor(Math.abs(ms) / dayMs);
  const text = `${days} day${days === 1 ? '' : 's'}`;
  return ms < 0 ? `${text} ago` : `in ${text}`;
}
