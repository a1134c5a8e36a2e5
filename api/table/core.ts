import type {
  ConfigMap,
  Endpoints,
  EndpointSlice,
  Event,
  LoadBalancerIngress,
  Namespace,
  Node,
  NodeSystemInfo,
  PersistentVolume,
  PersistentVolumeClaim,
  ResourceQuota,
  Secret,
  Service,
} from '#api/generated/objects.ts';
import { age, firstThree, joined, labelText, none, unknown, unset } from './text.ts';

/** Cells of a config map. */
export function configMapCells({ metadata, data, binaryData }: ConfigMap, now: number): readonly unknown[] {
  const count = Object.keys(data ?? {}).length + Object.keys(binaryData ?? {}).length;
  return [metadata?.name, count, age(metadata?.creationTimestamp, now)];
}

/** Cells of a secret. */
export function secretCells({ metadata, type, data }: Secret, now: number): readonly unknown[] {
  return [metadata?.name, type ?? '', Object.keys(data ?? {}).length, age(metadata?.creationTimestamp, now)];
}

/** Cells of a namespace. */
export function namespaceCells({ metadata, status }: Namespace, now: number): readonly unknown[] {
  return [metadata?.name, status?.phase ?? '', age(metadata?.creationTimestamp, now)];
}

/** Cells of a service. */
export function serviceCells(service: Service, now: number): readonly unknown[] {
  const { metadata, spec } = service;
  return [
    metadata?.name,
    spec?.type ?? '',
    spec?.clusterIPs?.[0] ?? none,
    externalIp(service),
    servicePorts(service),
    age(metadata?.creationTimestamp, now),
    labelText(spec?.selector),
  ];
}

/** Addresses of a load balancer, Ingress or Service. */
export function loadBalancerText(
  ingress: readonly Pick<LoadBalancerIngress, 'ip' | 'hostname'>[] | undefined,
): string {
  const addresses = (ingress ?? [])
    .map(({ ip, hostname }) => ip ?? hostname ?? '')
    .filter((text) => text !== '');
  return [...new Set(addresses)].toSorted().join(',');
}

function externalIp({ spec, status }: Service): string {
  const externalIps = spec?.externalIPs ?? [];
  switch (spec?.type) {
    case 'ClusterIP':
    case 'NodePort':
      return joined(externalIps);
    case 'LoadBalancer': {
      const addresses = [loadBalancerText(status?.loadBalancer?.ingress), ...externalIps].filter(
        (ip) => ip !== '',
      );
      return addresses.length === 0 ? '<pending>' : addresses.join(',');
    }
    case 'ExternalName':
      return spec.externalName ?? '';
    default:
      return unknown;
  }
}

function servicePorts({ spec }: Service): string {
  return joined(
    (spec?.ports ?? []).map(({ port, nodePort = 0, protocol }) =>
      nodePort > 0 ? `${port}:${nodePort}/${protocol}` : `${port}/${protocol}`,
    ),
  );
}

/** Cells of a node. */
export function nodeCells({ metadata, spec, status }: Node, now: number): readonly unknown[] {
  const ready = status?.conditions?.find(({ type }) => type === 'Ready');
  const state = ready === undefined ? 'Unknown' : ready.status === 'True' ? 'Ready' : 'NotReady';
  const address = (wanted: string): string =>
    status?.addresses?.find(({ type }) => type === wanted)?.address ?? none;
  const info = status?.nodeInfo;
  return [
    metadata?.name,
    spec?.unschedulable === true ? `${state},SchedulingDisabled` : state,
    nodeRoles(metadata?.labels ?? {}),
    age(metadata?.creationTimestamp, now),
    info?.kubeletVersion ?? '',
    address('InternalIP'),
    address('ExternalIP'),
    info?.osImage || unknown,
    kernelOf(info),
    info?.containerRuntimeVersion || unknown,
  ];
}

/** With its architecture, since 1.35. */
function kernelOf(info: NodeSystemInfo | undefined): string {
  const version = info?.kernelVersion || unknown;
  const architecture = info?.architecture ?? '';
  return architecture === '' ? version : `${version} (${architecture})`;
}

const rolePrefix = 'node-role.kubernetes.io/';

function nodeRoles(labels: Readonly<Record<string, string>>): string {
  const roles = Object.entries(labels).flatMap(([key, value]) => {
    if (key.startsWith(rolePrefix) && key !== rolePrefix) return [key.slice(rolePrefix.length)];
    return key === 'kubernetes.io/role' && value !== '' ? [value] : [];
  });
  return joined([...new Set(roles)].toSorted());
}

