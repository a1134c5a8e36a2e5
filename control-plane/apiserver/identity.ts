import { createHash } from 'node:crypto';

/** How metrics tell servers apart: `sha256:…` of the host's identity. Pure. */
export function identityHashOf(host: string): string {
  return `sha256:${createHash('sha256').update(identityOf(host)).digest('hex')}`;
}

const base32Digits = 'abcdefghijklmnopqrstuvwxyz234567';

/** `apiserver-` and 128 bits of the host's name hashed, in base32 (RFC 4648) without padding. Pure. */
export function identityOf(host: string): string {
  const bytes = createHash('sha256').update(host).digest().subarray(0, 16);
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  const digits = bits.match(/.{1,5}/g) ?? [];
  return `apiserver-${digits.map((digit) => base32Digits[Number.parseInt(digit.padEnd(5, '0'), 2)]).join('')}`;
}
