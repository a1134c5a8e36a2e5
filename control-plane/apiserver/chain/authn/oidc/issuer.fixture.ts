import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:https';
import { CompactSign } from 'jose';
import { createAuthority, issueCertificate } from '#control-plane/apiserver/pki/certificate.ts';

/** An OpenID Connect issuer of a test's own, on loopback. */
export interface TestIssuer extends AsyncDisposable {
  readonly url: string;
  readonly caPem: string;
  /** What was asked for, in order. */
  readonly asked: string[];
  /** Makes a key and shows it, instead of those before where `alone`. @returns its name */
  addKey(options?: { readonly alone?: boolean }): string;
  /** A token of these claims beside iss, aud, exp and sub, by the newest key. */
  sign(
    claims?: Readonly<Record<string, unknown>>,
    header?: Readonly<Record<string, unknown>>,
  ): Promise<string>;
  /** What it says where it is asked for its configuration, instead of the truth; undefined: the truth. */
  about: Readonly<Record<string, unknown>> | undefined;
  /** What else it answers, by path: to those that show the token `claims`. */
  readonly documents: Map<string, string>;
  /** With what it answers; 200. */
  status: number;
}

export async function startTestIssuer(path = ''): Promise<TestIssuer> {
  const authority = await createAuthority('issuer-ca', Date.now());
  const serving = await issueCertificate(authority, {
    ...{ commonName: 'issuer', hosts: ['127.0.0.1'], usages: ['server'], nowMs: Date.now() },
  });
  const keys: { readonly id: string; readonly privateKey: KeyObject; readonly jwk: object }[] = [];
  const server = createServer({ cert: serving.certPem, key: serving.keyPem }, (request, response) => {
    issuer.asked.push(request.url ?? '');
    const about = issuer.about ?? { issuer: issuer.url, jwks_uri: `${issuer.url}/keys` };
    const document = issuer.documents.get(request.url ?? '');
    if (document !== undefined) {
      const isKnown = request.headers.authorization === 'Bearer claims';
      response.writeHead(isKnown ? 200 : 401).end(document);
      return;
    }
    const answer = request.url?.endsWith('/keys') === true ? { keys: keys.map(({ jwk }) => jwk) } : about;
    response.writeHead(issuer.status, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  let made = 0;
  const issuer: TestIssuer = {
    url: `https://127.0.0.1:${port}${path}`,
    caPem: authority.certPem,
    asked: [],
    about: undefined,
    documents: new Map(),
    status: 200,
    addKey: ({ alone = false } = {}) => {
      const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
      const id = `key-${++made}`;
      const jwk = { ...publicKey.export({ format: 'jwk' }), kid: id, use: 'sig', alg: 'RS256' };
      if (alone) keys.length = 0;
      keys.push({ id, privateKey, jwk });
      return id;
    },
    sign: (claims = {}, header = {}) => {
      const key = keys.at(-1);
      if (key === undefined) throw new Error('no key yet');
      const now = Math.floor(Date.now() / 1000);
      const all = { iss: issuer.url, aud: 'podwright', sub: 'jane', iat: now, exp: now + 600, ...claims };
      return new CompactSign(Buffer.from(JSON.stringify(all)))
        .setProtectedHeader({ alg: 'RS256', kid: key.id, ...header })
        .sign(key.privateKey);
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await once(server.close(), 'close');
    },
  };
  return issuer;
}
