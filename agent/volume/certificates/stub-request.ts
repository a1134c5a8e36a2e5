/** Keys of pods, and the request that shows that one has them (RFC 2986, RFC 5280, RFC 5758, RFC 8410). */
import { createPublicKey, generateKeyPair, sign, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import * as der from '#base/der.ts';
import { PodwrightError } from '#base/errors.ts';

interface KeyType {
  readonly make: () => Promise<KeyObject>;
  /** Of its signatures: AlgorithmIdentifier, DER. */
  readonly signature: Buffer;
  /** null: the algorithm has its own. */
  readonly hash: string | null;
}

const generate = promisify(generateKeyPair);

const sha256WithRsa = der.sequence(der.oid('1.2.840.113549.1.1.11'), der.element(0x05));
const ecdsaWith = (last: 2 | 3 | 4): Buffer => der.sequence(der.oid(`1.2.840.10045.4.3.${last}`));
const ed25519 = der.sequence(der.oid('1.3.101.112'));

const rsa = (modulusLength: number): KeyType => ({
  make: async () => (await generate('rsa', { modulusLength })).privateKey,
  ...{ signature: sha256WithRsa, hash: 'sha256' },
});
const ecdsa = (namedCurve: string, hash: string, last: 2 | 3 | 4): KeyType => ({
  make: async () => (await generate('ec', { namedCurve })).privateKey,
  ...{ signature: ecdsaWith(last), hash },
});

/** PodCertificateProjection.keyType. */
const keyTypes: Readonly<Record<string, KeyType>> = {
  RSA3072: rsa(3072),
  RSA4096: rsa(4096),
  ECDSAP256: ecdsa('P-256', 'sha256', 2),
  ECDSAP384: ecdsa('P-384', 'sha384', 3),
  ECDSAP521: ecdsa('P-521', 'sha512', 4),
  ED25519: {
    make: async () => (await generate('ed25519')).privateKey,
    ...{ signature: ed25519, hash: null },
  },
};

export interface PodKey {
  readonly key: KeyObject;
  /** PKCS #8. */
  readonly pem: string;
  /** A request without a name and without attributes, signed by the key: PKCS #10, DER. */
  readonly request: Buffer;
}

/** @throws {E_INVALID} for a type that is none */
export async function makePodKey(type: string): Promise<PodKey> {
  const known = Object.hasOwn(keyTypes, type) ? keyTypes[type] : undefined;
  if (known === undefined)
    throw new PodwrightError(
      'E_INVALID',
      `podCertificate: keyType ${JSON.stringify(type)} is none of ${Object.keys(keyTypes).join(', ')}`,
    );
  const key = await known.make();
  const pem = key.export({ type: 'pkcs8', format: 'pem' }).toString();
  const publicKey = createPublicKey(key).export({ type: 'spki', format: 'der' });
  const [version, name, attributes] = [der.integer(Buffer.from([0])), der.sequence(), der.element(0xa0)];
  const info = der.sequence(version, name, publicKey, attributes);
  const signature = sign(known.hash, info, key);
  return { key, pem, request: der.sequence(info, known.signature, der.bits(signature)) };
}
