import { triggerTimeAnnotation } from '#api/meta/trigger-time.ts';
import { endpoints as endpointsKind } from '#api/schema/kind-ref.ts';
import type {
  DiscoveryV1EndpointPort,
  Endpoint,
  EndpointAddress,
  Endpoints,
  EndpointSlice,
  EndpointSubset,
  Service,
} from '#api/generated/objects.ts';
import { ownerReference } from '#api/meta/owner.ts';
import { familyOfIp } from '#base/ip.ts';
import {
  hasSelector,
  managedByLabel,
  planGroups,
  serviceNameLabel,
  type AddressType,
  type SliceGroup,
  type SlicePlan,
} from '#control-plane/controllers/endpointslice/slices.ts';
import { repackSubsets } from './repack.ts';

export const managedByMirroring = 'endpointslicemirroring-controller.k8s.io';
const skipMirrorLabel = 'endpointslice.kubernetes.io/skip-mirror';
/** An Endpoints object with it is the lock of a leader election, and names nobody's backends. */
const leaderAnnotation = 'control-plane.alpha.kubernetes.io/leader';
/** They tell of a write of the Endpoints object, not of its backends. */
const annotationsLeftOut: ReadonlySet<string> = new Set([
  'kubectl.kubernetes.io/last-applied-configuration',
  triggerTimeAnnotation,
]);
/** As kube-controller-manager's --mirroring-max-endpoints-per-subset; a slice may hold as many. */
export const endpointsPerSubsetMax = 1000;

export interface Mirrored {
  readonly endpoints: Endpoints | undefined;
  /** Of the same name. */
  readonly service: Service | undefined;
}

export interface MirrorPlan {
  readonly slices: SlicePlan;
  /** Addresses that are in no slice because their subset has too many. */
  readonly skippedCount: number;
}

/** What to write so that the slices say what the Endpoints object says (KEP-752); none are left where it is not to be mirrored. */
export function planMirror({ endpoints, service }: Mirrored, existing: readonly EndpointSlice[]): MirrorPlan {
  if (endpoints === undefined || service === undefined || !isMirrored(endpoints, service)) {
    return { slices: { create: [], update: [], delete: existing }, skippedCount: 0 };
  }
  const subsets = repackSubsets(endpoints.subsets ?? []);
  const slices = planGroups(groupsOf(subsets), existing, {
    endpointsPerSliceMax: endpointsPerSubsetMax,
    sliceOf: sliceOf.bind(undefined, endpoints),
  });
  const skipped = subsets.map((subset) => Math.max(0, endpointsOf(subset).length - endpointsPerSubsetMax));
  return { slices, skippedCount: skipped.reduce((sum, count) => sum + count, 0) };
}

function isMirrored({ metadata }: Endpoints, service: Service): boolean {
  // What waits for its dependents to be deleted must not get new ones.
  if (metadata?.deletionTimestamp !== undefined || hasSelector(service)) return false;
  return (
    metadata?.labels?.[skipMirrorLabel] !== 'true' && metadata?.annotations?.[leaderAnnotation] === undefined
  );
}

/** Addresses of two families never share a slice. */
function groupsOf(subsets: readonly EndpointSubset[]): readonly SliceGroup[] {
  const groups = new Map<
    string,
    { readonly group: Omit<SliceGroup, 'endpoints'>; readonly endpoints: Endpoint[] }
  >();
  for (const subset of subsets) {
    const ports = portsOf(subset);
    for (const endpoint of endpointsOf(subset).slice(0, endpointsPerSubsetMax)) {
      const addressType = addressTypeOf(endpoint);
      const key = JSON.stringify([addressType, ports]);
      const found = groups.get(key) ?? { group: { addressType, ports }, endpoints: [] };
      groups.set(key, found);
      found.endpoints.push(endpoint);
    }
  }
  return [...groups.values()].map(({ group, endpoints }) => ({ ...group, endpoints }));
}

/** Those that are ready first: they are kept when there are too many. */
function endpointsOf({ addresses = [], notReadyAddresses = [] }: EndpointSubset): readonly Endpoint[] {
  return [
    ...addresses.map((address) => endpointOf(address, true)),
    ...notReadyAddresses.map((address) => endpointOf(address, false)),
  ];
}

function endpointOf({ ip, hostname, nodeName, targetRef }: EndpointAddress, isReady: boolean): Endpoint {
  return {
    addresses: [ip],
    conditions: { ready: isReady },
    ...(hostname === undefined || hostname === '' ? {} : { hostname }),
    ...(nodeName === undefined ? {} : { nodeName }),
    ...(targetRef === undefined ? {} : { targetRef }),
  };
}

function addressTypeOf({ addresses: [address = ''] }: Endpoint): AddressType {
  return familyOfIp(address) === 6 ? 'IPv6' : 'IPv4';
}

function portsOf({ ports = [] }: EndpointSubset): readonly DiscoveryV1EndpointPort[] {
  return ports.map(({ name = '', port, protocol = 'TCP', appProtocol }) => ({
    name,
    port,
    protocol,
    ...(appProtocol === undefined ? {} : { appProtocol }),
  }));
}

function sliceOf(endpoints: Endpoints, group: SliceGroup, existing?: EndpointSlice): EndpointSlice {
  const { name = '', namespace, labels, annotations = {} } = endpoints.metadata ?? {};
  const copied = Object.entries(annotations).filter(([key]) => !annotationsLeftOut.has(key));
  const metadata = {
    ...(existing?.metadata ?? { generateName: `${name}-`, namespace }),
    labels: { ...labels, [serviceNameLabel]: name, [managedByLabel]: managedByMirroring },
    annotations: Object.fromEntries(copied),
    ownerReferences: [ownerReference(endpoints, endpointsKind)],
  };
  const { addressType, ports } = group;
  return { ...existing, metadata, addressType, ports, endpoints: group.endpoints };
}
