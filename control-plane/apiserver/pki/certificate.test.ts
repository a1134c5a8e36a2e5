import { execFileSync } from 'node:child_process';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createAuthority, issueCertificate, loadX509, renewAuthority, serialNumber } from './certificate.ts';
import * as der from '#base/der.ts';

const nowMs = Date.UTC(2026, 5, 1);
const dayMs = 86_400_000;

describe('certificates', () => {
  it('are read as they were meant, by Node and by the module that signs requests', async () => {
    const authority = await createAuthority('kubernetes', nowMs);
    const hosts = ['kubernetes.default', '10.96.0.1', '::1', 'fd00::a'];
    const pair = await issueCertificate(authority, {
      ...{ commonName: 'kubernetes-admin', organizations: ['system:masters', 'Ünicode'] },
      ...{ hosts, usages: ['server', 'client'], nowMs },
    });
    const [ca, leaf] = [authority, pair].map(({ certPem }) => new X509Certificate(certPem));
    expect([ca?.subject, ca?.issuer, ca?.ca]).toEqual(['CN=kubernetes', 'CN=kubernetes', true]);
    expect(leaf?.subject).toBe('O=system:masters\nO=Ünicode\nCN=kubernetes-admin');
    expect(leaf?.checkIssued(ca ?? new X509Certificate(''))).toBe(true);
    expect(leaf?.verify((ca ?? leaf).publicKey)).toBe(true);
    expect(leaf?.checkPrivateKey(createPrivateKey(pair.keyPem))).toBe(true);
    expect(leaf?.subjectAltName).toBe(
      'DNS:kubernetes.default, IP Address:10.96.0.1, IP Address:0:0:0:0:0:0:0:1, IP Address:FD00:0:0:0:0:0:0:A',
    );
    expect(leaf?.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
    expect([leaf?.validFromDate.getTime(), leaf?.validToDate.getTime()]).toEqual([
      ...[nowMs - 300_000, nowMs + 365 * dayMs],
    ]);
    const x509 = await loadX509();
    const [own, other] = [authority, pair].map(({ certPem }) => new x509.X509Certificate(certPem));
    const keyId = own?.getExtension(x509.SubjectKeyIdentifierExtension)?.keyId;
    expect(other?.getExtension(x509.AuthorityKeyIdentifierExtension)?.keyId).toBe(keyId);
    expect(await own?.isSelfSigned()).toBe(true);
    const flags = x509.KeyUsageFlags;
    expect(own?.getExtension(x509.KeyUsagesExtension)?.usages).toBe(
      flags.digitalSignature | flags.keyCertSign | flags.cRLSign,
    );
    expect(other?.getExtension(x509.KeyUsagesExtension)?.usages).toBe(flags.digitalSignature);
    expect(keyId).toBe(own && Buffer.from(await own.publicKey.getKeyIdentifier()).toString('hex'));
  });

  it('hold for openssl, also those of before a renewal', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'podwright-pki-'));
    try {
      const first = await createAuthority('ca', nowMs);
      const renewed = await renewAuthority(first, nowMs + 3640 * dayMs);
      const request = { commonName: 'a', hosts: ['a.example.com'], usages: ['server'], nowMs } as const;
      const leaf = await issueCertificate(first, request);
      for (const [name, { certPem }] of Object.entries({ first, renewed, leaf }))
        writeFileSync(join(directory, `${name}.pem`), certPem);
      const verify = (authority: string): string =>
        execFileSync(
          'openssl',
          [
            ...['verify', '-x509_strict', '-attime', String(nowMs / 1000), '-purpose', 'sslserver'],
            ...['-verify_hostname', 'a.example.com', '-CAfile', `${authority}.pem`, 'leaf.pem'],
          ],
          { cwd: directory, encoding: 'utf8' },
        );
      expect(verify('first')).toBe('leaf.pem: OK\n');
      expect(new X509Certificate(renewed.certPem).validToDate.getUTCFullYear()).toBe(2046);
      expect(new X509Certificate(leaf.certPem).verify(new X509Certificate(renewed.certPem).publicKey)).toBe(
        true,
      );
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('of a module that encodes otherwise are authorities all the same', async () => {
    const x509 = await loadX509();
    const made = await createAuthority('ignored', nowMs);
    const keys = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, [
      'sign',
      'verify',
    ]);
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      ...{ serialNumber: serialNumber(), name: 'O=old, CN=authority', keys },
      ...{ notBefore: new Date(nowMs), notAfter: new Date(nowMs + dayMs) },
      signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
    });
    const pkcs8 = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64');
    const keyPem = `-----BEGIN PRIVATE KEY-----\n${pkcs8}\n-----END PRIVATE KEY-----\n`;
    const certPem = `${certificate.toString('pem')}\n`;
    const leaf = await issueCertificate({ certPem, keyPem }, { commonName: 'b', usages: ['client'], nowMs });
    const [issuer, signed] = [certPem, leaf.certPem].map((pem) => new X509Certificate(pem));
    expect(signed?.checkIssued(issuer ?? new X509Certificate(made.certPem))).toBe(true);
    expect(signed?.validToDate.getTime()).toBe(nowMs + dayMs);
  });
});

describe('der', () => {
  it.each<{ readonly name: string; readonly bytes: Buffer; readonly want: string }>([
    { name: 'an integer that would be negative', bytes: der.integer(Buffer.from([0x80])), want: '02020080' },
    { name: 'an identifier', bytes: der.oid('1.2.840.10045.4.3.2'), want: '06082a8648ce3d040302' },
    { name: 'a long content', bytes: der.octets(Buffer.alloc(300)).subarray(0, 4), want: '0482012c' },
    { name: 'a content of 128', bytes: der.octets(Buffer.alloc(128)).subarray(0, 3), want: '048180' },
    {
      name: 'a time of 2049',
      bytes: der.time(Date.UTC(2049, 11, 31, 23, 59, 59)),
      want: `170d${Buffer.from('491231235959Z').toString('hex')}`,
    },
    {
      name: 'a time of 2050',
      bytes: der.time(Date.UTC(2050, 0, 1)),
      want: `180f${Buffer.from('20500101000000Z').toString('hex')}`,
    },
  ])('$name', ({ bytes, want }) => {
    expect(bytes.toString('hex')).toBe(want);
  });

  it('reads what it wrote, and nothing that ends too early', () => {
    const whole = der.sequence(der.utf8('a'), der.octets(Buffer.alloc(70_000)));
    const [list] = der.elements(whole);
    expect(
      der.elements(list?.content ?? Buffer.alloc(0)).map(({ tag, content }) => [tag, content.length]),
    ).toEqual([
      [0x0c, 1],
      [0x04, 70_000],
    ]);
    for (const length of [1, 2, 3, 10, whole.length - 1])
      expect(() => der.elements(whole.subarray(0, length))).toThrow(RangeError);
  });
});
