/** Keys of WireGuard: 32 bytes of X25519 in base64, as wg(8) writes them. */
import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';

/** DER of an X25519 private key before its 32 bytes (RFC 8410). */
const pkcs8 = Buffer.from('302e020100300506032b656e04220420', 'hex');
const keyBytes = 32;

export function makePrivateKey(): string {
  const { privateKey } = generateKeyPairSync('x25519');
  return privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(-keyBytes).toString('base64');
}

/** What belongs to a private key. undefined: that is none. */
export function publicKeyOf(privateKey: string): string | undefined {
  const bytes = Buffer.from(privateKey, 'base64');
  if (bytes.length !== keyBytes || bytes.toString('base64') !== privateKey) return undefined;
  const key = createPrivateKey({ key: Buffer.concat([pkcs8, bytes]), format: 'der', type: 'pkcs8' });
  return createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-keyBytes).toString('base64');
}
