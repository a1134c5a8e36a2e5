import { classOfIp } from '#base/ip-class.ts';
import { familyOfIp } from '#base/ip.ts';
import { services } from '#api/schema/kind-ref.ts';
import type {
  DiscoveryV1EndpointPort,
  Endpoint,
  EndpointAddress,
  EndpointHints,
  EndpointPort,
  Endpoints,
  EndpointSlice,
  EndpointSubset,
  Node,
  Pod,
  Service,
} from '#api/generated/objects.ts';
import { ownerReference } from '#api/meta/owner.ts';
import { belongsInEndpoints, endpointReadiness } from '#api/pod/state.ts';
import { zoneOf } from '#api/meta/zone.ts';
import { isStranded } from './missing-nodes.ts';
import {
  endpointKey,
  isSameSlice,
  managedByLabel,
  planGroups,
  serviceNameLabel,
  type AddressType,
  type SliceGroup,
  type SlicePlan,
} from './slices.ts';
import { truncateSubsets } from './truncate-endpoints.ts';
import { planZoneHints, wantsZoneHints } from './zone-hints.ts';
import type { ZoneShares } from './zone-shares.ts';

export const managedByUs = 'endpointslice-controller.k8s.io';
const headlessLabel = 'service.kubernetes.io/headless';
const nearDistributions = ['PreferClose', 'PreferSameZone', 'PreferSameNode'];
export const endpointsPerSliceMax = 100;
const endpointsPerObjectMax = 1000; // Of an Endpoints object; more are cut off, and an annotation says so.

export interface Backends {
  readonly service: Service;
  /** Selected by the Service. */
  readonly pods: readonly Pod[];
  readonly nodeOf: (name: string) => Node | undefined;
  /** What was made of each pod for this Service as it is; objects of a cache never change. */
  readonly made?: WeakMap<Pod, MadeOfPod>;
  /** Where processors are, for Services that want to be spread by them. */
  readonly shares?: ZoneShares | undefined;
}

/** What to write, and why there are no hints that the Service asks for, for each such family. */
export interface ServicePlan extends SlicePlan {
  readonly unhinted?: readonly string[];
}

/** What a pod is in the slices of a Service. */
export interface MadeOfPod {
  /** Of its node, when it was made. */
  readonly zone: string | undefined;
  readonly places: readonly {
    readonly key: string;
    readonly group: Omit<SliceGroup, 'endpoints'>;
    readonly endpoint: Endpoint;
  }[];
}

/** What to write so that the slices hold exactly these backends. A Service without any has one empty slice, which says so. */
export function planSlices(backends: Backends, existing: readonly EndpointSlice[]): ServicePlan {
  const { service } = backends;
  const owner = { endpointsPerSliceMax, sliceOf: sliceOf.bind(undefined, service) };
  const wantsZones = wantsZoneHints(service);
  const groups = wantsZones ? withKnownHints(groupsOf(backends), existing) : groupsOf(backends);
  const first = planGroups(groups, existing, owner);
  const isEmpty = existing.length - first.delete.length + first.create.length === 0;
  const plan = isEmpty ? planEmpty(service, existing) : first;
  return wantsZones ? planHints(backends, plan, existing) : plan;
}

/** Family by family: one may have hints while another has none. */
function planHints(
  { service, shares }: Backends,
  first: SlicePlan,
  existing: readonly EndpointSlice[],
): ServicePlan {
  let plan = first;
  const unhinted: string[] = [];
  for (const addressType of addressTypesOf(service)) {
    const hinted = planZoneHints(plan, existing, { addressType, shares });
    plan = hinted.plan;
    if (hinted.problem !== undefined) unhinted.push(`${hinted.problem}, addressType: ${addressType}`);
  }
  return { ...plan, unhinted };
}

/** Endpoints that are ready with the hints that they have, so that slices in which nothing else changes are the same. */
function withKnownHints(
  groups: readonly SliceGroup[],
  existing: readonly EndpointSlice[],
): readonly SliceGroup[] {
  const known = new Map(
    existing.flatMap(({ endpoints }) =>
      (endpoints ?? []).map((endpoint) => [endpointKey(endpoint), endpoint.hints]),
    ),
  );
  const withHints = (endpoint: Endpoint): Endpoint => {
    const hints = known.get(endpointKey(endpoint));
    return hints === undefined || endpoint.conditions?.ready !== true ? endpoint : { ...endpoint, hints };
  };
  return groups.map((group) => ({ ...group, endpoints: group.endpoints.map(withHints) }));
}

function planEmpty(service: Service, existing: readonly EndpointSlice[]): SlicePlan {
  const empty: SliceGroup = { addressType: addressTypesOf(service)[0] ?? 'IPv4', ports: [], endpoints: [] };
  const [first, ...others] = existing;
  if (first === undefined) return { create: [sliceOf(service, empty)], update: [], delete: [] };
  if (first.addressType !== empty.addressType) {
    return { create: [sliceOf(service, empty)], update: [], delete: existing };
  }
  const wanted = sliceOf(service, empty, first);
  return { create: [], update: isSameSlice(wanted, first) ? [] : [wanted], delete: others };
}

