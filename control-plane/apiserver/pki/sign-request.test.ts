import { createPrivateKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readSigningRequest } from '#api/kinds/certificates/request-contents.ts';
import { createAuthority } from './certificate.ts';
import { makeRequest } from './make-request.ts';
import { computeValidity, signRequest } from './sign-request.ts';

const nowMs = Date.UTC(2026, 0, 1);
const authority = await createAuthority('test-ca', nowMs);
const base64 = (pem: string): string => Buffer.from(pem).toString('base64');
const made = await makeRequest({
  commonName: 'system:node:a',
  organizations: ['system:nodes', 'more'],
  hosts: ['a', '1.2.3.4', 'fd00::1'],
});

describe('signRequest()', () => {
  it('signs the subject, the names and the key of the request', async () => {
    const pem = await signRequest(authority, {
      request: base64(made.requestPem),
      usages: ['server auth', 'digital signature', 'key encipherment'],
      nowMs,
    });
    const certificate = new X509Certificate(pem);
    expect(certificate.subject).toBe('O=system:nodes\nO=more\nCN=system:node:a');
    expect(certificate.subjectAltName).toBe('DNS:a, IP Address:1.2.3.4, IP Address:FD00:0:0:0:0:0:0:1');
    expect(certificate.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
    expect(certificate.ca).toBe(false);
    expect(certificate.checkPrivateKey(createPrivateKey(made.keyPem))).toBe(true);
    expect(certificate.verify(new X509Certificate(authority.certPem).publicKey)).toBe(true);
    expect(certificate.validToDate.getTime() - certificate.validFromDate.getTime()).toBe(31_536_000_000);
  });

  it('signs keys of other kinds', async () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const directory = mkdtempSync(join(tmpdir(), 'podwright-request-'));
    const keyFile = join(directory, 'key.pem');
    writeFileSync(keyFile, privateKey.export({ type: 'pkcs8', format: 'pem' }));
    const subject = '/CN=bob/O=devs/emailAddress=x@y/CN=eve';
    const command = ['req', '-new', '-key', keyFile, '-subj', subject];
    const pem = execFileSync('openssl', command, { encoding: 'utf8' });
    rmSync(directory, { recursive: true });
    const certificate = new X509Certificate(
      await signRequest(authority, { request: base64(pem), usages: ['client auth'], nowMs }),
    );
    expect(certificate.subject).toBe('O=devs\nCN=eve');
    expect(certificate.checkPrivateKey(privateKey)).toBe(true);
  });

  it('refuses what is no request', async () => {
    await expect(signRequest(authority, { request: base64('x'), usages: [], nowMs })).rejects.toThrow(
      'it is none',
    );
    const order = { request: base64(made.requestPem), usages: ['foo'], nowMs };
    await expect(signRequest(authority, order)).rejects.toThrow('unknown usages foo');
  });
});

describe('computeValidity()', () => {
  it.each([
    { name: 'a year without', seconds: undefined, fromS: -300, toS: 31_536_000 - 300 },
    {
      name: 'short ones are as long as they were asked for, from now on',
      seconds: 600,
      fromS: -300,
      toS: 600,
    },
    {
      name: 'those of eight hours include what they are dated back',
      seconds: 28_800,
      fromS: -300,
      toS: 28_500,
    },
    { name: 'ten minutes at least', seconds: 1, fromS: -300, toS: 600 },
    { name: 'a year at most', seconds: 2 ** 31, fromS: -300, toS: 31_536_000 - 300 },
  ])('$name', ({ seconds, fromS, toS }) => {
    expect(computeValidity({ expirationSeconds: seconds, nowMs }, Infinity)).toEqual({
      fromMs: nowMs + fromS * 1000,
      toMs: nowMs + toS * 1000,
    });
  });

  it('no longer than the signer gives, whatever is asked for', () => {
    for (const expirationSeconds of [undefined, 3600]) {
      const given = { expirationSeconds, lifeMsMax: 60_000, nowMs };
      expect(computeValidity(given, Infinity)).toEqual({ fromMs: nowMs - 300_000, toMs: nowMs + 60_000 });
    }
  });

  it('nothing outlives the authority', () => {
    expect(computeValidity({ expirationSeconds: 3600, nowMs }, nowMs + 5).toMs).toBe(nowMs + 5);
  });
});

describe('readSigningRequest()', () => {
  it('reads subject and names', () => {
    expect(readSigningRequest(base64(made.requestPem))).toMatchObject({
      commonName: 'system:node:a',
      organizations: ['system:nodes', 'more'],
      dnsNames: ['a'],
      ipAddresses: ['1.2.3.4', 'fd00::1'],
      emailAddresses: [],
      uris: [],
    });
  });

  it('bears everything', () => {
    const seed = Number(process.env['PODWRIGHT_FUZZ_SEED'] ?? Date.now());
    console.info(`seed ${seed}`);
    let state = seed >>> 0;
    const next = (limit: number): number => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return state % limit;
    };
    const der = Buffer.from(made.requestPem.replaceAll(/-----.*-----|\n/g, ''), 'base64');
    const pemOf = (bytes: Buffer): string =>
      `-----BEGIN CERTIFICATE REQUEST-----\n${bytes.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`;
    for (let length = 0; length < der.length; length++)
      readSigningRequest(base64(pemOf(der.subarray(0, length))));
    for (let round = 0; round < 3000; round++) {
      const bytes = Buffer.from(der);
      for (let flips = next(4); flips >= 0; flips--) bytes[next(bytes.length)] = next(256);
      readSigningRequest(base64(pemOf(bytes)));
    }
  });
});
