import { array, assert, constantFrom, property, uint8Array } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { aesCbc, aesGcm, extendedNonceGcm } from './aes.ts';
import type { Cipher } from './cipher.ts';
import { secretbox } from './secretbox.ts';

const plain = '{"metadata":{"name":"e1","namespace":"enc"},"data":{"k":"dg=="}}';
const place = '/registry/secrets/enc/e1';
const key = Uint8Array.from({ length: 32 }, (_, index) => index);

/** Made by Python's cryptography (OpenSSL), from the layouts that kube-apiserver documents. */
const rows: readonly { readonly name: string; readonly cipher: Cipher; readonly sealed: string }[] = [
  {
    name: 'aescbc',
    cipher: aesCbc(key),
    sealed:
      '101112131415161718191a1b1c1d1e1fc751adde382e4392413117f1a1a9a2346268b5eca0ffafab615c242a3f939534e0e7e653a54183bd5578b53b7e257ec7bf74ec42cc1acd0094c9519f5fe8ab1abdee83e4a30db424401f8d65a38a19ba',
  },
  {
    name: 'aesgcm',
    cipher: aesGcm(key),
    sealed:
      '6465666768696a6b6c6d6e6f3339b3030d8832ff4a037dd2a147049c2fa72430a909c2508bf3c22996c6d638f58a25e27630fe6a9ed10513df26abbb7a79a29c02216312d895cbebd2a3d8f7d868504b5ca0fa1308e718499898747e',
  },
  {
    name: 'extended nonce',
    cipher: extendedNonceGcm(key),
    sealed:
      'c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e76465666768696a6b6c6d6e6f58d2a68bf07f4d2a18f853cff4db26a1a446e9d9f58c88e761aa43381b86dc8d9045ab063493c57137de66cecbc62181eccbcb83f0126a7c4af5563334513b42962db355d928c08f38f61b21bc6de415',
  },
];

const ciphers: readonly { readonly name: string; readonly cipher: Cipher; readonly other: Cipher }[] = [
  { name: 'aescbc', cipher: aesCbc(key), other: aesCbc(key.toReversed()) },
  { name: 'aescbc of 16 bytes', cipher: aesCbc(key.subarray(16)), other: aesCbc(key.subarray(0, 16)) },
  { name: 'aesgcm', cipher: aesGcm(key), other: aesGcm(key.toReversed()) },
  { name: 'aesgcm of 24 bytes', cipher: aesGcm(key.subarray(8)), other: aesGcm(key.subarray(0, 24)) },
  { name: 'extended nonce', cipher: extendedNonceGcm(key), other: extendedNonceGcm(key.toReversed()) },
  { name: 'secretbox', cipher: secretbox(key), other: secretbox(key.toReversed()) },
];

describe('a cipher', () => {
  it.each(rows)('reads what another program has written by $name', ({ cipher, sealed }) => {
    expect(Buffer.from(cipher.open(Buffer.from(sealed, 'hex'), place)).toString()).toBe(plain);
  });

  it("reads NaCl's own example of a secretbox", () => {
    // tests/secretbox.c of nacl-20110221.
    const own = secretbox(
      Buffer.from('1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389', 'hex'),
    );
    const nonce = '69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37';
    const sealed =
      'f3ffc7703f9400e52a7dfb4b3d3305d98e993b9f48681273c29650ba32fc76ce48332ea7164d96a4476fb8c531a1186ac0dfc17c98dce87b4da7f011ec48c97271d2c20f9b928fe2270d6fb863d51738b48eeee314a7cc8ab932164548e526ae90224368517acfeabd6bb3732bc0e9da99832b61ca01b6de56244a9e88d5f9b37973f622a43d14a6599b1f654cb45a74e355a5';
    expect(Buffer.from(own.open(Buffer.from(nonce + sealed, 'hex'), place)).toString('hex')).toBe(
      'be075fc53c81f2d5cf141316ebeb0c7b5228c52a4c62cbd44b66849b64244ffce5ecbaaf33bd751a1ac728d45e6c61296cdc3c01233561f41db66cce314adb310e3be8250c46f06dceea3a7fa1348057e2f6556ad6b1318a024a838f21af1fde048977eb48f59ffd4924ca1c60902e52f0a089bc76897040e082f937763848645e0705',
    );
  });

  it.each(ciphers)('reads what it has written, and never writes the same twice: $name', ({ cipher }) => {
    for (let size = 0; size < 70; size++) {
      const bytes = Uint8Array.from({ length: size }, (_, index) => index * 7);
      const sealed = cipher.seal(bytes, place);
      expect(Buffer.from(cipher.open(sealed, place))).toEqual(Buffer.from(bytes));
      expect(Buffer.from(cipher.seal(bytes, place))).not.toEqual(Buffer.from(sealed));
    }
  });

  it.each(ciphers.filter(({ name }) => !name.startsWith('aescbc')))(
    'notices another key, and every bit that is not as it was: $name',
    ({ cipher, other }) => {
      const sealed = cipher.seal(Buffer.from(plain), place);
      expect(() => other.open(sealed, place)).toThrow();
      for (let at = 0; at < sealed.byteLength; at++) {
        const bent = Uint8Array.from(sealed, (byte, index) => (index === at ? byte ^ 1 : byte));
        expect(() => cipher.open(bent, place), `byte ${at}`).toThrow();
        expect(() => cipher.open(sealed.subarray(0, at), place), `cut at ${at}`).toThrow();
      }
    },
  );

  it.each(['aesgcm', 'extended nonce'])(
    'notices that a value was moved to another key of the store: %s',
    (name) => {
      const found = ciphers.find((one) => one.name === name);
      const sealed = found?.cipher.seal(Buffer.from(plain), place) ?? Buffer.of();
      expect(() => found?.cipher.open(sealed, '/registry/secrets/enc/e2')).toThrow(
        'message authentication failed',
      );
    },
  );

  it.each(ciphers)('answers rubbish with one clear error: $name', ({ cipher }) => {
    assert(
      property(uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          cipher.open(bytes, place);
        } catch (error) {
          expect(String(error)).toMatch(/^Error: (the stored data|invalid|cipher:|output array)/);
        }
      }),
      { numRuns: 300 },
    );
    assert(
      property(array(constantFrom(0, 16, 255), { maxLength: 64 }), (bytes) => {
        try {
          cipher.open(Uint8Array.from(bytes), place);
        } catch (error) {
          expect(String(error)).toMatch(/^Error: (the stored data|invalid|cipher:|output array)/);
        }
      }),
      { numRuns: 100 },
    );
  });
});
