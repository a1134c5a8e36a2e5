import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createAuthority,
  issueCertificate,
  type CertificateRequest,
  type KeyPair,
} from '#control-plane/apiserver/pki/certificate.ts';
import type { Json, TestServer } from '#control-plane/apiserver/test-server.fixture.ts';

/** What a server says to a client over TLS. */
export interface WireAnswer {
  readonly status: number;
  readonly json: Json;
  readonly text: string;
  readonly headers: Readonly<Record<string, unknown>>;
}

export interface WireRequest {
  readonly method?: string;
  readonly path?: string;
  /** By name, or names and values in turns, for those that come several times. */
  readonly headers?: Readonly<Record<string, string>> | readonly string[];
  readonly client?: KeyPair;
  readonly body?: object;
}

/** Asks a server as any client would. */
export function askOverTls({ server }: TestServer, request: WireRequest): Promise<WireAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<WireAnswer>();
  const { method = 'GET', path = '/api', headers = {}, client, body } = request;
  const bytes = body === undefined ? undefined : JSON.stringify(body);
  const given = Array.isArray(headers) ? headers : Object.entries(headers).flat();
  const typed =
    bytes === undefined ? [] : ['content-type', 'application/json', 'content-length', `${bytes.length}`];
  const sent = https.request(
    {
      ...{ host: '127.0.0.1', agent: false, port: server.ports[0], ca: server.caCertPem, method, path },
      headers: [...given, ...typed, 'host', '127.0.0.1'] as unknown as Record<string, string>,
      ...(client === undefined ? {} : { cert: client.certPem, key: client.keyPem }),
    },
    (answer) => {
      let text = '';
      answer.on('data', (chunk) => (text += String(chunk)));
      answer.once('end', () => {
        const isJson = String(answer.headers['content-type']).includes('json');
        const json = isJson ? JSON.parse(text) : undefined;
        resolve({ status: answer.statusCode ?? 0, json, text, headers: answer.headers });
      });
    },
  );
  sent.once('error', reject);
  sent.end(bytes);
  return promise;
}

/** Who the server says is asking; its status where nobody may ask so. */
export async function whoIs(test: TestServer, request: WireRequest): Promise<Json | number> {
  const path = '/apis/authentication.k8s.io/v1/selfsubjectreviews';
  const { status, json } = await askOverTls(test, { ...request, method: 'POST', path, body: {} });
  return status === 201 ? (json['status']?.['userInfo'] as Json) : status;
}

/** An authority of a test's own, and what it signs. */
export async function testAuthority(
  name: string,
): Promise<KeyPair & { readonly issue: (request: Partial<CertificateRequest>) => Promise<KeyPair> }> {
  const authority = await createAuthority(name, Date.now());
  return {
    ...authority,
    issue: (request) =>
      issueCertificate(authority, { commonName: 'bob', usages: ['client'], nowMs: Date.now(), ...request }),
  };
}

/** A directory that goes with the test, and how to put files into it. */
export function testFiles(): Disposable & { readonly write: (name: string, text: string) => string } {
  const directory = mkdtempSync(join(tmpdir(), 'podwright-authn-'));
  return {
    write: (name, text) => {
      const path = join(directory, name);
      writeFileSync(path, text);
      return path;
    },
    [Symbol.dispose]: () => rmSync(directory, { recursive: true }),
  };
}

export interface TestKeys {
  readonly privatePem: string;
  readonly publicPem: string;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

export function testKeys(kind: 'rsa' | 'ec' = 'ec'): TestKeys {
  const { privateKey, publicKey } =
    kind === 'rsa'
      ? generateKeyPairSync('rsa', { modulusLength: 2048 })
      : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return {
    privatePem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    publicPem: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    privateKey,
    publicKey,
  };
}
