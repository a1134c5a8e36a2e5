import { createHash, createPrivateKey, createPublicKey, X509Certificate, type KeyObject } from 'node:crypto';
import type { JWK } from 'jose';
import { describeError, PodwrightError } from '#base/errors.ts';

/** A key by which tokens of service accounts are told. */
export interface VerifyingKey {
  /** SHA-256 of its SPKI, base64url, as kube-apiserver names its keys. */
  readonly id: string;
  /** By RFC 7518: what the kind of key gives. */
  readonly algorithm: string;
  readonly key: KeyObject;
  /** For `/openid/v1/jwks`. */
  readonly jwk: JWK;
}

export interface SigningKey extends VerifyingKey {
  readonly privateKey: KeyObject;
}

/** The keys of one moment. */
export interface TokenKeys {
  readonly signing: SigningKey;
  /** Each once; those of the signing key among them. */
  readonly verifying: readonly VerifyingKey[];
}

const keysMax = 100;
const block = /-----BEGIN ([A-Z0-9 ]+)-----[^-]+-----END \1-----/g;
const curves: Readonly<Record<string, string>> = {
  prime256v1: 'ES256',
  secp384r1: 'ES384',
  secp521r1: 'ES512',
};
const rsaBitsMin = 2048;

/** @throws E_INVALID for what is no private key of RSA or ECDSA in PEM */
export function parseSigningKey(pem: string): SigningKey {
  const privateKey = read(() => createPrivateKey(pem), 'it holds no private key in PEM');
  return { ...verifyingKeyOf(createPublicKey(privateKey)), privateKey };
}

/** All of a PEM file: public keys, certificates, and private keys of which the public half counts. @throws E_INVALID */
export function parseVerifyingKeys(pem: string): readonly VerifyingKey[] {
  const keys = [...pem.matchAll(block)].map(([text, label]) =>
    verifyingKeyOf(read(() => publicKeyOf(text, label ?? ''), `its ${label} cannot be read`)),
  );
  if (keys.length === 0) throw new PodwrightError('E_INVALID', 'it holds no key in PEM');
  return keys;
}

function publicKeyOf(text: string, label: string): KeyObject {
  return label === 'CERTIFICATE' ? new X509Certificate(text).publicKey : createPublicKey(text);
}

/** @throws E_LIMIT for too many */
export function tokenKeys(signing: SigningKey, others: readonly VerifyingKey[]): TokenKeys {
  const byId = new Map([signing, ...others].map((key) => [key.id, key]));
  if (byId.size > keysMax) {
    throw new PodwrightError('E_LIMIT', `${byId.size} keys of service account tokens, more than ${keysMax}`);
  }
  return { signing, verifying: [...byId.values()] };
}

function verifyingKeyOf(key: KeyObject): VerifyingKey {
  const algorithm = algorithmOf(key);
  const der = key.export({ type: 'spki', format: 'der' });
  const id = createHash('sha256').update(der).digest('base64url');
  const { kty, ...parts } = key.export({ format: 'jwk' });
  return { id, algorithm, key, jwk: { use: 'sig', kty: kty ?? '', kid: id, alg: algorithm, ...parts } };
}

/** @throws E_INVALID for keys that no algorithm of kube-apiserver goes with */
function algorithmOf({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): string {
  if (asymmetricKeyType === 'rsa') {
    const bits = asymmetricKeyDetails?.modulusLength ?? 0;
    if (bits >= rsaBitsMin) return 'RS256';
    throw new PodwrightError('E_INVALID', `its RSA key has ${bits} bits; give one of ${rsaBitsMin} at least`);
  }
  const algorithm = curves[asymmetricKeyDetails?.namedCurve ?? ''];
  if (asymmetricKeyType === 'ec' && algorithm !== undefined) return algorithm;
  throw new PodwrightError(
    'E_INVALID',
    `its key is ${asymmetricKeyType ?? 'of no known kind'}; give RSA, or ECDSA on P-256, P-384 or P-521`,
  );
}

function read<T>(make: () => T, why: string): T {
  try {
    return make();
  } catch (cause) {
    throw new PodwrightError('E_INVALID', `${why}: ${describeError(cause)}`);
  }
}
