import type { Endpoint, EndpointSlice, Namespace, Service } from '#api/generated/objects.ts';
import type { Informer } from '#client/client.ts';
import { canonicalIpText, familyOfIp } from '#base/ip.ts';
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

/** A name that an address has: that of a Service, or of an endpoint of one. */
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
  /** Undefined: there is no Service in it, and which namespaces there are is not known. */
  hasNamespace(namespace: string): boolean | undefined;
  /** The Service's whose address it is, or else of endpoints that are ready, of all Services that have it, as CoreDNS says them. */
  reverse(ip: string): readonly ReverseName[];
}

export interface DnsCaches {
  readonly services: Informer<Service>;
  readonly endpointSlices: Informer<EndpointSlice>;
  /** Until it has synced, and without it, namespaces are known by their Services. */
  readonly namespaces?: Informer<Namespace>;
}

/** Follows Services and EndpointSlices; addresses are looked up backwards by an index of the Services that have them. */
export function createDnsView(caches: DnsCaches): DnsView & Disposable {
  const { services, endpointSlices, namespaces } = caches;
  const keysByIp = new KeysByIp();
  const withServices = new Map<string, Set<string>>();
  const known = new Map<string, DnsService>(); // What was asked for since it changed: of 1,000 endpoints it takes a while to make.
  let index: (ServiceIndex & Disposable) | undefined;

  const slicesOf = (key: string): readonly EndpointSlice[] => index?.slices(key) ?? [];
  function update(key: string): void {
    known.delete(key);
    const service = services.get(key);
    keysByIp.set(key, service === undefined ? [] : addressesOf(service, slicesOf(key)));
    noteNamespace(withServices, key, service !== undefined);
  }
  const find = (key: string): DnsService | undefined => {
    const kept = known.get(key);
    if (kept !== undefined) return kept;
    const service = services.get(key);
    const made = service === undefined ? undefined : toDnsService(service, slicesOf(key));
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
    endpoints: (namespace, name) => slicesOf(`${namespace}/${name}`).flatMap(toEndpoints),
    hasNamespace: (namespace) => {
      if (withServices.has(namespace)) return true;
      return namespaces?.hasSynced === true ? namespaces.get(namespace) !== undefined : undefined;
    },
    reverse: (ip) => {
      const keys = keysByIp.get(ip).toSorted();
      const own = keys.find((key) => ownAddressesOf(services.get(key) ?? {}).includes(ip));
      if (own !== undefined) return [{ ...partsOf(own), label: undefined }];
      return keys.flatMap((key) => labelsOf(ip, slicesOf(key)).map((label) => ({ ...partsOf(key), label })));
    },
    [Symbol.dispose]: () => index?.[Symbol.dispose](),
  };
}

/** Which Services have an address. Most addresses are one Service's: those take no set, of which there would be 100,000 in large clusters. */
class KeysByIp {
  readonly #keys = new Map<string, string | Set<string>>();
  readonly #ips = new Map<string, readonly string[]>();

  get(ip: string): readonly string[] {
    const keys = this.#keys.get(ip) ?? [];
    return typeof keys === 'string' ? [keys] : [...keys];
  }

  /** All that the Service has; of none it is forgotten. */
  set(key: string, ips: readonly string[]): void {
    for (const ip of this.#ips.get(key) ?? []) this.#remove(key, ip);
    for (const ip of ips) this.#add(key, ip);
    if (ips.length === 0) this.#ips.delete(key);
    else this.#ips.set(key, ips);
  }

  #add(key: string, ip: string): void {
    const keys = this.#keys.get(ip);
    if (keys === undefined) this.#keys.set(ip, key);
    else if (typeof keys === 'string') this.#keys.set(ip, new Set([keys, key]));
    else keys.add(key);
  }

  #remove(key: string, ip: string): void {
    const keys = this.#keys.get(ip);
    if (typeof keys === 'object') keys.delete(key);
    if (keys === key || (typeof keys === 'object' && keys.size === 0)) this.#keys.delete(ip);
  }
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
  const ips = ownAddressesOf(service);
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
    const ip = addressOf(endpoint);
    return ip === undefined ? [] : [{ label: labelOf(endpoint, ip), ip, ports }];
  });
}

/** Undefined for an endpoint that is not ready. */
function addressOf({ addresses, conditions }: Endpoint): string | undefined {
  return conditions?.ready === false ? undefined : canonicalIpText(addresses[0] ?? '');
}

/** In the text by which they are asked for backwards. */
function ownAddressesOf(service: Service): readonly string[] {
  return clusterIpsOf(service).flatMap((text) => canonicalIpText(text) ?? []);
}

/** Of an address that begins or ends with zeros these are said, as no label begins or ends with a hyphen (CoreDNS: at its end). */
const labelOf = ({ hostname }: Endpoint, ip: string): string =>
  hostname?.toLowerCase() || ip.replace(/^:/, '0:').replace(/:$/, ':0').replaceAll(/[.:]/g, '-');

/** Those of a Service and of its endpoints, each once; none where the Service has no name that an address could have. */
function addressesOf(service: Service, slices: readonly EndpointSlice[]): readonly string[] {
  if (service.spec?.type === 'ExternalName') return [];
  const endpoints = slices
    .filter(({ addressType }) => addressType !== 'FQDN')
    .flatMap((slice) => (slice.endpoints ?? []).flatMap((endpoint) => addressOf(endpoint) ?? []));
  return [...new Set([...ownAddressesOf(service), ...endpoints])];
}

/** What endpoints of an address are called. */
function labelsOf(ip: string, slices: readonly EndpointSlice[]): readonly string[] {
  const own = slices.flatMap(({ endpoints = [] }) => endpoints.filter((each) => addressOf(each) === ip));
  return [...new Set(own.map((endpoint) => labelOf(endpoint, ip)))];
}

function byLabel(a: DnsEndpoint, b: DnsEndpoint): number {
  return `${a.label} ${a.ip}` < `${b.label} ${b.ip}` ? -1 : 1;
}

function partsOf(key: string): Pick<ReverseName, 'namespace' | 'service'> {
  const [namespace = '', service = ''] = key.split('/');
  return { namespace, service };
}

function noteNamespace(namespaces: Map<string, Set<string>>, key: string, isPresent: boolean): void {
  const namespace = key.slice(0, key.indexOf('/'));
  const keys = namespaces.get(namespace) ?? new Set<string>();
  if (isPresent) keys.add(key);
  else keys.delete(key);
  if (keys.size === 0) namespaces.delete(namespace);
  else namespaces.set(namespace, keys);
}
