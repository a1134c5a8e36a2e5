import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import * as der from '#base/der.ts';
import { keyPairWarnings } from './key-pair.ts';

const elliptic = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const other = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const edwards = generateKeyPairSync('ed25519');
const certificate = pem('CERTIFICATE', certificateOf(elliptic));
const key = elliptic.privateKey.export({ type: 'sec1', format: 'pem' }).toString();
const none = 'tls: failed to find any PEM data in';

function pem(type: string, bytes: Uint8Array): string {
  return `-----BEGIN ${type}-----\n${Buffer.from(bytes).toString('base64')}\n-----END ${type}-----\n`;
}

/** A certificate that says next to nothing, signed by its own key. */
function certificateOf({ publicKey, privateKey }: { publicKey: KeyObject; privateKey: KeyObject }): Buffer {
  const algorithm = der.sequence(der.oid('1.2.840.10045.4.3.2'));
  const unsigned = der.sequence(
    der.element(0xa0, der.integer(Buffer.from([2]))),
    der.integer(Buffer.from([1])),
    algorithm,
    der.sequence(),
    der.sequence(der.time(0), der.time(1e12)),
    der.sequence(),
    publicKey.export({ type: 'spki', format: 'der' }),
  );
  return der.sequence(unsigned, algorithm, der.bits(sign('sha256', unsigned, privateKey)));
}

describe('keyPairWarnings()', () => {
  it.each<readonly [name: string, certificate: string, key: string, want: readonly string[]]>([
    ['a pair', certificate, key, []],
    ['a pair whose key is called otherwise', certificate, key.replaceAll('EC PRIVATE', 'RSA PRIVATE'), []],
    [
      'a pair of PKCS #8, after something else',
      pem('X', Buffer.of(1)) + certificate,
      elliptic.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      [],
    ],
    ['nothing', '', '', [`${none} certificate input`]],
    ['no key', certificate, 'x', [`${none} key input`]],
    [
      'both the other way',
      key,
      certificate,
      [
        'tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may have been switched',
      ],
    ],
    [
      'other blocks than a certificate',
      pem('A', Buffer.of(1)) + key,
      key,
      [
        'tls: failed to find "CERTIFICATE" PEM block in certificate input after skipping PEM blocks of the following types: [A EC PRIVATE KEY]',
      ],
    ],
    [
      'the certificate twice',
      certificate,
      certificate,
      ['tls: found a certificate rather than a key in the PEM for the private key'],
    ],
    [
      'other blocks than a key',
      certificate,
      pem('A', Buffer.of(1)),
      [
        'tls: failed to find PEM block with type ending in "PRIVATE KEY" in key input after skipping PEM blocks of the following types: [A]',
      ],
    ],
    ['no certificate within', pem('CERTIFICATE', Buffer.of(1)), key, ['x509: malformed certificate']],
    ['no key within', certificate, pem('PRIVATE KEY', Buffer.of(1)), ['tls: failed to parse private key']],
    [
      "another's key",
      certificate,
      other.privateKey.export({ type: 'sec1', format: 'pem' }).toString(),
      ['tls: private key does not match public key'],
    ],
    [
      'a key of another type',
      certificate,
      edwards.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      ['tls: private key type does not match public key type'],
    ],
  ])('%s', (_name, tlsCertificate, tlsKey, want) => {
    const base64 = (text: string): string => Buffer.from(text).toString('base64');
    const data = { 'tls.crt': base64(tlsCertificate), 'tls.key': base64(tlsKey) };
    expect(keyPairWarnings({ type: 'kubernetes.io/tls', data })).toEqual(want);
    expect(keyPairWarnings({ type: 'Opaque', data })).toEqual([]);
  });
});
