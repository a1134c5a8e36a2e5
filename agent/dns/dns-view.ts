import type { EndpointSlice, Service } from '#api/generated/objects.ts';
import type { Informer } from '#client/client.ts';
import { familyOfIp } from '#base/ip.ts';
import { createServiceIndex, type ServiceIndex } from '#agent/proxy/service-index.ts';
import { clusterIpsOf } from '#agent/proxy/service-map.ts';

export interface DnsPort {
  readonly name: string;
  readonly protocol: string; // tcp, udp, sctp
  readonly port: number;
}

export interface DnsEndpoint {
  /** The label under the Service's name: its hostname, or its address with dashes. */
  readonly label: string;
  readonly ip: string;
  readonly ports: readonly DnsPort[];
}

export type DnsService =
  | { readonly kind: 'cluster'; readonly ips: readonly string[]; readonly ports: readonly DnsPort[] }
  | { readonly kind: 'headless'; readonly endpoints: readonly DnsEndpoint[] }
  | { readonly kind: 'external'; readonly target: string };

/** A name that an address has: that of a Service, or of an endpoint of a headless one. */
export interface ReverseName {
  readonly namespace: string;
  readonly service: string;
  readonly label: string | undefined;
}

/** What the answers are made from. */
export interface DnsView {
  service(namespace: string, name: string): DnsService | undefined;
  /** Those of a Service that are ready, whether or not it has an address of its own. */
  endpoints(namespace: string, name: string): readonly DnsEndpoint[];
  /** Whether any Service lives in it. */
  hasNamespace(namespace: string): boolean;
  reverse(ip: string): readonly ReverseName[];
}

/** Follows Services and EndpointSlices; addresses are looked up backwards by an index kept per Service. */
export function createDnsView(
  services: Informer<Service>,
  endpointSlices: Informer<EndpointSlice>,
): DnsView & Disposable {
  const namesByIp = new Map<string, Map<string, ReverseName>>();
  const ipsByKey = new Map<string, readonly string[]>();
  const namespaces = new Map<string, Set<string>>();
  const known = new Map<string, DnsService>(); // What was asked for since it changed: of 1,000 endpoints it takes a while to make.
  let index: (ServiceIndex & Disposable) | undefined;

  function update(key: string): void {
    known.delete(key);
    for (const ip of ipsByKey.get(key) ?? []) {
      const names = namesByIp.get(ip);
      names?.delete(key);
      if (names?.size === 0) namesByIp.delete(ip);
    }
    const found = reverseNames(key, find(key));
    ipsByKey.set(key, [...found.keys()]);
    for (const [ip, name] of found) {
      const names = namesByIp.get(ip) ?? new Map<string, ReverseName>();
      names.set(key, name);
      namesByIp.set(ip, names);
    }
    if (found.size === 0) ipsByKey.delete(key);
    noteNamespace(namespaces, key, services.get(key) !== undefined);
  }
  const find = (key: string): DnsService | undefined => {
    const kept = known.get(key);
    if (kept !== undefined) return kept;
    const service = services.get(key);
    const made = service === undefined ? undefined : toDnsService(service, index?.slices(key) ?? []);
    if (made !== undefined) known.set(key, made);
    return made;
  };
  // While it is being made the index tells of all that is present; that is taken in once it can be asked.
  index = createServiceIndex(services, endpointSlices, (key) => {
    if (index !== undefined) update(key);
  });
  for (const key of index.keys()) update(key);
  return {
    service: (namespace, name) => find(`${namespace}/${name}`),
    endpoints: (namespace, name) => (index?.slices(`${namespace}/${name}`) ?? []).flatMap(toEndpoints),
    hasNamespace: (namespace) => namespaces.has(namespace),
    reverse: (ip) =>
      [...(namesByIp.get(ip)?.entries() ?? [])]
        .toSorted(([a], [b]) => (a < b ? -1 : 1))
        .map(([, name]) => name),
    [Symbol.dispose]: () => index?.[Symbol.dispose](),
  };
}

/** Pure. Undefined for a Service that has no name in DNS (no address and not headless). */
export function toDnsService(service: Service, slices: readonly EndpointSlice[]): DnsService | undefined {
  const { spec } = service;
  if (spec === undefined) return undefined;
  if (spec.type === 'ExternalName') {
    const target = (spec.externalName ?? '').replace(/\.$/, '');
    // An address is no name that a CNAME could lead to.
    return target === '' || familyOfIp(target) !== undefined ? undefined : { kind: 'external', target };
  }
  const ports = (spec.ports ?? []).map((port) => ({
    name: (port.name ?? '').toLowerCase(),
    protocol: (port.protocol ?? 'TCP').toLowerCase(),
    port: port.port,
  }));
  const ips = clusterIpsOf(service);
  if (ips.length > 0) return { kind: 'cluster', ips, ports };
  const isHeadless = spec.clusterIP === 'None' || spec.clusterIPs?.[0] === 'None';
  return isHeadless
    ? { kind: 'headless', endpoints: slices.flatMap(toEndpoints).toSorted(byLabel) }
    : undefined;
}

/** Those that are ready; publishNotReadyAddresses makes all ready in the slices themselves. */
function toEndpoints(slice: EndpointSlice): readonly DnsEndpoint[] {
  if (slice.addressType === 'FQDN') return [];
  const ports = (slice.ports ?? []).flatMap((port) =>
    port.port === undefined
      ? []
      : [
          {
            name: (port.name ?? '').toLowerCase(),
            protocol: (port.protocol ?? 'TCP').toLowerCase(),
            port: port.port,
          },
        ],
  );
  return (slice.endpoints ?? []).flatMap((endpoint) => {
    const ip = endpoint.addresses[0];
    if (ip === undefined || endpoint.conditions?.ready === false) return [];
    return [{ label: endpoint.hostname?.toLowerCase() || ip.replaceAll(/[.:]/g, '-'), ip, ports }];
  });
}

function byLabel(a: DnsEndpoint, b: DnsEndpoint): number {
  return `${a.label} ${a.ip}` < `${b.label} ${b.ip}` ? -1 : 1;
}

function reverseNames(key: string, service: DnsService | undefined): ReadonlyMap<string, ReverseName> {
  const [namespace = '', name = ''] = key.split('/');
  if (service === undefined || service.kind === 'external') return new Map();
  const named = (label: string | undefined): ReverseName => ({ namespace, service: name, label });
  if (service.kind === 'cluster') return new Map(service.ips.map((ip) => [ip, named(undefined)]));
  return new Map(service.endpoints.map(({ ip, label }) => [ip, named(label)]));
}

function noteNamespace(namespaces: Map<string, Set<string>>, key: string, isPresent: boolean): void {
  const namespace = key.slice(0, key.indexOf('/'));
  const keys = namespaces.get(namespace) ?? new Set<string>();
  if (isPresent) keys.add(key);
  else keys.delete(key);
  if (keys.size === 0) namespaces.delete(namespace);
  else namespaces.set(namespace, keys);
}
