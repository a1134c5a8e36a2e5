import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { load } from 'js-yaml';
import { at, isObject, listOf, objectOf, objectsOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type { Clock } from '#base/clock.ts';
import { describeError, PodwrightError } from '#base/errors.ts';
import type { HttpTransportOptions } from './http-transport.ts';
import type { Impersonation } from './requests/impersonation.ts';

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
  /** The program that says who asks; `loadKubeconfig` refuses it, `connect` runs it. */
  readonly exec: ExecPlugin | undefined;
  /** As whom to ask; the same. */
  readonly impersonate: Impersonation | undefined;
}

export type PemSource =
  | { readonly kind: 'none' }
  | { readonly kind: 'inline'; readonly text: string }
  | { readonly kind: 'file'; readonly path: string };

/** `user.exec` (KEP-541): a program that prints an ExecCredential. */
export interface ExecPlugin {
  readonly apiVersion: string;
  /** Absolute, or a name to be found in PATH. */
  readonly command: string;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly provideClusterInfo: boolean;
  readonly installHint: string;
}

/** Text of a kubeconfig, the file that errors name, and the directory at which its relative paths begin. */
export interface KubeconfigText {
  readonly text: string;
  readonly source: string;
  readonly directory: string;
}

/** Reads a kubeconfig, or several as one, and what it refers to. @throws {E_INVALID} naming what is wrong in it. */
export function loadKubeconfig(
  paths: string | readonly string[],
  clock: Clock,
  context?: string,
): HttpTransportOptions {
  const files = [paths].flat();
  const access = parseKubeconfigs(files.map(readKubeconfig), context);
  if (access.exec !== undefined) throw unsupported('user field exec', files.join(', '));
  if (access.impersonate !== undefined) throw unsupported('user field as', files.join(', '));
  return transportOptionsOf(access, clock);
}

/** @throws {E_INVALID} for a file that cannot be read */
export function readKubeconfig(path: string): KubeconfigText {
  return { text: readText(path), source: path, directory: dirname(resolve(path)) };
}

