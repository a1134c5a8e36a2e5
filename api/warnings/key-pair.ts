import { createPrivateKey, createPublicKey, X509Certificate, type KeyObject } from 'node:crypto';
import { pemBlocks } from '#api/kinds/certificates/pem.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { at, stringOf } from '#api/wire/json.ts';

/** What is told of a Secret for TLS whose key is not that of its certificate (warningsForSecret; the texts are those of Go's tls.X509KeyPair). */
export function keyPairWarnings(secret: JsonObject): readonly string[] {
  if (secret['type'] !== 'kubernetes.io/tls') return [];
  const textOf = (key: string): string =>
    Buffer.from(stringOf(at(secret, ['data', key])), 'base64').toString('latin1');
  const fault = keyPairFault(textOf('tls.crt'), textOf('tls.key'));
  return fault === undefined ? [] : [fault];
}

function keyPairFault(certificateText: string, keyText: string): string | undefined {
  const blocks = pemBlocks(certificateText);
  const certificate = blocks.find(({ type }) => type === 'CERTIFICATE');
  if (certificate === undefined) return noCertificate(blocks.map(({ type }) => type));
  const keyBlocks = pemBlocks(keyText);
  const key = keyBlocks.find(({ type }) => type === 'PRIVATE KEY' || type.endsWith(' PRIVATE KEY'));
  if (key === undefined) return noKey(keyBlocks.map(({ type }) => type));
  const publicKey = orUndefined(() => new X509Certificate(certificate.bytes).publicKey);
  if (publicKey === undefined) return 'x509: malformed certificate';
  const privateKey = readKey(Buffer.from(key.bytes));
  if (privateKey === undefined) return 'tls: failed to parse private key';
  return mismatchOf(publicKey, privateKey);
}

function noCertificate(skipped: readonly string[]): string {
  if (skipped.length === 0) return 'tls: failed to find any PEM data in certificate input';
  if (skipped.length === 1 && skipped[0]?.endsWith('PRIVATE KEY') === true)
    return 'tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may have been switched';
  return `tls: failed to find "CERTIFICATE" PEM block in certificate input after skipping PEM blocks of the following types: [${skipped.join(' ')}]`;
}

function noKey(skipped: readonly string[]): string {
  if (skipped.length === 0) return 'tls: failed to find any PEM data in key input';
  if (skipped.length === 1 && skipped[0] === 'CERTIFICATE')
    return 'tls: found a certificate rather than a key in the PEM for the private key';
  return `tls: failed to find PEM block with type ending in "PRIVATE KEY" in key input after skipping PEM blocks of the following types: [${skipped.join(' ')}]`;
}

/** Whatever the block is called, each form is tried, as Go does. */
function readKey(key: Buffer): KeyObject | undefined {
  for (const type of ['pkcs1', 'pkcs8', 'sec1'] as const) {
    const read = orUndefined(() => createPrivateKey({ key, format: 'der', type }));
    if (read !== undefined) return read;
  }
  return undefined;
}

function mismatchOf(publicKey: KeyObject, privateKey: KeyObject): string | undefined {
  const { asymmetricKeyType: type } = publicKey;
  if (type !== 'rsa' && type !== 'ec' && type !== 'ed25519') return 'tls: unknown public key algorithm';
  if (privateKey.asymmetricKeyType !== type) return 'tls: private key type does not match public key type';
  return publicKey.equals(createPublicKey(privateKey))
    ? undefined
    : 'tls: private key does not match public key';
}

/** Node throws for what it cannot read. */
function orUndefined<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof Error) return undefined;
    throw error;
  }
}
