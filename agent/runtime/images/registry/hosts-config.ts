/**
 * Which servers an image's registry is asked at: a directory of containerd's shape (docs/hosts.md of containerd), read at each pull.
 *
 *     DIR/HOST_PORT_/hosts.toml, DIR/HOST:PORT/hosts.toml, DIR/HOST/hosts.toml, else DIR/_default/hosts.toml
 */
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { getCACertificates } from 'node:tls';
import { parse } from 'smol-toml';
import { isObject } from '#api/wire/json.ts';
import { describeError, errnoOf, PodwrightError } from '#base/errors.ts';
import type { TransportOptions } from './registry-transport.ts';

/** A server that is asked for what a registry has. */
export interface RegistryEndpoint {
  /** `https://mirror.example/v2` */
  readonly base: string;
  /** It says which image a tag is. Of one that does not, only what has a digest is taken. */
  readonly canResolve: boolean;
  readonly canPull: boolean;
  /** Files of PEM: further authorities, and what we show. */
  readonly authorities: readonly string[];
  readonly client: readonly (readonly [certificate: string, key: string | undefined])[];
  readonly skipsVerify: boolean;
  readonly headers: Readonly<Record<string, string>>;
  /** It stands for another, and is told for which. */
  readonly isMirror: boolean;
}

const documentBytesMax = 262_144;
export const mirrorsMax = 32;

/** Of whom nothing is said: the registry itself. `base`: as without a directory. */
export function originEndpoint(base: string): RegistryEndpoint {
  const plain = { authorities: [], client: [], skipsVerify: false, headers: {} };
  return { base, canResolve: true, canPull: true, isMirror: false, ...plain };
}

/** Mirrors in their order, the registry last. @throws {E_INVALID} with the file and what is wrong */
export async function readEndpoints(
  directory: string | undefined,
  host: string,
  origin: RegistryEndpoint,
): Promise<readonly RegistryEndpoint[]> {
  if (directory === undefined) return [origin];
  for (const name of namesOf(host)) {
    const place = join(directory, name);
    const text = await textOf(join(place, 'hosts.toml'));
    if (text === undefined) continue;
    try {
      return parseHosts(text, { host, origin, place });
    } catch (cause) {
      throw new PodwrightError('E_INVALID', `read ${join(place, 'hosts.toml')}: ${describeError(cause)}`, {
        cause,
      });
    }
  }
  return [origin];
}

function namesOf(host: string): readonly string[] {
  const [, name, port] = /^(.*):(\d+)$/.exec(host) ?? [];
  return [...(name === undefined ? [] : [`${name}_${port}_`]), host, '_default'];
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    const text = await readFile(path, 'utf8');
    if (text.length <= documentBytesMax) return text;
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(errnoOf(error) ?? '')) return undefined;
    throw error;
  }
  throw new PodwrightError('E_LIMIT', `read ${path}: more than ${documentBytesMax} bytes`);
}

interface HostsPlace {
  readonly host: string;
  readonly origin: RegistryEndpoint;
  /** Paths are relative to it. */
  readonly place: string;
}

const fields: ReadonlySet<string> = new Set([
  'capabilities',
  'ca',
  'client',
  'skip_verify',
  'header',
  'override_path',
]);

/** Pure. @throws {E_INVALID} by the field's name */
export function parseHosts(text: string, at: HostsPlace): readonly RegistryEndpoint[] {
  const { server, host = {}, ...own }: Readonly<Record<string, unknown>> = parse(text);
  if (!isObject(host)) throw wrong('host', 'tables are wanted, as [host."https://mirror.example"]');
  const entries = Object.entries(host);
  if (entries.length > mirrorsMax) throw wrong('host', `more than ${mirrorsMax}`);
  const mirrors = entries.map(([url, table]) => {
    if (!isObject(table)) throw wrong(`host."${url}"`, 'a table is wanted');
    return { ...endpointOf(`host."${url}"`, url, table, at.place), isMirror: true };
  });
  if (server !== undefined && typeof server !== 'string') throw wrong('server', 'a URL is wanted');
  const last =
    server === undefined || server === ''
      ? {
          ...endpointOf('server', at.origin.base, { ...own, override_path: true }, at.place),
          isMirror: false,
        }
      : { ...endpointOf('server', server, own, at.place), isMirror: !isSame(server, at.origin.base) };
  return [...mirrors, last];
}

