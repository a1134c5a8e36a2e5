import { at, objectsOf, stringOf } from '#api/wire/json.ts';
import type { Kind } from '#api/schema/kinds.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { compareQuantity, parseQuantity, zeroQuantity, type Quantity } from '#api/meta/quantity.ts';
import { isRunningOrWill, podUsage, type Usage } from './pod-usage.ts';

/** How much an object takes of what a quota limits. */
export type ReadUsage = (object: JsonObject) => Usage;

/** A kind by group and plural, as the names of what a quota limits have it. */
export type KindName = Pick<Kind, 'group' | 'resource'>;

/** Kinds whose number a quota limits by their bare name. */
const countedKinds = [
  'pods',
  'services',
  'replicationcontrollers',
  'resourcequotas',
  'secrets',
  'configmaps',
  'persistentvolumeclaims',
] as const;

/** The kinds that a resource of a quota's `hard` is about, as group and plural. */
export function kindOfQuotaResource(name: string): KindName | undefined {
  if (name.startsWith('count/')) {
    const [resource = '', ...group] = name.slice('count/'.length).split('.');
    return { group: group.join('.'), resource };
  }
  const core = [...countedKinds].find((resource) => usageReader({ group: '', resource }, name) !== undefined);
  return core === undefined ? undefined : { group: '', resource: core };
}

/** Whether an update of the object itself, not of a part of it, can make it take more. */
function isCountedAsUpdated({ group, resource }: KindName): boolean {
  return group === '' && Object.hasOwn(growing, resource);
}

/** Whether the object may take more of something than before it was changed. */
export function mayTakeMore(kind: KindName, before: JsonObject, after: JsonObject): boolean {
  if (!isCountedAsUpdated(kind)) return true;
  const { resource } = kind;
  return (growing[resource]?.(after) ?? []).some((name) => {
    const read = usageReader(kind, name);
    return read !== undefined && compareQuantity(read(after).total, read(before).total) > 0;
  });
}

/** What an object of these kinds can come to take more of, as it is after. */
const growing: Readonly<Record<string, (after: JsonObject) => readonly string[]>> = {
  services: () => ['services.loadbalancers', 'services.nodeports'],
  persistentvolumeclaims: (claim) => {
    const className = stringOf(at(claim, 'spec.storageClassName'));
    const ofClass = ['persistentvolumeclaims', 'requests.storage'].map(
      (what) => `${className}.storageclass.storage.k8s.io/${what}`,
    );
    return ['requests.storage', ...(className === '' ? [] : ofClass)];
  },
};

/** How much of the named resource an object takes; undefined when objects of the kind take none. */
export function usageReader({ group, resource }: KindName, name: string): ReadUsage | undefined {
  if (name === (group === '' ? `count/${resource}` : `count/${resource}.${group}`)) return () => amount(1);
  if (group !== '') return undefined;
  const read = name === resource ? () => amount(1) : particular[resource]?.(name);
  // A pod that is over has given back what it took.
  if (read === undefined || resource !== 'pods') return read;
  return (pod) => (isRunningOrWill(pod) ? read(pod) : amount(0));
}

const particular: Readonly<Record<string, (name: string) => ReadUsage | undefined>> = {
  pods: podReader,
  services: (name) => {
    if (name === 'services.loadbalancers') return (service) => amount(isLoadBalancer(service) ? 1 : 0);
    return name === 'services.nodeports' ? (service) => amount(nodePortCount(service)) : undefined;
  },
  persistentvolumeclaims: (name) => {
    const [, className, what = ''] = /^(?:(.+)\.storageclass\.storage\.k8s\.io\/)?([^/]+)$/.exec(name) ?? [];
    const read = claimReaders[what];
    if (read === undefined || className === undefined) return read;
    return (claim) => (at(claim, 'spec.storageClassName') === className ? read(claim) : amount(0));
  },
};

const claimReaders: Readonly<Record<string, ReadUsage>> = {
  persistentvolumeclaims: () => amount(1),
  'requests.storage': (claim) => {
    const storage = stringOf(at(claim, 'spec.resources.requests.storage'));
    return { total: storage === '' ? zeroQuantity : parseQuantity(storage), missing: [] };
  },
};

/** `cpu` and `requests.cpu` are the same; what has a domain (`requests.example.com/dongle`) need not be asked for. */
function podReader(name: string): ReadUsage | undefined {
  const [, field = 'requests', compute = ''] =
    /^(?:(requests|limits)\.)?(cpu|memory|ephemeral-storage)$/.exec(name) ?? [];
  if (compute !== '') return (pod) => podUsage(pod, field === 'limits' ? 'limits' : 'requests', compute);
  const [, extended] = /^requests\.(.+\/.+|hugepages-.+)$/.exec(name) ?? [];
  if (extended === undefined || extended.includes('.storageclass.')) return undefined;
  return (pod) => ({ ...podUsage(pod, 'requests', extended), missing: [] });
}

function isLoadBalancer(service: JsonObject): boolean {
  return at(service, 'spec.type') === 'LoadBalancer';
}

function nodePortCount(service: JsonObject): number {
  const ports = objectsOf(at(service, 'spec.ports'));
  if (at(service, 'spec.type') === 'NodePort') return ports.length;
  if (!isLoadBalancer(service)) return 0;
  const isAllocated = at(service, 'spec.allocateLoadBalancerNodePorts') !== false;
  return isAllocated ? ports.length : ports.filter(({ nodePort }) => Number(nodePort ?? 0) !== 0).length;
}

function amount(count: number): Usage {
  return {
    total: count === 0 ? zeroQuantity : count === 1 ? one : parseQuantity(String(count)),
    missing: [],
  };
}

const one: Quantity = parseQuantity('1');
