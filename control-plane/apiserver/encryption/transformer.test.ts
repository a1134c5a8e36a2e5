import { assert, property, string, uint8Array } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { aesCbc, aesGcm } from './ciphers/aes.ts';
import { firstThatFits, fromCipher, identity, type Transformer } from './transformer.ts';

const place = '/registry/secrets/a/b';
const key = (sign: string): Buffer => Buffer.alloc(32, sign);
const keys = (...names: string[]): Transformer =>
  firstThatFits(
    names.map((name) => ({ prefix: `${name}:`, transformer: fromCipher(aesGcm(key(name))) })),
    'no matching key was found for the provided AES transformer',
    undefined,
  );
const ways = (...given: (readonly [string, Transformer])[]): Transformer =>
  firstThatFits(
    given.map(([prefix, transformer]) => ({ prefix, transformer })),
    'no matching prefix found',
    undefined,
  );
const gcm = 'k8s:enc:aesgcm:v1:';
const plain = Buffer.from('{"metadata":{}}');

describe('firstThatFits()', () => {
  it('writes with the first, reads with the one that wrote, and says what is stale', () => {
    const [old, both] = [ways([gcm, keys('a')]), ways([gcm, keys('b', 'a')])];
    const sealed = old.seal(plain, place);
    expect(Buffer.from(sealed.subarray(0, 20)).toString()).toBe('k8s:enc:aesgcm:v1:a:');
    expect(old.open(sealed, place).isStale).toBe(false);
    expect(both.open(sealed, place)).toEqual({ value: plain, isStale: true });
    expect(Buffer.from(both.seal(plain, place)).subarray(0, 20).toString()).toBe('k8s:enc:aesgcm:v1:b:');
  });

  it('reads plain values behind others, which are stale, and sealed ones before plain', () => {
    const sealed = ways([gcm, keys('a')]).seal(plain, place);
    expect(ways([gcm, keys('a')], ['', identity]).open(plain, place)).toEqual({
      value: plain,
      isStale: true,
    });
    expect(ways(['', identity], [gcm, keys('a')]).open(sealed, place)).toEqual({
      value: plain,
      isStale: true,
    });
  });

  it('tries all whose prefix fits', () => {
    const same = (sign: string): Transformer =>
      firstThatFits([{ prefix: 'k:', transformer: fromCipher(aesGcm(key(sign))) }], 'none', undefined);
    const sealed = ways([gcm, same('a')]).seal(plain, place);
    expect(ways([gcm, same('b')], [gcm, same('a')]).open(sealed, place)).toEqual({
      value: plain,
      isStale: true,
    });
  });

  it.each([
    [
      'a key that is not there',
      ways([gcm, keys('b')]),
      'no matching key was found for the provided AES transformer',
    ],
    ['another way of storing', ways(['k8s:enc:aescbc:v1:', keys('a')]), 'no matching prefix found'],
    ['no key at all', ways(['', identity]), 'no matching prefix found'],
  ])('says of %s that', (_name, transformer, why) => {
    const sealed = ways([gcm, keys('a')]).seal(plain, place);
    expect(() => transformer.open(sealed, place)).toThrow(why);
  });

  it('answers rubbish with one error', () => {
    const cbc = firstThatFits(
      [{ prefix: 'a:', transformer: fromCipher(aesCbc(key('a'))) }],
      'no key',
      undefined,
    );
    const all = ways([gcm, keys('a', 'b')], ['k8s:enc:aescbc:v1:', cbc]);
    const attempt = (bytes: Uint8Array): void => {
      try {
        all.open(bytes, place);
      } catch (error) {
        expect(error).toBeInstanceOf(Error);
        expect(String(error)).toMatch(/^Error: ./);
      }
    };
    assert(property(uint8Array({ maxLength: 100 }), attempt));
    for (const start of [gcm, `${gcm}a:`, 'k8s:enc:aescbc:v1:a:', 'k8s:enc:']) {
      assert(
        property(uint8Array({ maxLength: 100 }), (bytes) =>
          attempt(Buffer.concat([Buffer.from(start), bytes])),
        ),
      );
    }
    assert(property(string(), (text) => attempt(Buffer.from(text))));
  });
});