/** Cells of an event. */
export function eventCells(event: Event, now: number): readonly unknown[] {
  const { involvedObject: target, series, source } = event;
  const first = event.firstTimestamp ?? event.eventTime;
  const last = series?.lastObservedTime ?? event.lastTimestamp ?? first;
  const kind = (target.kind ?? '').toLowerCase();
  const component = source?.component || (event.reportingComponent ?? '');
  const instance = source?.host || event.reportingInstance;
  return [
    age(last, now),
    event.type ?? '',
    event.reason ?? '',
    (target.name ?? '') === '' ? kind : `${kind}/${target.name}`,
    target.fieldPath ?? '',
    instance ? `${component}, ${instance}` : component,
    (event.message ?? '').trim(),
    age(first, now),
    series?.count ?? (event.count || 1),
    event.metadata.name,
  ];
}

/** Cells of an Endpoints object. */
export function endpointsCells({ metadata, subsets }: Endpoints, now: number): readonly unknown[] {
  const addresses = (subsets ?? []).flatMap((subset) => {
    const ports = subset.ports ?? [];
    const ips = (subset.addresses ?? []).map(({ ip }) => ip);
    return ports.length === 0 ? ips : ports.flatMap(({ port }) => ips.map((ip) => hostPort(ip, port)));
  });
  const text = addresses.length === 0 ? none : firstThree(addresses);
  return [metadata?.name, text, age(metadata?.creationTimestamp, now)];
}

/** Cells of an endpoint slice. */
export function endpointSliceCells(
  { metadata, addressType, ports, endpoints }: EndpointSlice,
  now: number,
): readonly unknown[] {
  const portTexts = (ports ?? []).map(({ port, name }) => String(port ?? (name || '*')));
  const addresses = (endpoints ?? []).flatMap((endpoint) => endpoint.addresses);
  return [
    metadata?.name,
    addressType,
    portTexts.length === 0 ? unset : firstThree(portTexts),
    addresses.length === 0 ? unset : firstThree(addresses),
    age(metadata?.creationTimestamp, now),
  ];
}

function hostPort(ip: string, port: number): string {
  return ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`;
}

/** Cells of a persistent volume. */
export function persistentVolumeCells(
  { metadata, spec, status }: PersistentVolume,
  now: number,
): readonly unknown[] {
  const claim = spec?.claimRef;
  return [
    metadata?.name,
    spec?.capacity?.['storage'] ?? '',
    accessModes(spec?.accessModes),
    spec?.persistentVolumeReclaimPolicy ?? '',
    metadata?.deletionTimestamp === undefined ? (status?.phase ?? '') : 'Terminating',
    claim === undefined ? '' : `${claim.namespace}/${claim.name}`,
    storageClass(metadata, spec?.storageClassName),
    spec?.volumeAttributesClassName ?? unset,
    status?.reason ?? '',
    age(metadata?.creationTimestamp, now),
    spec?.volumeMode ?? unset,
  ];
}

/** Cells of a persistent volume claim. */
export function persistentVolumeClaimCells(
  { metadata, spec, status }: PersistentVolumeClaim,
  now: number,
): readonly unknown[] {
  const isBound = (spec?.volumeName ?? '') !== '';
  return [
    metadata?.name,
    metadata?.deletionTimestamp === undefined ? (status?.phase ?? '') : 'Terminating',
    spec?.volumeName ?? '',
    isBound ? (status?.capacity?.['storage'] ?? '0') : '',
    isBound ? accessModes(status?.accessModes) : '',
    storageClass(metadata, spec?.storageClassName),
    spec?.volumeAttributesClassName ?? unset,
    age(metadata?.creationTimestamp, now),
    spec?.volumeMode ?? unset,
  ];
}

const modeNames: readonly (readonly [string, string])[] = [
  ['ReadWriteOnce', 'RWO'],
  ['ReadOnlyMany', 'ROX'],
  ['ReadWriteMany', 'RWX'],
  ['ReadWriteOncePod', 'RWOP'],
];

function accessModes(modes: readonly string[] | undefined): string {
  return modeNames
    .filter(([mode]) => modes?.includes(mode) === true)
    .map(([, short]) => short)
    .join(',');
}

function storageClass(metadata: Service['metadata'], name: string | undefined): string {
  return metadata?.annotations?.['volume.beta.kubernetes.io/storage-class'] ?? name ?? '';
}

/** Cells of a resource quota. */
export function resourceQuotaCells({ metadata, status }: ResourceQuota, now: number): readonly unknown[] {
  const entries = Object.entries(status?.hard ?? {}).toSorted(([a], [b]) => (a < b ? -1 : 1));
  const text = (isLimit: boolean): string =>
    entries
      .filter(([name]) => name.startsWith('limits.') === isLimit)
      .map(([name, hard]) => `${name}: ${status?.used?.[name] ?? '0'}/${hard}`)
      .join(', ');
  return [metadata?.name, text(false), text(true), age(metadata?.creationTimestamp, now)];
}