/** Backends with the same ports and address type: named ports may mean another number in each pod. */
function groupsOf(backends: Backends): readonly SliceGroup[] {
  const groups = new Map<string, { group: Omit<SliceGroup, 'endpoints'>; endpoints: Endpoint[] }>();
  for (const pod of backends.pods) {
    if (isStranded(pod, backends)) continue;
    for (const { key, group, endpoint } of placesOf(backends, pod)) {
      const found = groups.get(key) ?? { group, endpoints: [] };
      groups.set(key, found);
      found.endpoints.push(endpoint);
    }
  }
  return [...groups.values()].map(({ group, endpoints }) => ({ ...group, endpoints }));
}

function placesOf({ service, nodeOf, made }: Backends, pod: Pod): MadeOfPod['places'] {
  const node = nodeOf(pod.spec?.nodeName ?? '');
  const zone = zoneOf(node);
  const known = made?.get(pod);
  if (known !== undefined && known.zone === zone) return known.places;
  const ports = belongsInEndpoints(pod) ? portsOf(service, pod) : [];
  const types = belongsInEndpoints(pod) ? addressTypesOf(service) : [];
  const places = types.flatMap((addressType) => {
    const address = addressOf(pod, addressType);
    if (address === undefined) return [];
    const endpoint = endpointOf(service, pod, { address, node });
    return [{ key: JSON.stringify([addressType, ports]), group: { addressType, ports }, endpoint }];
  });
  made?.set(pod, { zone, places });
  return places;
}

function endpointOf(
  service: Service,
  pod: Pod,
  { address, node }: { readonly address: string; readonly node: Node | undefined },
): Endpoint {
  const { name, namespace, uid } = pod.metadata ?? {};
  const { nodeName, hostname, subdomain } = pod.spec ?? {};
  const zone = zoneOf(node);
  const conditions = endpointReadiness(pod, service.spec?.publishNotReadyAddresses === true);
  const hints = hintsOf(service, conditions.ready, { nodeName, zone });
  const isNamed = hostname !== undefined && hostname !== '' && subdomain === service.metadata?.name;
  return {
    addresses: [address],
    conditions,
    ...(hints === undefined ? {} : { hints }),
    ...(isNamed ? { hostname } : {}),
    ...(nodeName === undefined ? {} : { nodeName }),
    targetRef: { kind: 'Pod', namespace, name, uid },
    ...(zone === undefined ? {} : { zone }),
  };
}

/**
 * For whom an endpoint is: its own zone (PreferClose is the old name of PreferSameZone), with PreferSameNode its own node before
 * that (KEP-4444, KEP-3015). Proxies use hints only if all ready endpoints have them; the others need none.
 */
function hintsOf(
  service: Service,
  isReady: boolean | undefined,
  { nodeName, zone }: { readonly nodeName: string | undefined; readonly zone: string | undefined },
): EndpointHints | undefined {
  const distribution = service.spec?.trafficDistribution;
  const isNear = distribution !== undefined && nearDistributions.includes(distribution);
  if (!isNear || isReady !== true || wantsZoneHints(service)) return undefined;
  const forZones = zone === undefined ? undefined : [{ name: zone }];
  const forNodes =
    nodeName === undefined || distribution !== 'PreferSameNode' ? undefined : [{ name: nodeName }];
  if (forZones === undefined && forNodes === undefined) return undefined;
  return {
    ...(forNodes === undefined ? {} : { forNodes }),
    ...(forZones === undefined ? {} : { forZones }),
  };
}

/** Sorted, so that equal sets are equal lists. A headless Service may have no ports. */
function portsOf(service: Service, pod: Pod): readonly DiscoveryV1EndpointPort[] {
  const ports = (service.spec?.ports ?? []).flatMap((port) => {
    const number = targetPortOf(port, pod);
    if (number === undefined) return [];
    const { name = '', protocol = 'TCP', appProtocol } = port;
    return [{ name, port: number, protocol, ...(appProtocol === undefined ? {} : { appProtocol }) }];
  });
  return ports.toSorted((a, b) => (a.name === b.name ? a.port - b.port : a.name < b.name ? -1 : 1));
}

