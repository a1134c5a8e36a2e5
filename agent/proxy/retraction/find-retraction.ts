import { isOwnNode } from '#api/release.ts';
import { familyOfIp } from '#base/ip.ts';
import { isPodReady } from '#api/pod/state.ts';
import { labelSelectorFromMap, matchesLabels } from '#api/meta/selector.ts';
import type { Endpoint, EndpointSlice, Node, Pod, Service } from '#api/generated/objects.ts';
import { versionOf } from '#client/resource-version.ts';

/** What EndpointSlices say of a pod that ends. */
export type Retraction =
  /** Nobody is sent to it by a Service. */
  | { readonly kind: 'none' }
  /** A Service still sends to it, or its slices have not said anything yet. */
  | { readonly kind: 'pending' }
  /** From this revision on nobody is sent to it who need not be. */
  | { readonly kind: 'told'; readonly revision: number };

const managedByLabel = 'endpointslice.kubernetes.io/managed-by';
const serviceNameLabel = 'kubernetes.io/service-name';
/** The controller that takes pods out of slices when they end; what others write is theirs to change. */
const sliceController = 'endpointslice-controller.k8s.io';

/**
 * Whether what the API has of a pod's endpoints is retracted. Pure. A ready pod that a Service selects is in one of its slices, if not
 * yet, then soon: the slice may be on its way while the deletion is known already.
 *
 * @param slices those that name the pod
 * @param services of its namespace
 */
export function findRetraction(
  pod: Pod,
  { slices, services }: { readonly slices: readonly EndpointSlice[]; readonly services: readonly Service[] },
): Retraction {
  const uid = pod.metadata?.uid ?? '';
  const named = slices.filter(({ metadata }) => metadata?.labels?.[managedByLabel] === sliceController);
  const known = new Set(named.map(({ metadata }) => metadata?.labels?.[serviceNameLabel]));
  const expected = isPodReady(pod) ? services.filter((service) => selects(service, pod)) : [];
  if (expected.some(({ metadata }) => !known.has(metadata?.name))) return { kind: 'pending' };
  if (named.length === 0) return { kind: 'none' };
  const own = named.flatMap(({ endpoints = [] }) => endpoints.filter((one) => one.targetRef?.uid === uid));
  if (!own.every(isRetracted)) return { kind: 'pending' };
  return { kind: 'told', revision: Math.max(...named.map(versionOf)) };
}

/** One that is published whether ready or not stays ready; that it terminates is all that will be said of it. */
function isRetracted({ conditions }: Endpoint): boolean {
  return conditions?.ready === false || conditions?.terminating === true;
}

function selects({ metadata, spec }: Service, pod: Pod): boolean {
  const selector = spec?.selector ?? {};
  if (metadata?.namespace !== pod.metadata?.namespace || metadata?.deletionTimestamp !== undefined)
    return false;
  if (spec?.type === 'ExternalName' || Object.keys(selector).length === 0) return false;
  const families = spec?.ipFamilies ?? ['IPv4'];
  const hasAddress = (pod.status?.podIPs ?? []).some(({ ip }) =>
    families.includes(familyOfIp(ip) === 6 ? 'IPv6' : 'IPv4'),
  );
  return hasAddress && matchesLabels(labelSelectorFromMap(selector), pod.metadata?.labels);
}

/** Another node of ours, which says how far its rules are. */
export interface Peer {
  readonly name: string;
  readonly host: string;
  readonly port: number;
}

export interface Peers {
  readonly asked: readonly Peer[];
  /** Nodes that cannot be asked, though they send to Services: of another kubelet and proxy, or beyond `peersMax`. */
  readonly unasked: readonly string[];
}

/** Nodes that are asked for each pod that ends. */
export const peersMax = 256;

/** Who else sends to Services. A node that is not Ready is dead, or cut off: it is not waited for. Pure. */
export function findPeers(nodes: readonly Node[], ownName: string): Peers {
  const others = nodes.filter((node) => node.metadata?.name !== ownName && isReady(node));
  const reachable = others.flatMap((node) => peerOf(node) ?? []).slice(0, peersMax);
  const asked = new Set(reachable.map(({ name }) => name));
  const names = others.map(({ metadata }) => metadata?.name ?? '');
  return { asked: reachable, unasked: names.filter((name) => !asked.has(name)) };
}

function isReady({ status }: Node): boolean {
  return status?.conditions?.some((one) => one.type === 'Ready' && one.status === 'True') === true;
}

function peerOf(node: Node): Peer | undefined {
  const { metadata, status } = node;
  const host = status?.addresses?.find(({ type }) => type === 'InternalIP')?.address;
  const port = status?.daemonEndpoints?.kubeletEndpoint?.Port;
  if (!isOwnNode(node) || host === undefined || port === undefined) return undefined;
  return { name: metadata?.name ?? '', host, port };
}
