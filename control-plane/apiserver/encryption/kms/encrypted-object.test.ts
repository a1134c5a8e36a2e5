import { assert, property, uint8Array } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { extendedNonceGcm } from '#control-plane/apiserver/encryption/ciphers/aes.ts';
import { checkEncryptedObject, decodeEncryptedObject, encodeEncryptedObject } from './encrypted-object.ts';

/** Of the message as protoc would write it: made by hand from its field numbers, the value by Python's cryptography. */
const written =
  '0a7cc8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e76465666768696a6b6c6d6e6f58d2a68bf07f4d2a18f853cff4db26a1a446e9d9f58c88e761aa43381b86dc8d9045ab063493c57137de66cecbc62181eccbcb83f0126a7c4af5563334513b42962db355d928c08f38f61b21bc6de41512056b65792d311a0c777261707065642d7365656422180a1376657273696f6e2e6578616d706c652e636f6d1201312801';

describe('an EncryptedObject', () => {
  const object = decodeEncryptedObject(Buffer.from(written, 'hex'));

  it('is read as it is written elsewhere, and written so', () => {
    expect(object).toMatchObject({ keyId: 'key-1', sourceType: 'seed' });
    expect(Buffer.from(object.encryptedDekSource).toString()).toBe('wrapped-seed');
    expect([...object.annotations].map(([key, value]) => [key, Buffer.from(value).toString()])).toEqual([
      ['version.example.com', '1'],
    ]);
    const seed = Uint8Array.from({ length: 32 }, (_, index) => index);
    const plain = extendedNonceGcm(seed).open(object.encryptedData, '/registry/secrets/enc/e1');
    expect(Buffer.from(plain).toString()).toContain('"name":"e1"');
    expect(Buffer.from(encodeEncryptedObject(object)).toString('hex')).toBe(written);
  });

  it.each([
    [{ encryptedData: Buffer.of() }, 'encrypted data is empty'],
    [{ encryptedDekSource: Buffer.of() }, 'encrypted DEK source is empty'],
    [{ encryptedDekSource: Buffer.alloc(1025) }, '1025 bytes, which exceeds the max size of 1024'],
    [{ keyId: '' }, 'failed to validate key id: keyID is empty'],
    [{ keyId: 'a'.repeat(1025) }, 'failed to validate key id: keyID is 1025 bytes'],
    [{ annotations: new Map([['a', Buffer.of()]]) }, 'should be a fully qualified domain name'],
    [{ annotations: new Map([['a.b', Buffer.alloc(32_768)]]) }, 'total size of annotations is 32771'],
  ])('is refused %#', (given, why) => {
    expect(() => checkEncryptedObject({ ...object, ...given })).toThrow(why);
  });

  it('is read or refused, whatever the bytes are', () => {
    const bytes = Buffer.from(written, 'hex');
    for (let at = 0; at < bytes.length; at++) {
      expect(() => decodeEncryptedObject(bytes.subarray(0, at)), `cut at ${at}`).not.toThrow(RangeError);
    }
    assert(
      property(uint8Array({ maxLength: 60 }), (given) => {
        try {
          checkEncryptedObject(decodeEncryptedObject(given));
        } catch (error) {
          expect(error).toBeInstanceOf(Error);
        }
      }),
    );
  });
});
