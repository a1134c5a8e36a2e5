import { formatIp, parseIp } from '#base/ip.ts';
import { parseServer } from './outside/upstream.ts';

/** Of whom names outside the cluster are asked, and names that are known without asking. */
export interface DnsConfig {
  /** Domain, with small letters and no dot at its end, to its resolvers (parseServer()). */
  readonly stubDomains: ReadonlyMap<string, readonly string[]>;
  /** Undefined: those of the node. */
  readonly upstreamNameservers: readonly string[] | undefined;
  readonly hosts: Hosts;
}

export interface Hosts {
  readonly addresses: ReadonlyMap<string, readonly string[]>;
  readonly names: ReadonlyMap<string, readonly string[]>;
}

export const emptyDnsConfig: DnsConfig = {
  stubDomains: new Map(),
  upstreamNameservers: undefined,
  hosts: { addresses: new Map(), names: new Map() },
};

const bounds = { stubDomains: 100, servers: 8, hosts: 10_000 } as const;

/**
 * Reads the ConfigMap `kube-system/kube-dns`: `stubDomains` (JSON, domain → addresses) and `upstreamNameservers` (JSON, addresses), as the
 * DNS of Kubernetes has had them since 1.6, and `hosts` as hosts(5). What is wrong has no effect, the rest has; `problems` says what is.
 */
export function parseDnsConfig(data: Readonly<Record<string, string>>): {
  readonly config: DnsConfig;
  readonly problems: readonly string[];
} {
  const problems: string[] = [];
  const read = <T>(key: string, empty: T, parse: (text: string) => T): T => {
    const text = data[key];
    if (text === undefined || text.trim() === '') return empty;
    try {
      return parse(text);
    } catch (error) {
      problems.push(`${key}: ${error instanceof Error ? error.message : String(error)}`);
      return empty;
    }
  };
  const config = {
    stubDomains: read('stubDomains', emptyDnsConfig.stubDomains, parseStubDomains),
    upstreamNameservers: read('upstreamNameservers', undefined, (text) => parseServers(JSON.parse(text))),
    hosts: read('hosts', emptyDnsConfig.hosts, parseHosts),
  };
  const known = ['stubDomains', 'upstreamNameservers', 'hosts'];
  for (const key of Object.keys(data)) {
    if (!known.includes(key)) problems.push(`${key}: no such setting; there are ${known.join(', ')}`);
  }
  return { config, problems };
}

function parseStubDomains(text: string): ReadonlyMap<string, readonly string[]> {
  const given: unknown = JSON.parse(text);
  if (typeof given !== 'object' || given === null || Array.isArray(given))
    throw new TypeError('write {"example.com": ["10.0.0.1"]}');
  const entries = Object.entries(given);
  if (entries.length > bounds.stubDomains) throw new RangeError(`more than ${bounds.stubDomains} domains`);
  return new Map(entries.map(([domain, servers]) => [plainName(domain), parseServers(servers)]));
}

function parseServers(given: unknown): readonly string[] {
  if (!Array.isArray(given) || given.length === 0 || given.length > bounds.servers)
    throw new TypeError(`write one to ${bounds.servers} addresses: ["10.0.0.1"]`);
  return given.map((server: unknown) => {
    const { host, port } = parseServer(String(server));
    if (parseIp(host) === undefined || port < 1 || port > 65_535)
      throw new TypeError(`${String(server)} is no address, nor ADDRESS:PORT`);
    return String(server);
  });
}

/** Lines of an address and its names; what follows a `#` is a remark. @throws TypeError for a line that is none, RangeError for too many */
export function parseHosts(text: string): Hosts {
  const addresses = new Map<string, readonly string[]>();
  const names = new Map<string, readonly string[]>();
  const add = (map: Map<string, readonly string[]>, key: string, value: string): void => {
    map.set(key, [...new Set([...(map.get(key) ?? []), value])]);
  };
  for (const line of text.split('\n')) {
    const [address = '', ...given] = line.replace(/#.*/, '').trim().split(/\s+/);
    if (address === '') continue;
    const ip = parseIp(address);
    if (ip === undefined || given.length === 0) throw new TypeError(`${line.trim()}: write ADDRESS NAME…`);
    for (const name of given.map(plainName)) {
      add(addresses, name, formatIp(ip));
      add(names, formatIp(ip), name);
    }
    if (addresses.size > bounds.hosts) throw new RangeError(`more than ${bounds.hosts} names`);
  }
  return { addresses, names };
}

/** The stub domain that a name is in, the longest one; undefined: none. */
export function stubDomainOf(config: DnsConfig, name: string): string | undefined {
  const labels = plainName(name).split('.');
  for (let first = 0; first < labels.length; first++) {
    const domain = labels.slice(first).join('.');
    if (config.stubDomains.has(domain)) return domain;
  }
  return undefined;
}

/** As names are looked up: small letters, no dot at the end. */
export function plainName(name: string): string {
  return name.toLowerCase().replace(/\.$/, '');
}
