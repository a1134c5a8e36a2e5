import { isOwnNode } from '#api/release.ts';
import { resolvConfOf } from '#agent/kubelet/render/host-files.ts';
import { computeProxyPorts } from '#agent/proxy/service-map.ts';
import type { Pod, Service } from '#api/generated/objects.ts';
import { canonicalIpText, familyOfIp } from '#base/ip.ts';
import { findForbidding } from './find-policy.ts';
import { hop, nameOf, stop, warn, type Finding, type Hop, type Observed, type Question } from './observed.ts';
import { addressesOf, senderAddresses, senderNode } from './party.ts';

/** What resolvers of the cluster are asked by, as far as is known. */
export interface NameSettings {
  readonly clusterDomain: string;
  readonly clusterDns: readonly string[];
}

export interface FoundName {
  readonly hops: readonly Hop[];
  /** Undefined: no Service has the name. */
  readonly service: Service | undefined;
  /** The name of one pod of a headless Service. */
  readonly hostname?: string;
}

/** How the sender comes from a name to a Service. Pure. */
export function findName(question: Question, settings: NameSettings, seen: Observed): FoundName {
  const { from, to } = question;
  if (from.kind !== 'pod') return findOutsideName(question, settings, seen);
  const { pod } = from;
  const conf = resolvConfOf(pod, { ...settings, hostResolvConf: '' });
  const at = `names, as pod ${nameOf(pod)} asks for them`;
  const names = to.endsWith('.') ? [to.slice(0, -1)] : [...conf.searches.map((end) => `${to}.${end}`), to];
  const found = names.map((name) => serviceOfName(name, settings, seen)).find((one) => one !== undefined);
  const meant = found ?? guessMeant(question, settings, seen);
  const isOfCluster = conf.nameservers.some((server) => settings.clusterDns.includes(server));
  if (!isOfCluster && settings.clusterDns.length > 0 && meant !== undefined)
    return { hops: [hop(at, to, notOfCluster(pod, conf.nameservers))], service: undefined };
  if (found === undefined)
    return { hops: [hop(at, to, unknownName(question, meant?.service, conf.searches))], service: undefined };
  const dns = dnsFault(pod, settings, seen);
  return { hops: [hop(at, `${to} is Service ${nameOf(found.service)}`, dns)], ...found };
}

/** Resolvers of hosts know no names of the cluster: what is traced is the Service's address. */
function findOutsideName({ to, namespace }: Question, settings: NameSettings, seen: Observed): FoundName {
  const names = [
    to,
    `${to}.${namespace}.svc.${settings.clusterDomain}`,
    `${to}.svc.${settings.clusterDomain}`,
  ];
  const found = names.map((name) => serviceOfName(name, settings, seen)).find((one) => one !== undefined);
  if (found === undefined) {
    const says = `no Service is called ${to}`;
    const missing = stop(
      'name-unknown',
      says,
      'kubectl get services -A; write NAME.NAMESPACE for one of another namespace',
    );
    return { hops: [hop('names', to, missing)], service: undefined };
  }
  return {
    hops: [hop('names', `${to} is Service ${nameOf(found.service)}; hosts reach it by its address`)],
    ...found,
  };
}

/** `NAME.NAMESPACE.svc.DOMAIN`, or with the hostname of a pod before it. */
function serviceOfName(
  name: string,
  { clusterDomain }: NameSettings,
  { services }: Observed,
): { readonly service: Service; readonly hostname?: string } | undefined {
  const end = `.svc.${clusterDomain}`;
  if (!name.endsWith(end)) return undefined;
  const labels = name.slice(0, -end.length).split('.');
  const [namespace, own, hostname, ...rest] = labels.toReversed();
  if (rest.length > 0 || own === undefined) return undefined;
  const service = services.find(({ metadata }) => metadata?.name === own && metadata.namespace === namespace);
  if (service === undefined) return undefined;
  if (hostname === undefined) return { service };
  return service.spec?.clusterIP === 'None' ? { service, hostname } : undefined;
}

/** The Service that somebody has in mind who writes such a name. */
function guessMeant(
  { to, from, namespace }: Question,
  { clusterDomain }: NameSettings,
  { services }: Observed,
): { readonly service: Service } | undefined {
  const [name, of] = to
    .replace(/\.$/, '')
    .replace(new RegExp(`\\.svc(\\.${clusterDomain.replaceAll('.', '\\.')})?$`), '')
    .split('.');
  const own = from.kind === 'pod' ? from.pod.metadata?.namespace : namespace;
  const named = services.filter(({ metadata }) => metadata?.name === name);
  const service = named.find(({ metadata }) => metadata?.namespace === (of ?? own)) ?? named[0];
  return service === undefined ? undefined : { service };
}

function notOfCluster(pod: Pod, nameservers: readonly string[]): Finding {
  const { dnsPolicy = 'ClusterFirst', hostNetwork } = pod.spec ?? {};
  const asks = nameservers.length === 0 ? "the node's resolvers" : nameservers.join(', ');
  const isHost = dnsPolicy === 'ClusterFirst' && hostNetwork === true;
  const says = `pod ${nameOf(pod)} asks ${asks}, which know no names of the cluster (dnsPolicy ${dnsPolicy}${isHost ? ' with hostNetwork' : ''})`;
  const remedy = isHost
    ? 'dnsPolicy: ClusterFirstWithHostNet'
    : dnsPolicy === 'None'
      ? 'the address of Service kube-system/kube-dns in dnsConfig.nameservers, or dnsPolicy: ClusterFirst'
      : 'dnsPolicy: ClusterFirst';
  return stop('dns-not-of-cluster', says, remedy);
}