/** How to connect so, with the files read. @throws {E_INVALID} for a file that cannot be read */
export function transportOptionsOf(access: KubeconfigAccess, clock: Clock): HttpTransportOptions {
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

/** @throws {E_INVALID} {E_UNSUPPORTED} naming what is wrong. */
export function parseKubeconfig(
  text: string,
  options: { readonly directory: string; readonly context?: string | undefined },
): KubeconfigAccess {
  const { directory, context } = options;
  return parseKubeconfigs([{ text, source: 'as it was given', directory }], context);
}

/**
 * Several files as one, as kubectl reads KUBECONFIG: of what two have by one name, the first one's counts.
 * @throws {E_INVALID} {E_UNSUPPORTED} naming what is wrong
 */
export function parseKubeconfigs(
  texts: readonly KubeconfigText[],
  contextGiven?: string | undefined,
): KubeconfigAccess {
  const configs = texts.map(({ text, ...place }) => ({ config: parseYaml(text, place.source), ...place }));
  const current = configs.map(({ config }) => stringAt(config, 'current-context')).find(Boolean);
  const contextName = contextGiven ?? current;
  const { value: context } = named(configs, 'context', contextName);
  const cluster = named(configs, 'cluster', stringAt(context, 'cluster'));
  const user = named(configs, 'user', stringAt(context, 'user'));
  for (const field of ['auth-provider', 'username'])
    if (user.value[field] !== undefined) throw unsupported(`user field ${field}`, user.source);
  if (stringAt(cluster.value, 'proxy-url') !== undefined)
    throw unsupported('cluster field proxy-url', cluster.source);
  const server = stringAt(cluster.value, 'server');
  if (server === undefined) throw invalid(`cluster of context ${contextName} has no server`, cluster.source);
  return {
    server,
    namespace: stringAt(context, 'namespace') ?? 'default',
    ca: sourceAt(cluster, 'certificate-authority'),
    clientCert: sourceAt(user, 'client-certificate'),
    clientKey: sourceAt(user, 'client-key'),
    token: tokenOf(user),
    serverName: stringAt(cluster.value, 'tls-server-name'),
    insecureSkipTlsVerify: cluster.value['insecure-skip-tls-verify'] === true,
    exec: execOf(user),
    impersonate: impersonationOf(user),
  };
}

/** An entry, and where it was read. */
interface Entry extends Place {
  readonly value: JsonObject;
}

type Place = Omit<KubeconfigText, 'text'>;

function sourceAt({ value, directory }: Entry, name: string): PemSource {
  const data = stringAt(value, `${name}-data`);
  if (data !== undefined) return { kind: 'inline', text: Buffer.from(data, 'base64').toString('utf8') };
  const file = stringAt(value, name);
  return file === undefined ? { kind: 'none' } : { kind: 'file', path: resolve(directory, file) };
}

function tokenOf({ value, directory }: Entry): PemSource {
  const file = stringAt(value, 'tokenFile');
  if (file !== undefined) return { kind: 'file', path: resolve(directory, file) };
  const token = stringAt(value, 'token');
  return token === undefined ? { kind: 'none' } : { kind: 'inline', text: token };
}

const execVersions = ['client.authentication.k8s.io/v1', 'client.authentication.k8s.io/v1beta1'];

function execOf({ value, source, directory }: Entry): ExecPlugin | undefined {
  const exec = value['exec'];
  if (exec === undefined || exec === null) return undefined;
  if (!isObject(exec)) throw invalid('user field exec is no mapping', source);
  const command = stringAt(exec, 'command');
  const apiVersion = stringAt(exec, 'apiVersion');
  if (command === undefined) throw invalid('user field exec has no command', source);
  if (apiVersion === undefined || !execVersions.includes(apiVersion))
    throw unsupported(`exec apiVersion ${apiVersion ?? '""'}`, source);
  if (stringAt(exec, 'interactiveMode') === 'Always')
    throw unsupported('exec interactiveMode Always', source);
  const environment = objectsOf(exec['env']).map(({ name, value: given }) => [
    stringOf(name),
    stringOf(given),
  ]);
  return {
    apiVersion,
    // As kubectl: a path is relative to the file, a name is looked up.
    command: command.includes('/') ? resolve(directory, command) : command,
    args: listOf(exec['args']).map(String),
    environment: Object.fromEntries(environment) as Readonly<Record<string, string>>,
    provideClusterInfo: exec['provideClusterInfo'] === true,
    installHint: stringAt(exec, 'installHint') ?? '',
  };
}

function impersonationOf({ value: user, source }: Entry): Impersonation | undefined {
  const name = stringAt(user, 'as');
  if (name === undefined) {
    const stray = ['as-uid', 'as-groups', 'as-user-extra'].find((field) => user[field] !== undefined);
    if (stray !== undefined) throw invalid(`user field ${stray} without as`, source);
    return undefined;
  }
  const extra = Object.entries(objectOf(user['as-user-extra'])).map(([key, values]) => [
    key,
    listOf(values).map(String),
  ]);
  return {
    user: name,
    uid: stringAt(user, 'as-uid'),
    groups: listOf(user['as-groups']).map(String),
    extra: Object.fromEntries(extra) as Readonly<Record<string, readonly string[]>>,
  };
}

function named(
  configs: readonly (Place & { readonly config: JsonObject })[],
  what: 'context' | 'cluster' | 'user',
  name: string | undefined,
): Entry {
  const sources = configs.map(({ source }) => source).join(', ');
  if (name === undefined) throw invalid(`no ${what} is named`, sources);
  for (const { config, ...place } of configs) {
    const entry = objectsOf(config[`${what}s`]).find((candidate) => candidate['name'] === name);
    const value = at(entry, [what]);
    if (isObject(value)) return { value, ...place };
  }
  throw invalid(`no ${what} ${name}`, sources);
}

function stringAt(object: JsonObject, name: string): string | undefined {
  const value = object[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function parseYaml(text: string, source: string): JsonObject {
  let value: unknown;
  try {
    value = load(text);
  } catch (error) {
    throw invalid(`not YAML: ${describeError(error).split('\n')[0]}`, source);
  }
  if (!isObject(value)) throw invalid('not a YAML mapping', source);
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

function invalid(why: string, source: string): PodwrightError {
  return new PodwrightError('E_INVALID', `read kubeconfig ${source}: ${why}`);
}

function unsupported(what: string, source: string): PodwrightError {
  return new PodwrightError('E_UNSUPPORTED', `read kubeconfig ${source}: ${what} is not supported`);
}
