import { createPrivateKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, it } from 'vitest';

import { ensureClusterPki, type ClusterPki } from './cluster-pki.ts';

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'podwright-pki-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const open = (): Promise<ClusterPki> => ensureClusterPki({ directory, hosts: ['localhost'], now: Date.now });

it('a key whose certificate was not written any more gets a new one, and drafts of a killed start go', async () => {
  const first = await open();
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  writeFileSync(join(directory, 'apiserver.key'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
  writeFileSync(join(directory, '.admin.crt.1-0-1.draft'), '');
  const second = await open();
  const { certPem, keyPem } = second.serving;
  expect(new X509Certificate(certPem).checkPrivateKey(createPrivateKey(keyPem))).toBe(true);
  expect(second.caCertPem).toBe(first.caCertPem);
  expect(second.admin).toEqual(first.admin);
  expect(readdirSync(directory).filter((name) => name.endsWith('.draft'))).toEqual([]);
});

it('a first start that is cut off after any file goes on with what is there', async () => {
  await open();
  for (const name of readdirSync(directory).filter((each) => !each.startsWith('ca.'))) {
    rmSync(join(directory, name));
    const { serving, serviceAccountKeyPem } = await open();
    expect(new X509Certificate(serving.certPem).checkPrivateKey(createPrivateKey(serving.keyPem)), name).toBe(
      true,
    );
    expect(serviceAccountKeyPem).toContain('PRIVATE KEY');
  }
});