function unknownName(
  { to, from }: Question,
  meant: Service | undefined,
  searches: readonly string[],
): Finding {
  const own = from.kind === 'pod' ? from.pod.metadata?.namespace : undefined;
  if (meant === undefined) {
    return stop('name-unknown', `no Service is called ${to}`, 'kubectl get services -A');
  }
  if (meant.metadata?.namespace !== own && !to.includes('.')) {
    const says = `${to} is looked up in namespace ${own ?? ''}; Service ${nameOf(meant)} is in another`;
    return stop(
      'name-in-other-namespace',
      says,
      `ask for ${meant.metadata?.name ?? ''}.${meant.metadata?.namespace ?? ''}`,
    );
  }
  const list = searches.length === 0 ? 'is empty' : `is ${searches.join(' ')}`;
  const says = `the search list of the pod ${list}, so that ${to} is not found to be Service ${nameOf(meant)}`;
  return stop(
    'search-list-lacks',
    says,
    `ask for ${meant.metadata?.name ?? ''}.${meant.metadata?.namespace ?? ''}.svc.cluster.local., or add to dnsConfig.searches`,
  );
}

/** Whether policies let the pod ask: a node of ours answers itself, which no policy is about; others have pods that do. */
function dnsFault(pod: Pod, { clusterDns }: NameSettings, seen: Observed): Finding | undefined {
  const node = seen.nodes.find(({ metadata }) => metadata?.name === pod.spec?.nodeName);
  if (node === undefined || isOwnNode(node)) return undefined;
  const service = seen.services.find(({ spec }) => clusterDns.includes(spec?.clusterIP ?? ''));
  if (service === undefined) return undefined;
  const slices = seen.endpointSlices.filter((slice) => isSliceOf(slice, service));
  const place = { name: senderNode({ kind: 'pod', pod }) ?? '', zone: undefined, ips: [] };
  const servers = (['ip', 'ip6'] as const)
    .flatMap((family) => computeProxyPorts(service, slices, place, family))
    .filter(({ protocol }) => protocol === 17)
    .flatMap(({ backends }) => backends);
  const [source] = senderAddresses({ kind: 'pod', pod });
  const faults = servers.map(({ ip, port }) =>
    findForbidding(pod, { direction: 'out', talk: { source, target: ip, port, protocol: 'UDP' } }, seen),
  );
  const first = faults[0];
  if (first === undefined || faults.includes(undefined)) return undefined;
  return stop('dns-forbidden', `names cannot be asked for: ${first.says}`, first.remedy);
}

export function isSliceOf(
  slice: Observed['endpointSlices'][number],
  { metadata }: Pick<Service, 'metadata'>,
): boolean {
  return (
    slice.metadata?.namespace === metadata?.namespace &&
    slice.metadata?.labels?.['kubernetes.io/service-name'] === metadata?.name
  );
}

/** Which Service has the address, and as what. */
export function serviceOfAddress(
  address: string,
  { services }: Observed,
): { readonly service: Service; readonly as: 'clusterIP' | 'external' } | undefined {
  const isIt = (text: string): boolean => canonicalIpText(text) === canonicalIpText(address);
  for (const service of services) {
    const { clusterIP = '', clusterIPs = [clusterIP], externalIPs = [] } = service.spec ?? {};
    if (clusterIPs.some(isIt)) return { service, as: 'clusterIP' };
    const ingress = (service.status?.loadBalancer?.ingress ?? []).flatMap(({ ip }) => ip ?? []);
    if ([...externalIPs, ...ingress].some(isIt)) return { service, as: 'external' };
  }
  return undefined;
}

/** Addresses that a headless Service's name stands for, or one pod's in it. */
export function headlessAddresses(
  service: Service,
  hostname: string | undefined,
  seen: Observed,
): readonly { readonly ip: string; readonly nodeName: string | undefined; readonly isReady: boolean }[] {
  return seen.endpointSlices
    .filter((slice) => isSliceOf(slice, service))
    .flatMap(({ endpoints = [] }) => endpoints)
    .filter((one) => one.conditions?.ready !== false && (hostname === undefined || one.hostname === hostname))
    .flatMap(({ addresses, nodeName }) => addresses.map((ip) => ({ ip, nodeName, isReady: true })))
    .filter(({ ip }) => familyOfIp(ip) !== undefined);
}

/** A Service that is a name for something else. */
export function externalNameHop(service: Service): Hop {
  const { externalName = '' } = service.spec ?? {};
  const says = `Service ${nameOf(service)} is another name for ${externalName}: the packet goes wherever that is, to the port that was asked for`;
  return hop(
    `Service ${nameOf(service)}`,
    externalName,
    warn('external-name', says, 'trace its address; ports and selectors of such a Service count for nothing'),
  );
}

export function hasFamily(pod: Pod, family: 4 | 6): boolean {
  return addressesOf(pod).some((ip) => familyOfIp(ip) === family);
}
