import type { JsonObject } from '#api/meta/object.ts';
import { parseCidr, parseIp } from '#base/ip.ts';
import { cniError, cniErrorCode } from './cni-error.ts';
import { asObject, field } from './json-field.ts';
import { isAtLeast, isCniVersion, type CniVersion } from './version.ts';

export interface CniInterface {
  readonly name: string;
  readonly mac?: string | undefined;
  readonly mtu?: number | undefined;
  /** The namespace's path; absent: an interface of the host. */
  readonly sandbox?: string | undefined;
}

export interface CniIp {
  readonly address: string; // 10.1.2.3/24
  readonly gateway?: string | undefined;
  /** Index into `interfaces`. */
  readonly interface?: number | undefined;
}

export interface CniRoute {
  readonly dst: string;
  readonly gw?: string | undefined;
  readonly mtu?: number | undefined;
  /** The largest segment of TCP that is asked for, bytes. */
  readonly advmss?: number | undefined;
  readonly scope?: number | undefined;
  /** The lowest is taken. */
  readonly priority?: number | undefined;
  readonly table?: number | undefined;
}

export interface CniDns {
  readonly nameservers?: readonly string[];
  readonly domain?: string;
  readonly search?: readonly string[];
  readonly options?: readonly string[];
}

/** What ADD returns, in the shape of CNI 1.1.0 whatever version was on the wire (SPEC.md, section 5, Success). */
export interface CniResult {
  readonly interfaces: readonly CniInterface[];
  readonly ips: readonly CniIp[];
  readonly routes: readonly CniRoute[];
  readonly dns: CniDns;
}

export const emptyResult: CniResult = { interfaces: [], ips: [], routes: [], dns: {} };

/** Reads a result of any version that we speak. @throws {E_INVALID} */
export function parseResult(document: JsonObject): CniResult {
  const version = document['cniVersion'];
  if (version !== undefined && !isCniVersion(version)) {
    throw cniError(cniErrorCode.incompatibleVersion, `parse result: version ${JSON.stringify(version)}`);
  }
  if (document['ip4'] !== undefined || document['ip6'] !== undefined) return parseOldResult(document);
  return {
    interfaces: field.objects(document, 'interfaces').map(parseInterface),
    ips: field.objects(document, 'ips').map(parseResultIp),
    routes: field.objects(document, 'routes').map(parseRoute),
    dns: parseDns(field.object(document, 'dns') ?? {}),
  };
}

/**
 * The document for a version, as libcni writes it: `ips[].version` is there until 0.4.0, an interface's MTU from 1.0.0 on. A route has all
 * that it is given from 0.3.0 on: which table it is in, the next plugin cannot do without.
 */
export function renderResult(result: CniResult, version: CniVersion): JsonObject {
  if (!isAtLeast(version, '0.3.0')) return renderOldResult(result, version);
  const hasIpVersion = !isAtLeast(version, '1.0.0');
  return {
    cniVersion: version,
    ...unlessEmpty(
      'interfaces',
      result.interfaces.map(({ mtu, ...rest }) => compact({ ...rest, ...(hasIpVersion ? {} : { mtu }) })),
    ),
    ...unlessEmpty(
      'ips',
      result.ips.map((ip) =>
        compact({ ...(hasIpVersion ? { version: ip.address.includes(':') ? '6' : '4' } : {}), ...ip }),
      ),
    ),
    ...unlessEmpty(
      'routes',
      result.routes.map((route) => compact({ ...route })),
    ),
    dns: result.dns,
  };
}

/** Until 0.2.0 a result has one address of each family, with its routes, and no interfaces. */
function renderOldResult({ ips, routes, dns }: CniResult, version: CniVersion): JsonObject {
  const isV6 = (text: string): boolean => text.includes(':');
  const part = (wantsV6: boolean): JsonObject | undefined => {
    const ip = ips.find(({ address }) => isV6(address) === wantsV6);
    if (ip === undefined) return undefined;
    const own = routes.filter(({ dst }) => isV6(dst) === wantsV6);
    return compact({
      ip: ip.address,
      gateway: ip.gateway,
      ...unlessEmpty(
        'routes',
        own.map(({ dst, gw }) => compact({ dst, gw })),
      ),
    });
  };
  return { cniVersion: version, ...compact({ ip4: part(false), ip6: part(true) }), dns };
}

function parseOldResult(document: JsonObject): CniResult {
  const parts = ['ip4', 'ip6'].flatMap((name): readonly JsonObject[] => {
    const part = field.object(document, name);
    return part === undefined ? [] : [part];
  });
  return {
    interfaces: [],
    ips: parts.map((part) =>
      parseResultIp(compact({ address: field.string(part, 'ip'), gateway: field.string(part, 'gateway') })),
    ),
    routes: parts.flatMap((part) => field.objects(part, 'routes').map(parseRoute)),
    dns: parseDns(field.object(document, 'dns') ?? {}),
  };
}

/** Reads a list of routes as IPAM configurations and results write them. */
export function parseRoute(route: JsonObject): CniRoute {
  const dst = field.string(route, 'dst') ?? '';
  const gw = field.string(route, 'gw');
  if (parseCidr(dst) === undefined) throw invalid(`route to ${JSON.stringify(dst)}: not a CIDR`);
  if (gw !== undefined && parseIp(gw) === undefined)
    throw invalid(`route via ${JSON.stringify(gw)}: not an address`);
  return compact({
    dst,
    gw,
    mtu: field.number(route, 'mtu'),
    advmss: field.number(route, 'advmss'),
    scope: field.number(route, 'scope'),
    priority: field.number(route, 'priority'),
    table: field.number(route, 'table'),
  }) as unknown as CniRoute;
}

export function parseDns(dns: JsonObject): CniDns {
  const domain = field.string(dns, 'domain');
  return {
    ...unlessEmpty('nameservers', field.strings(dns, 'nameservers')),
    ...(domain === undefined ? {} : { domain }),
    ...unlessEmpty('search', field.strings(dns, 'search')),
    ...unlessEmpty('options', field.strings(dns, 'options')),
  };
}

function parseInterface(item: JsonObject): CniInterface {
  const name = field.string(item, 'name');
  if (name === undefined) throw invalid('interface without a name');
  return compact({
    name,
    mac: field.string(item, 'mac'),
    mtu: field.number(item, 'mtu'),
    sandbox: field.string(item, 'sandbox'),
  }) as unknown as CniInterface;
}

function parseResultIp(item: JsonObject): CniIp {
  const address = field.string(asObject(item, 'ip'), 'address') ?? '';
  if (parseCidr(address) === undefined) throw invalid(`address ${JSON.stringify(address)}: not a CIDR`);
  return compact({
    address,
    gateway: field.string(item, 'gateway'),
    interface: field.number(item, 'interface'),
  }) as unknown as CniIp;
}

function invalid(message: string): Error {
  return cniError(cniErrorCode.decodingFailure, `parse result: ${message}`);
}

/** Without the fields that are undefined. */
function compact(object: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));
}

function unlessEmpty<K extends string, T>(name: K, items: readonly T[]): Partial<Record<K, readonly T[]>> {
  return items.length === 0 ? {} : ({ [name]: items } as Partial<Record<K, readonly T[]>>);
}