/** A named target port is that of the container that has one of the name and protocol. */
function targetPortOf(
  { port, targetPort = port, protocol = 'TCP' }: NonNullable<NonNullable<Service['spec']>['ports']>[number],
  pod: Pod,
): number | undefined {
  if (typeof targetPort === 'number') return targetPort === 0 ? port : targetPort;
  if (targetPort === '') return port;
  const containers = [
    ...(pod.spec?.containers ?? []),
    ...(pod.spec?.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always'),
  ];
  return containers
    .flatMap(({ ports = [] }) => ports)
    .find((one) => one.name === targetPort && (one.protocol ?? 'TCP') === protocol)?.containerPort;
}

function addressTypesOf(service: Service): readonly AddressType[] {
  const families = service.spec?.ipFamilies ?? [];
  const known = families.filter((family): family is AddressType => family === 'IPv4' || family === 'IPv6');
  return known.length === 0 ? ['IPv4'] : known;
}

function addressOf(pod: Pod, addressType: AddressType): string | undefined {
  const { podIP, podIPs } = pod.status ?? {};
  const all = podIPs === undefined || podIPs.length === 0 ? [podIP] : podIPs.map(({ ip }) => ip);
  const family = addressType === 'IPv6' ? 6 : 4;
  // What the status of one pod claims must not make the API refuse the slice that all of them are in.
  return all.find((ip) => ip !== undefined && familyOfIp(ip) === family && classOfIp(ip) === 'ordinary');
}

function sliceOf(service: Service, group: SliceGroup, existing?: EndpointSlice): EndpointSlice {
  const { name = '', namespace } = service.metadata ?? {};
  const {
    [serviceNameLabel]: _name,
    [managedByLabel]: _by,
    [headlessLabel]: _headless,
    ...labels
  } = service.metadata?.labels ?? {};
  const metadata = {
    ...(existing?.metadata ?? { generateName: `${name}-`, namespace }),
    labels: {
      ...labels,
      [serviceNameLabel]: name,
      [managedByLabel]: managedByUs,
      ...(isHeadless(service) ? { [headlessLabel]: '' } : {}),
    },
    ownerReferences: [ownerReference(service, services)],
  };
  const { addressType, endpoints, ports } = group;
  return { ...existing, metadata, addressType, endpoints, ports };
}

function isHeadless(service: Service): boolean {
  return service.spec?.clusterIP === 'None';
}

/** The same backends as old clients read them: one object, addresses by readiness. */
export function computeEndpoints(
  { service, pods }: Omit<Backends, 'nodeOf'>,
  existing: Endpoints | undefined,
): Endpoints {
  const { name, namespace, labels = {} } = service.metadata ?? {};
  const { 'endpoints.kubernetes.io/over-capacity': _over, ...annotations } =
    existing?.metadata?.annotations ?? {};
  const backends = pods.filter(
    (pod) =>
      belongsInEndpoints(pod) &&
      (service.spec?.publishNotReadyAddresses === true || pod.metadata?.deletionTimestamp === undefined),
  );
  const { subsets, isTruncated } = truncateSubsets(subsetsOf(service, backends), endpointsPerObjectMax);
  const noted = isTruncated
    ? { ...annotations, 'endpoints.kubernetes.io/over-capacity': 'truncated' }
    : annotations;
  return {
    ...existing,
    metadata: {
      ...(existing?.metadata ?? { name, namespace }),
      labels: {
        ...labels,
        'endpoints.kubernetes.io/managed-by': 'endpoint-controller',
        ...(isHeadless(service) ? { [headlessLabel]: '' } : {}),
      },
      annotations: Object.keys(noted).length === 0 ? undefined : noted,
    },
    subsets: subsets.length === 0 ? undefined : subsets,
  };
}

function subsetsOf(service: Service, pods: readonly Pod[]): readonly EndpointSubset[] {
  type Lists = {
    readonly ports: readonly EndpointPort[];
    readonly ready: EndpointAddress[];
    readonly notReady: EndpointAddress[];
  };
  const byPorts = new Map<string, Lists>();
  const [addressType = 'IPv4'] = addressTypesOf(service);
  for (const pod of pods) {
    const ip = addressOf(pod, addressType);
    const ports = portsOf(service, pod).map(({ name, ...port }) => ({
      ...(name === '' ? {} : { name }),
      ...port,
      port: port.port ?? 0,
    }));
    if (ip === undefined || (ports.length === 0 && !isHeadless(service))) continue;
    const key = JSON.stringify(ports);
    const lists = byPorts.get(key) ?? { ports, ready: [], notReady: [] };
    byPorts.set(key, lists);
    const endpoint = endpointOf(service, pod, { address: ip, node: undefined });
    const { hostname, nodeName, targetRef } = endpoint;
    const isReady = endpoint.conditions?.ready === true;
    (isReady ? lists.ready : lists.notReady).push({
      ip,
      ...(hostname === undefined ? {} : { hostname }),
      ...(nodeName === undefined ? {} : { nodeName }),
      ...(targetRef === undefined ? {} : { targetRef }),
    });
  }
  const byIp = (a: EndpointAddress, b: EndpointAddress): number => (a.ip < b.ip ? -1 : a.ip > b.ip ? 1 : 0);
  return [...byPorts.values()].map(({ ports, ready, notReady }) => ({
    ...(ready.length === 0 ? {} : { addresses: ready.toSorted(byIp) }),
    ...(notReady.length === 0 ? {} : { notReadyAddresses: notReady.toSorted(byIp) }),
    ...(ports.length === 0 ? {} : { ports }),
  }));
}
