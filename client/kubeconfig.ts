import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { load } from 'js-yaml';
import { at, isObject, objectsOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type { Clock } from '#base/clock.ts';
import { describeError, PodwrightError } from '#base/errors.ts';
import type { HttpTransportOptions } from './http-transport.ts';

/** How a kubeconfig says to reach a cluster and as whom; data inline, files by absolute path. */
export interface KubeconfigAccess {
  readonly server: string;
  readonly namespace: string;
  readonly ca: PemSource;
  readonly clientCert: PemSource;
  readonly clientKey: PemSource;
  readonly token: PemSource;
  readonly serverName: string | undefined;
  readonly insecureSkipTlsVerify: boolean;
}

export type PemSource =
  | { readonly kind: 'none' }
  | { readonly kind: 'inline'; readonly text: string }
  | { readonly kind: 'file'; readonly path: string };

/** Reads the kubeconfig at `path` and what it refers to. @throws {E_INVALID} naming what is wrong in it. */
export function loadKubeconfig(path: string, clock: Clock, context?: string): HttpTransportOptions {
  const access = parseKubeconfig(readText(path), { directory: dirname(resolve(path)), context });
  const { token } = access;
  return {
    server: access.server,
    caPem: textOf(access.ca),
    clientCertPem: textOf(access.clientCert),
    clientKeyPem: textOf(access.clientKey),
    // A token file is read for each request: whoever renews it writes it anew.
    token: token.kind === 'file' ? () => readText(token.path).trim() : textOf(token),
    serverName: access.serverName,
    insecureSkipTlsVerify: access.insecureSkipTlsVerify,
    clock,
  };
}

/** @throws {E_INVALID} naming what is wrong. */
export function parseKubeconfig(
  text: string,
  options: { readonly directory: string; readonly context?: string | undefined },
): KubeconfigAccess {
  const config = parseYaml(text);
  const contextName = options.context ?? stringAt(config, 'current-context');
  const context = named(config, 'context', contextName);
  const cluster = named(config, 'cluster', stringAt(context, 'cluster'));
  const user = named(config, 'user', stringAt(context, 'user'));
  for (const unsupported of ['exec', 'auth-provider', 'username']) {
    if (user[unsupported] !== undefined) {
      throw new PodwrightError(
        'E_UNSUPPORTED',
        `read kubeconfig: user field ${unsupported} is not supported`,
      );
    }
  }
  const server = stringAt(cluster, 'server');
  if (server === undefined) throw invalid(`cluster of context ${contextName} has no server`);
  const source = (object: JsonObject, name: string): PemSource => {
    const data = stringAt(object, `${name}-data`);
    if (data !== undefined) return { kind: 'inline', text: Buffer.from(data, 'base64').toString('utf8') };
    const file = stringAt(object, name);
    return file === undefined ? { kind: 'none' } : { kind: 'file', path: resolve(options.directory, file) };
  };
  const token = stringAt(user, 'token');
  const tokenFile = stringAt(user, 'tokenFile');
  return {
    server,
    namespace: stringAt(context, 'namespace') ?? 'default',
    ca: source(cluster, 'certificate-authority'),
    clientCert: source(user, 'client-certificate'),
    clientKey: source(user, 'client-key'),
    token:
      tokenFile !== undefined
        ? { kind: 'file', path: resolve(options.directory, tokenFile) }
        : token === undefined
          ? { kind: 'none' }
          : { kind: 'inline', text: token },
    serverName: stringAt(cluster, 'tls-server-name'),
    insecureSkipTlsVerify: cluster['insecure-skip-tls-verify'] === true,
  };
}

function named(
  config: JsonObject,
  what: 'context' | 'cluster' | 'user',
  name: string | undefined,
): JsonObject {
  if (name === undefined) throw invalid(`no ${what} is named`);
  const entry = objectsOf(config[`${what}s`]).find((candidate) => candidate['name'] === name);
  const value = at(entry, [what]);
  if (!isObject(value)) throw invalid(`no ${what} ${name}`);
  return value;
}

function stringAt(object: JsonObject, name: string): string | undefined {
  const value = object[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function parseYaml(text: string): JsonObject {
  let value: unknown;
  try {
    value = load(text);
  } catch (error) {
    throw invalid(`not YAML: ${describeError(error).split('\n')[0]}`);
  }
  if (!isObject(value)) throw invalid('not a YAML mapping');
  return value;
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new PodwrightError('E_INVALID', `read ${path}`, { cause: error });
  }
}

function textOf(source: PemSource): string | undefined {
  switch (source.kind) {
    case 'none':
      return undefined;
    case 'inline':
      return source.text;
    case 'file':
      return readText(source.path);
  }
}

function invalid(why: string): PodwrightError {
  return new PodwrightError('E_INVALID', `read kubeconfig: ${why}`);
}
