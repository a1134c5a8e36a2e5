import { createHash, createPrivateKey, createPublicKey, randomUUID, type KeyObject } from 'node:crypto';
import type { JWK } from 'jose';
import { at, objectOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';

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

export interface TokenInput extends BoundReferences {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly audiences: readonly string[];
  readonly expirationSeconds: number;
}

/** What a token says, its signature and time being in order. */
export interface TokenClaims extends BoundReferences {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly audiences: readonly string[];
  readonly tokenId: string;
}

/** What was found in a token, or what is wrong with it: '' where it is no token of ours at all. */
export type VerifiedToken =
  | { readonly claims: TokenClaims }
  | { readonly claims: undefined; readonly cause: string };

export const tokenIssuer = 'https://kubernetes.default.svc';
const algorithm = 'ES256';
const verifiedMax = 1024;

/** Signs and reads service account tokens. */
export class TokenAuthority {
  readonly #privateKey: KeyObject;
  readonly #publicKey: KeyObject;
  readonly #keyId: string;
  readonly #now: () => number;
  /** Tokens whose signature was found good, with what they say. */
  readonly #verified = new Map<string, { readonly claims: TokenClaims; readonly expiresAtMs: number }>();

  constructor(privateKeyPem: string, now: () => number) {
    this.#privateKey = createPrivateKey(privateKeyPem);
    this.#publicKey = createPublicKey(this.#privateKey);
    const der = this.#publicKey.export({ type: 'spki', format: 'der' });
    this.#keyId = createHash('sha256').update(der).digest('base64url');
    this.#now = now;
  }

  async sign(input: TokenInput): Promise<{ readonly token: string; readonly expiresAtMs: number }> {
    const { SignJWT } = await import('jose'); // Loaded when first needed.
    const issuedAt = Math.floor(this.#now() / 1000);
    const expiresAt = issuedAt + input.expirationSeconds;
    const claims = {
      namespace: input.namespace,
      ...boundOf(input),
      serviceaccount: { name: input.name, uid: input.uid },
    };
    const token = await new SignJWT({ 'kubernetes.io': claims })
      .setProtectedHeader({ alg: algorithm, kid: this.#keyId })
      .setAudience([...input.audiences])
      .setIssuer(tokenIssuer)
      .setIssuedAt(issuedAt)
      .setNotBefore(issuedAt)
      .setExpirationTime(expiresAt)
      .setJti(randomUUID())
      .setSubject(`system:serviceaccount:${input.namespace}:${input.name}`)
      .sign(this.#privateKey);
    return { token, expiresAtMs: expiresAt * 1000 };
  }

  /** Whether the signature is ours and the time is right; what the token is bound to is not looked at. */
  async verify(token: string): Promise<VerifiedToken> {
    const known = this.#verified.get(token);
    if (known !== undefined && known.expiresAtMs > this.#now()) return known;
    this.#verified.delete(token);
    const { jwtVerify, errors } = await import('jose');
    const options = { issuer: tokenIssuer, algorithms: [algorithm], currentDate: new Date(this.#now()) };
    try {
      const { payload } = await jwtVerify(token, this.#publicKey, options);
      const claims = readClaims(payload);
      this.#remember(token, { claims, expiresAtMs: (payload.exp ?? 0) * 1000 });
      return { claims };
    } catch (error) {
      if (error instanceof errors.JWTExpired) return refused('service account token has expired');
      if (error instanceof errors.JWSSignatureVerificationFailed) {
        return refused('go-jose/go-jose: error in cryptographic primitive');
      }
      if (error instanceof errors.JOSEError || error instanceof TypeError) return refused('');
      throw error;
    }
  }

  /** The public key, for `/openid/v1/jwks`. */
  publicJwk(): JWK {
    return { ...this.#publicKey.export({ format: 'jwk' }), use: 'sig', kid: this.#keyId, alg: algorithm };
  }

  #remember(token: string, verified: { readonly claims: TokenClaims; readonly expiresAtMs: number }): void {
    this.#verified.set(token, verified);
    if (this.#verified.size <= verifiedMax) return;
    const [oldest] = this.#verified.keys();
    if (oldest !== undefined) this.#verified.delete(oldest);
  }
}

function refused(cause: string): VerifiedToken {
  return { claims: undefined, cause };
}

function boundOf({ pod, secret, node }: BoundReferences): BoundReferences {
  return {
    ...(node === undefined ? {} : { node }),
    ...(pod === undefined ? {} : { pod }),
    ...(secret === undefined ? {} : { secret }),
  };
}

function readClaims(payload: JsonObject): TokenClaims {
  const own = objectOf(payload['kubernetes.io']);
  const { aud } = payload;
  const reference = (claim: string): ObjectReference | undefined =>
    own[claim] === undefined
      ? undefined
      : { name: stringOf(at(own, [claim, 'name'])), uid: stringOf(at(own, [claim, 'uid'])) };
  return {
    namespace: stringOf(own['namespace']),
    name: stringOf(at(own, 'serviceaccount.name')),
    uid: stringOf(at(own, 'serviceaccount.uid')),
    audiences: (Array.isArray(aud) ? aud : [aud]).map(stringOf),
    tokenId: stringOf(payload['jti']),
    ...boundOf({ pod: reference('pod'), secret: reference('secret'), node: reference('node') }),
  };
}