const isSame = (server: string, base: string): boolean =>
  new URL(withScheme(server)).host === new URL(base).host;
const withScheme = (url: string): string => (/^https?:\/\//.test(url) ? url : `https://${url}`);

function endpointOf(
  what: string,
  url: string,
  table: Readonly<Record<string, unknown>>,
  place: string,
): Omit<RegistryEndpoint, 'isMirror'> {
  const unknown = Object.keys(table).find((name) => !fields.has(name));
  if (unknown !== undefined) throw wrong(`${what}.${unknown}`, 'no such field');
  const address = withScheme(url);
  if (!URL.canParse(address)) throw wrong(what, `${url} is no URL`);
  const path = address.replace(/\/+$/, '');
  const capabilities =
    table['capabilities'] === undefined
      ? ['pull', 'resolve']
      : listOf(`${what}.capabilities`, table['capabilities']);
  const odd = capabilities.find((each) => !['pull', 'resolve', 'push'].includes(each));
  if (odd !== undefined) throw wrong(`${what}.capabilities`, `${odd} is none of pull, resolve, push`);
  return {
    base: flag(what, table, 'override_path') || path.endsWith('/v2') ? path : `${path}/v2`,
    canPull: capabilities.includes('pull'),
    canResolve: capabilities.includes('resolve'),
    authorities:
      table['ca'] === undefined ? [] : listOf(`${what}.ca`, table['ca']).map((file) => resolve(place, file)),
    client: clientOf(`${what}.client`, table['client'], place),
    skipsVerify: flag(what, table, 'skip_verify'),
    headers: headersOf(`${what}.header`, table['header']),
  };
}

function flag(what: string, table: Readonly<Record<string, unknown>>, name: string): boolean {
  const value = table[name] ?? false;
  if (typeof value === 'boolean') return value;
  throw wrong(`${what}.${name}`, 'true or false is wanted');
}

/** A text, or several. */
function listOf(what: string, value: unknown): readonly string[] {
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  return list.map((each) => {
    if (typeof each === 'string') return each;
    throw wrong(what, 'texts are wanted');
  });
}

/** `"both.pem"`, `["a.pem", "b.pem"]`, `[["a.crt", "a.key"]]` */
function clientOf(what: string, value: unknown, place: string): RegistryEndpoint['client'] {
  if (value === undefined) return [];
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  return list.map((each) => {
    const [certificate, key, more] = listOf(what, each);
    if (certificate === undefined || more !== undefined)
      throw wrong(what, 'a file, or a certificate and its key');
    return [resolve(place, certificate), key === undefined || key === '' ? undefined : resolve(place, key)];
  });
}

function headersOf(what: string, value: unknown): Readonly<Record<string, string>> {
  if (value === undefined) return {};
  if (!isObject(value)) throw wrong(what, 'a table is wanted');
  return Object.fromEntries(
    Object.entries(value).map(([name, texts]) => [
      name.toLowerCase(),
      listOf(`${what}.${name}`, texts).join(', '),
    ]),
  );
}

function wrong(what: string, why: string): PodwrightError {
  return new PodwrightError('E_INVALID', `${what}: ${why}`);
}

/** How such a server is spoken to, where that is otherwise than any. @throws E_INVALID for files that are not there */
export async function transportFor(
  options: TransportOptions,
  endpoint: RegistryEndpoint,
): Promise<TransportOptions | undefined> {
  const { base, authorities, client, skipsVerify, headers } = endpoint;
  const hasHeaders = Object.keys(headers).length > 0;
  if (authorities.length === 0 && client.length === 0 && !skipsVerify && !hasHeaders) return undefined;
  const known = options.authorities ?? getCACertificates('default');
  const more = await Promise.all(authorities.map(pemOf));
  const pairs = client.map(async ([cert, key = cert]) => ({
    cert: await pemOf(cert),
    key: await pemOf(key),
  }));
  return {
    ...options,
    authorities: more.length === 0 ? options.authorities : [...known, ...more],
    ...(pairs.length === 0 ? {} : { client: await Promise.all(pairs) }),
    skipsVerify,
    own: { base, headers },
  };
}

async function pemOf(path: string): Promise<string> {
  const text = await textOf(path);
  if (text !== undefined) return text;
  throw new PodwrightError('E_INVALID', `read ${path}, which a hosts.toml names: no such file`);
}
