import type { Endpoint, EndpointSlice, ObjectMeta, Service, ServicePort } from '#api/generated/objects.ts';
import { canonicalIpText, familyOfIp, type IpFamily } from '#base/ip.ts';
import { planAllowedSources, type Network } from './source-ranges.ts';

/** What the proxy knows of its own node. */
export interface ProxyNode {
  readonly name: string;
  /** Label topology.kubernetes.io/zone. */
  readonly zone: string | undefined;
  /** Addresses that node ports are reached by. */
  readonly ips: readonly string[];
}

export interface Backend {
  readonly ip: string;
  readonly port: number;
  readonly isLocal: boolean;
}

/** Address and port that clients use. */
export interface Frontend {
  readonly address: string;
  readonly port: number;
}

/** Load balancer addresses that only some sources may reach (spec.loadBalancerSourceRanges). */
export interface SourceLimit {
  readonly frontends: readonly Frontend[];
  readonly sources: readonly Network[];
}

/** One port of one Service for one address family: everything that decides its rules. Lists are ordered. */
export interface ProxyPort {
  /** `namespace/name:port name`. */
  readonly id: string;
  /** IP protocol number. */
  readonly protocol: 6 | 17 | 132;
  readonly clusterIps: readonly Frontend[];
  /** externalIPs and the load balancer's addresses. */
  readonly externals: readonly Frontend[];
  /** Which sources may reach which of the externals; absent: any. */
  readonly sourceLimit: SourceLimit | undefined;
  readonly nodePort: number | undefined;
  /** Backends anywhere, and those on this node; each falls back to terminating ones that still serve. */
  readonly backends: readonly Backend[];
  readonly localBackends: readonly Backend[];
  /** Of UDP: all that are ready or terminate and still serve, whichever of them new flows go to. */
  readonly flowBackends?: readonly Backend[];
  readonly isInternalLocal: boolean; // internalTrafficPolicy: Local
  readonly isExternalLocal: boolean; // externalTrafficPolicy: Local
  /** sessionAffinity: ClientIP. */
  readonly affinitySeconds: number | undefined;
}

const protocolNumbers = { TCP: 6, UDP: 17, SCTP: 132 } as const;

/**
 * Labels of Services and EndpointSlices that a proxy leaves alone: another proxy has taken the Service over (KEP-2447), or
 * it is headless, whatever its addresses say. kube-proxy asks the API server for those without.
 */
const foreignLabels = ['service.kubernetes.io/service-proxy-name', 'service.kubernetes.io/headless'];

const portMax = 65_535;

/** Default of service.spec.sessionAffinityConfig.clientIP.timeoutSeconds. */
const affinityDefaultSeconds = 10_800;

/** The ports of a Service that this node must serve in a family; none for headless and ExternalName Services. Pure. */
export function computeProxyPorts(
  service: Service,
  slices: readonly EndpointSlice[],
  node: ProxyNode,
  family: 'ip' | 'ip6',
): readonly ProxyPort[] {
  const { spec, metadata } = service;
  if (spec === undefined || spec.type === 'ExternalName' || isForeign(metadata)) return [];
  const version = family === 'ip' ? 4 : 6;
  const served = { node, version } as const;
  // Whoever may write a status may write anything; one word that the kernel cannot take would hold up all Services.
  const ownOf = (texts: readonly string[]): readonly string[] =>
    texts.flatMap((text) => addressOf(text, version) ?? []);
  const addresses = ownOf(clusterIpsOf(service));
  if (addresses.length === 0) return [];
  // A load balancer of mode Proxy talks to node ports or pods: packets to its address are its own business (KEP-1860).
  const ingress = (service.status?.loadBalancer?.ingress ?? []).filter((item) => item.ipMode !== 'Proxy');
  const vips = ownOf(ingress.flatMap((item) => item.ip ?? []));
  const externals = [...ownOf(spec.externalIPs ?? []), ...vips];
  const sources = planAllowedSources(spec.loadBalancerSourceRanges ?? [], vips, ownOf(node.ips));
  const mySlices = slicesOf(slices, family);
  return (spec.ports ?? []).map((port) => {
    const candidates = candidatesOf(mySlices, port);
    const local = candidates.filter((item) => item.endpoint.nodeName === node.name);
    const at = (address: string): Frontend => ({ address, port: port.port });
    return {
      id: `${metadata?.namespace}/${metadata?.name}:${port.name ?? ''}`,
      protocol: protocolNumbers[port.protocol ?? 'TCP'],
      clusterIps: addresses.map(at),
      externals: [...new Set(externals)].map(at),
      sourceLimit: sources === undefined ? undefined : { frontends: [...new Set(vips)].map(at), sources },
      nodePort: port.nodePort === 0 ? undefined : port.nodePort,
      backends: toBackends(
        usable(candidates, (ready) => preferNear(ready, node)),
        served,
      ),
      localBackends: toBackends(usable(local), served),
      ...(port.protocol === 'UDP' ? { flowBackends: toBackends(candidates.filter(keepsFlows), served) } : {}),
      isInternalLocal: spec.internalTrafficPolicy === 'Local',
      isExternalLocal: spec.externalTrafficPolicy === 'Local',
      affinitySeconds:
        spec.sessionAffinity === 'ClientIP'
          ? (spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? affinityDefaultSeconds)
          : undefined,
    };
  });
}

