import { randomUUID } from 'node:crypto';
import type { JWK } from 'jose';
import { isObject, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type { TokenKeys, VerifyingKey } from './service-account-keys.ts';

/** An object by name, and which one of that name. */
export interface ObjectReference {
  readonly name: string;
  readonly uid: string;
}

/** What a token is bound to: when one of them is gone, it is worth nothing. Of a pod's, `node` is where the pod runs. */
export interface BoundReferences {
  readonly pod?: ObjectReference | undefined;
  readonly secret?: ObjectReference | undefined;
  readonly node?: ObjectReference | undefined;
}

/** What a token says, its signature being in order. */
export interface TokenClaims extends BoundReferences {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly tokenId: string;
}

export interface TokenInput extends BoundReferences {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly audiences: readonly string[];
  readonly expirationSeconds: number;
  /** After which its holder should have taken another one, where it lives longer than was asked for. */
  readonly warnAfterSeconds?: number | undefined;
}

/** A legacy token: without end, and worth nothing without the Secret that holds it. */
export interface LegacyTokenInput {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly secretName: string;
}

/** What was found in a token whose signature is ours, or what is wrong with it. undefined: it is no token of these issuers. */
export type SignedToken = { readonly payload: JsonObject } | { readonly cause: string } | undefined;

/** Whose tokens they are where nothing else was said. */
export const defaultIssuer = 'https://kubernetes.default.svc';
export const legacyIssuer = 'kubernetes/serviceaccount';
const verifiedMax = 1024;
/** Longer tokens are looked at each time: what is kept of all is to stay small. */
const verifiedLengthMax = 8192;
const isPart = /^[\w-]+$/;

/** Signs and reads tokens of service accounts. */
export class TokenAuthority {
  /** The first signs; those of all are taken. */
  readonly issuers: readonly string[];
  readonly #now: () => number;
  #keys: TokenKeys;
  /** Tokens whose signature was found good by these keys, with what they say. */
  #verified = new Map<string, JsonObject>();

  constructor(keys: TokenKeys, issuers: readonly string[], now: () => number) {
    this.issuers = issuers;
    this.#keys = keys;
    this.#now = now;
  }

  /** From now on these keys sign and are believed, and no others. */
  useKeys(keys: TokenKeys): void {
    this.#keys = keys;
    this.#verified = new Map();
  }

  async sign(input: TokenInput): Promise<{ readonly token: string; readonly expiresAtMs: number }> {
    const issuedAt = Math.floor(this.#now() / 1000);
    const { expirationSeconds, warnAfterSeconds, namespace, name, uid } = input;
    const expiresAt = issuedAt + expirationSeconds;
    const token = await this.#signClaims({
      aud: [...input.audiences],
      exp: expiresAt,
      iat: issuedAt,
      iss: this.issuers[0] ?? defaultIssuer,
      jti: randomUUID(),
      'kubernetes.io': {
        namespace,
        ...boundOf(input),
        serviceaccount: { name, uid },
        ...(warnAfterSeconds === undefined ? {} : { warnafter: issuedAt + warnAfterSeconds }),
      },
      nbf: issuedAt,
      sub: `system:serviceaccount:${namespace}:${name}`,
    });
    return { token, expiresAtMs: expiresAt * 1000 };
  }

  signLegacy({ namespace, name, uid, secretName }: LegacyTokenInput): Promise<string> {
    const about = 'kubernetes.io/serviceaccount';
    return this.#signClaims({
      iss: legacyIssuer,
      [`${about}/namespace`]: namespace,
      [`${about}/secret.name`]: secretName,
      [`${about}/service-account.name`]: name,
      [`${about}/service-account.uid`]: uid,
      sub: `system:serviceaccount:${namespace}:${name}`,
    });
  }

  /** Whether a token of one of the issuers is signed by us. Its times, and what it is bound to, are not looked at. The payload of one that comes again is the same value. */
  read(token: string, issuers: readonly string[]): SignedToken | Promise<SignedToken> {
    const known = this.#verified.get(token);
    if (known !== undefined) return issuers.includes(stringOf(known['iss'])) ? { payload: known } : undefined;
    const issuer = untrustedIssuer(token);
    return issuer === undefined || !issuers.includes(issuer) ? undefined : this.#readNew(token);
  }

  async #readNew(token: string): Promise<SignedToken> {
    const verified = this.#verified;
    const signed = await this.#verify(token);
    // Not where the keys have changed meanwhile.
    if (signed !== undefined && 'payload' in signed && token.length <= verifiedLengthMax) {
      remember(verified, token, signed.payload);
    }
    return signed;
  }

  /** The public keys, for `/openid/v1/jwks`. */
  publicJwks(): readonly JWK[] {
    return this.#keys.verifying.map(({ jwk }) => jwk);
  }

  /** How the keys sign, each once. */
  algorithms(): readonly string[] {
    return [...new Set(this.#keys.verifying.map(({ algorithm }) => algorithm))].toSorted();
  }

  async #signClaims(claims: JsonObject): Promise<string> {
    const { CompactSign } = await import('jose'); // Loaded when first needed.
    const { algorithm, id, privateKey } = this.#keys.signing;
    return new CompactSign(Buffer.from(JSON.stringify(claims)))
      .setProtectedHeader({ alg: algorithm, kid: id })
      .sign(privateKey);
  }

  async #verify(token: string): Promise<SignedToken> {
    const { compactVerify, decodeProtectedHeader, errors } = await import('jose');
    const algorithms = this.algorithms();
    try {
      const { kid, alg = '' } = decodeProtectedHeader(token);
      if (!algorithms.includes(alg)) return undefined;
      for (const key of this.#keysFor(kid)) {
        if (key.algorithm !== alg) continue;
        try {
          const { payload } = await compactVerify(token, key.key, { algorithms: [key.algorithm] });
          const claims: unknown = JSON.parse(Buffer.from(payload).toString());
          return isObject(claims) ? { payload: claims } : undefined;
        } catch (error) {
          if (!(error instanceof errors.JWSSignatureVerificationFailed)) throw error;
        }
      }
      return { cause: 'go-jose/go-jose: error in cryptographic primitive' };
    } catch (error) {
      // No token at all: cut off, of another form, with a header that asks for what nobody knows.
      if (error instanceof errors.JOSEError || error instanceof TypeError || error instanceof SyntaxError)
        return undefined;
      throw error;
    }
  }

  /** Those of that name; all where there is none, as kube-apiserver takes them. */
  #keysFor(id: string | undefined): readonly VerifyingKey[] {
    const named = this.#keys.verifying.filter((key) => key.id === id);
    return named.length > 0 ? named : this.#keys.verifying;
  }
}

function remember(verified: Map<string, JsonObject>, token: string, payload: JsonObject): void {
  verified.set(token, payload);
  if (verified.size <= verifiedMax) return;
  const [oldest] = verified.keys();
  if (oldest !== undefined) verified.delete(oldest);
}

/** Whose token it says it is: enough to leave it to others, not to believe it. undefined where it is none. Pure. */
export function untrustedIssuer(token: string): string | undefined {
  const parts = token.split('.');
  const [head = '', body = '', signature = ''] = parts;
  if (parts.length !== 3 || ![head, body, signature].every((part) => isPart.test(part))) return undefined;
  try {
    const claims: unknown = JSON.parse(Buffer.from(body, 'base64url').toString());
    const issuer = isObject(claims) ? claims['iss'] : undefined;
    return typeof issuer === 'string' ? issuer : undefined;
  } catch {
    return undefined; // No JSON, so nobody's.
  }
}

function boundOf({ pod, secret, node }: BoundReferences): BoundReferences {
  return {
    ...(node === undefined ? {} : { node }),
    ...(pod === undefined ? {} : { pod }),
    ...(secret === undefined ? {} : { secret }),
  };
}
