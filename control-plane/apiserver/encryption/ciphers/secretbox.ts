import { randomBytes } from 'node:crypto';
import { xsalsa20poly1305 } from '@noble/ciphers/salsa.js';
import { tooShort, type Cipher } from './cipher.ts';

const nonceBytes = 24;
const overheadBytes = 16;

/** XSalsa20 and Poly1305 (NaCl's secretbox), as kube-apiserver stores it: nonce (24) · tag (16) · value. Not bound to its place. */
export function secretbox(key: Uint8Array): Cipher {
  return {
    seal: (plain) => {
      const nonce = randomBytes(nonceBytes);
      const sealed = xsalsa20poly1305(key, nonce).encrypt(plain);
      const bytes = Buffer.allocUnsafeSlow(nonceBytes + sealed.byteLength);
      bytes.set(nonce);
      bytes.set(sealed, nonceBytes);
      return bytes;
    },
    open: (sealed) => {
      if (sealed.byteLength < nonceBytes + overheadBytes) throw new Error(tooShort);
      try {
        const box = xsalsa20poly1305(key, sealed.subarray(0, nonceBytes));
        return Buffer.from(box.decrypt(sealed.subarray(nonceBytes)));
      } catch {
        throw new Error('output array was not large enough for encryption'); // kube-apiserver's words for it.
      }
    },
  };
}