/** In its one text, as older objects may have others of it; undefined: it is none of the family. */
function addressOf(text: string, version: IpFamily): string | undefined {
  const address = canonicalIpText(text);
  return address !== undefined && familyOfIp(address) === version ? address : undefined;
}

/** A Service's own addresses; none if it is headless. */
export function clusterIpsOf(service: Service): readonly string[] {
  const { clusterIP, clusterIPs } = service.spec ?? {};
  const all = clusterIPs ?? (clusterIP === undefined ? [] : [clusterIP]);
  return all.filter((ip) => ip !== '' && ip !== 'None');
}

interface Served {
  readonly node: ProxyNode;
  readonly version: IpFamily;
}

interface Candidate {
  readonly endpoint: Endpoint;
  readonly port: number;
}

function candidatesOf(slices: readonly EndpointSlice[], port: ServicePort): readonly Candidate[] {
  return slices.flatMap((slice) => {
    const match = (slice.ports ?? []).find(
      (item) =>
        (item.name ?? '') === (port.name ?? '') && (item.protocol ?? 'TCP') === (port.protocol ?? 'TCP'),
    );
    const number = match?.port;
    if (!isPort(number)) return [];
    return (slice.endpoints ?? []).map((endpoint) => ({ endpoint, port: number }));
  });
}

const isPort = (number: number | undefined): number is number =>
  number !== undefined && Number.isInteger(number) && number > 0 && number <= portMax;

/** The ready ones that are preferred; if none is ready, those that terminate but still serve (KEP-1669). */
function usable(
  candidates: readonly Candidate[],
  prefer: (ready: readonly Candidate[]) => readonly Candidate[] = (ready) => ready,
): readonly Candidate[] {
  const ready = candidates.filter(({ endpoint }) => isReady(endpoint));
  if (ready.length > 0) return prefer(ready);
  return candidates.filter(({ endpoint }) => isServingLast(endpoint));
}

const isServingLast = ({ conditions }: Endpoint): boolean =>
  conditions?.serving !== false && conditions?.terminating === true;

/** A connection of TCP lives until its backend ends it, and so do flows. */
function keepsFlows({ endpoint }: Candidate): boolean {
  return isReady(endpoint) || isServingLast(endpoint);
}

/** What a condition does not say is taken as yes (discovery.k8s.io/v1 EndpointConditions). */
function isReady(endpoint: Endpoint): boolean {
  return endpoint.conditions?.ready !== false;
}

/** How many ready addresses of a Service are on this node, whatever their ports, if they have any: what load balancers are told. Pure. */
export function countLocalReady(
  slices: readonly EndpointSlice[],
  nodeName: string,
  family: 'ip' | 'ip6',
): number {
  const local = slicesOf(slices, family)
    .filter(({ ports }) => (ports ?? []).some(({ port }) => isPort(port)))
    .flatMap((slice) => slice.endpoints ?? [])
    .filter((endpoint) => isReady(endpoint) && endpoint.nodeName === nodeName);
  return new Set(local.map((endpoint) => canonicalIpText(endpoint.addresses[0] ?? ''))).size;
}

/** The port that tells load balancers whether this node has endpoints; undefined for a Service that needs none. */
export function healthCheckPortOf(service: Service): number | undefined {
  const { type, externalTrafficPolicy, healthCheckNodePort = 0 } = service.spec ?? {};
  if (type !== 'LoadBalancer' || externalTrafficPolicy !== 'Local' || isForeign(service.metadata))
    return undefined;
  return healthCheckNodePort === 0 ? undefined : healthCheckNodePort;
}

function isForeign(metadata: ObjectMeta | undefined): boolean {
  return foreignLabels.some((label) => metadata?.labels?.[label] !== undefined);
}

function slicesOf(slices: readonly EndpointSlice[], family: 'ip' | 'ip6'): readonly EndpointSlice[] {
  const addressType = family === 'ip' ? 'IPv4' : 'IPv6';
  return slices.filter((slice) => slice.addressType === addressType && !isForeign(slice.metadata));
}

/** Topology hints (KEP-2433, KEP-4444): used only if every endpoint has them and some name us; nodes before zones. */
function preferNear(candidates: readonly Candidate[], node: ProxyNode): readonly Candidate[] {
  const filters: readonly ((endpoint: Endpoint) => readonly string[] | undefined)[] = [
    (endpoint) => endpoint.hints?.forNodes?.map((item) => item.name),
    (endpoint) => endpoint.hints?.forZones?.map((item) => item.name),
  ];
  for (const [i, hintsOf] of filters.entries()) {
    const me = i === 0 ? node.name : node.zone;
    if (me === undefined || candidates.some(({ endpoint }) => (hintsOf(endpoint) ?? []).length === 0))
      continue;
    const near = candidates.filter(({ endpoint }) => hintsOf(endpoint)?.includes(me) === true);
    if (near.length > 0) return near;
  }
  return candidates;
}

/** Once each, in order of address and port, so that equal sets of endpoints make equal rules. */
function toBackends(candidates: readonly Candidate[], { node, version }: Served): readonly Backend[] {
  const byKey = new Map<string, Backend>();
  for (const { endpoint, port } of candidates) {
    const ip = addressOf(endpoint.addresses[0] ?? '', version);
    if (ip === undefined) continue;
    const key = `${ip} ${port}`;
    // Several slices may have it, and one of them not know where it is.
    const isLocal = endpoint.nodeName === node.name || byKey.get(key)?.isLocal === true;
    byKey.set(key, { ip, port, isLocal });
  }
  return [...byKey].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, backend]) => backend);
}
