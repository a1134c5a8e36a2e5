import { createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto';
import { tooShort, type Cipher } from './cipher.ts';

/*
 * As kube-apiserver stores them (apiserver/pkg/storage/value/encrypt/aes), behind the prefix:
 *
 *   aescbc           IV (16) · AES-CBC of the value, padded by PKCS #7
 *   aesgcm           nonce (12) · AES-GCM of the value, the key of the store as additional data · tag (16)
 *   extended nonce   info (32) · as aesgcm with the key HKDF-Expand(seed, info)        (RFC 5869, 2.3: no extract; a seed is random)
 */

const blockBytes = 16;
const nonceBytes = 12;
const tagBytes = 16;
export const seedBytes = 32;
const infoBytes = 32;

export function aesCbc(key: Uint8Array): Cipher {
  const algorithm = `aes-${key.byteLength * 8}-cbc`;
  return {
    seal: (plain) => {
      const iv = randomBytes(blockBytes);
      const cipher = createCipheriv(algorithm, key, iv);
      return join(iv, cipher.update(plain), cipher.final());
    },
    open: (sealed) => {
      if (sealed.byteLength < blockBytes) throw new Error(tooShort);
      const data = sealed.subarray(blockBytes);
      if (data.byteLength % blockBytes !== 0) {
        throw new Error('the stored data is not a multiple of the block size');
      }
      const decipher = createDecipheriv(algorithm, key, sealed.subarray(0, blockBytes)).setAutoPadding(false);
      return withoutPadding(join(decipher.update(data), decipher.final()));
    },
  };
}

function withoutPadding(padded: Uint8Array): Uint8Array {
  const padding = padded.at(-1) ?? 0;
  const size = padded.byteLength - padding;
  if (padding === 0 || size < 0) throw new Error('invalid PKCS7 data (empty or not padded)');
  if (padding > blockBytes || padded.subarray(size).some((byte) => byte !== padding)) {
    throw new Error('invalid padding on input');
  }
  return padded.subarray(0, size);
}

export function aesGcm(key: Uint8Array): Cipher {
  const algorithm = `aes-${key.byteLength * 8}-gcm` as 'aes-256-gcm';
  return {
    seal: (plain, place) => {
      const nonce = randomBytes(nonceBytes);
      const cipher = createCipheriv(algorithm, key, nonce).setAAD(Buffer.from(place));
      return join(nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag());
    },
    open: (sealed, place) => {
      if (sealed.byteLength < nonceBytes) throw new Error(tooShort);
      if (sealed.byteLength < nonceBytes + tagBytes) throw new Error(notAuthentic);
      const decipher = createDecipheriv(algorithm, key, sealed.subarray(0, nonceBytes), {
        authTagLength: tagBytes,
      });
      decipher.setAAD(Buffer.from(place)).setAuthTag(sealed.subarray(-tagBytes));
      const plain = decipher.update(sealed.subarray(nonceBytes, -tagBytes));
      try {
        return join(plain, decipher.final());
      } catch {
        throw new Error(notAuthentic);
      }
    },
  };
}

const notAuthentic = 'cipher: message authentication failed';

/** A key of its own for each value, so that however many are written no nonce is used twice with one. */
export function extendedNonceGcm(seed: Uint8Array): Cipher {
  if (seed.byteLength < seedBytes) {
    throw new Error(`invalid seed length ${seed.byteLength} used for key generation`);
  }
  return {
    seal: (plain, place) => {
      const info = randomBytes(infoBytes);
      return join(info, aesGcm(expand(seed, info)).seal(plain, place));
    },
    open: (sealed, place) => {
      if (sealed.byteLength < infoBytes) throw new Error(tooShort);
      const key = expand(seed, sealed.subarray(0, infoBytes));
      return aesGcm(key).open(sealed.subarray(infoBytes), place);
    },
  };
}

/** HKDF-Expand with SHA-256 for one block of output: T(1) = HMAC(seed, info | 0x01). */
function expand(seed: Uint8Array, info: Uint8Array): Uint8Array {
  return createHmac('sha256', seed).update(info).update(Buffer.of(1)).digest();
}

/** In memory of its own: what is stored may stay for days, and a piece of Node's pool keeps the pool. */
function join(...parts: readonly Uint8Array[]): Uint8Array {
  const bytes = Buffer.allocUnsafeSlow(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.byteLength;
  }
  return bytes;
}
