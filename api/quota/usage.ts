import { at, equalJson, objectsOf } from '#api/wire/json.ts';
import type { Kind } from '#api/schema/kinds.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { compareQuantity, parseQuantity, zeroQuantity, type Quantity } from '#api/meta/quantity.ts';
import {
  attributesClassesOf,
  claimUsage,
  deviceUsage,
  extendedUsage,
  isClaimResource,
  isDeviceResource,
  type ClaimSurroundings,
} from './claim-usage.ts';
import { endsByItself, isPodResource, podUsage, takesUntilMs } from './pod-usage.ts';

/** By the names that quotas limit it by, how much an object takes; of what is not here it takes nothing. */
export type Usage = ReadonlyMap<string, Quantity>;

/** A kind by group and plural, as the names of what a quota limits have it. */
export type KindName = Pick<Kind, 'group' | 'resource'>;

/** What quotas count of a kind beside the number of its objects by `count/`. */
interface Counting {
  readonly isCounted: (name: string) => boolean;
  readonly usage: (object: JsonObject) => Usage;
  /** Until when an object takes more than one of its number (unix ms); undefined: as long as it is there. */
  readonly untilMs?: (object: JsonObject) => number;
  /** Whether more than the metadata of its objects is needed. */
  readonly needsWhole: boolean;
}

/** Kinds whose number a quota limits by their bare name, and nothing else. */
const bare = ['replicationcontrollers', 'resourcequotas', 'secrets', 'configmaps'];
const one: Quantity = parseQuantity('1');

function counted(name: string): Counting {
  const usage = new Map([[name, one]]);
  return { isCounted: (other) => other === name, usage: () => usage, needsWhole: false };
}

const countings: ReadonlyMap<string, Counting> = new Map<string, Counting>([
  ...bare.map((name) => [`/${name}`, counted(name)] as const),
  [
    '/pods',
    {
      isCounted: (name) => name === 'pods' || isPodResource(name),
      usage: podUsage,
      untilMs: takesUntilMs,
      needsWhole: true,
    },
  ],
  [
    '/services',
    {
      isCounted: (name) => ['services', 'services.nodeports', 'services.loadbalancers'].includes(name),
      usage: serviceUsage,
      needsWhole: true,
    },
  ],
  ['/persistentvolumeclaims', { isCounted: isClaimResource, usage: claimUsage, needsWhole: true }],
  ['resource.k8s.io/resourceclaims', { isCounted: isDeviceResource, usage: deviceUsage, needsWhole: true }],
]);

function countingOf({ group, resource }: KindName): Counting | undefined {
  return countings.get(`${group}/${resource}`);
}

function countName({ group, resource }: KindName): string {
  return group === '' ? `count/${resource}` : `count/${resource}.${group}`;
}

/** The kinds that a resource of a quota's `hard` is about, as group and plural: extended resources are those of pods and of claims. */
export function kindsOfQuotaResource(name: string): readonly KindName[] {
  if (name.startsWith('count/')) {
    const [resource = '', ...group] = name.slice('count/'.length).split('.');
    return [{ group: group.join('.'), resource }];
  }
  return [...countings].flatMap(([id, { isCounted }]) => {
    const [group = '', resource = ''] = id.split('/');
    return isCounted(name) ? [{ group, resource }] : [];
  });
}

/** Whether objects of the kind may take of what a quota limits by this name. */
export function isCountedBy(kind: KindName, name: string): boolean {
  return name === countName(kind) || countingOf(kind)?.isCounted(name) === true;
}

/** Whether no more than the metadata of the kind's objects is needed to count them. */
export function isCountedOnly(kind: KindName): boolean {
  return countingOf(kind)?.needsWhole !== true;
}

/** Computed from the objects, which do not change: quotas of many names ask for the same. */
const known = new WeakMap<JsonObject, Usage>();

/** Until when the object takes as much as it does (unix ms). */
export function untilMsOf(kind: KindName, object: JsonObject): number {
  return countingOf(kind)?.untilMs?.(object) ?? Infinity;
}

/** All that an object takes then; claims of devices take extended resources where it is said what is around them. */
export function usageOf(
  kind: KindName,
  object: JsonObject,
  nowMs: number,
  around?: ClaimSurroundings,
): Usage {
  if (untilMsOf(kind, object) < nowMs) return new Map([[countName(kind), one]]);
  const usage = wholeUsageOf(kind, object);
  if (around === undefined || !isClaimOfDevices(kind)) return usage;
  return new Map([...usage, ...extendedUsage(object, usage, around)]);
}

/** Whether what objects of the kind take goes by what is around them. */
export function isClaimOfDevices({ group, resource }: KindName): boolean {
  return group === 'resource.k8s.io' && resource === 'resourceclaims';
}

function wholeUsageOf(kind: KindName, object: JsonObject): Usage {
  const found = known.get(object);
  if (found !== undefined) return found;
  const usage = new Map([[countName(kind), one], ...(countingOf(kind)?.usage(object) ?? [])]);
  known.set(object, usage);
  return usage;
}

/** How much an object takes of one resource. */
export function usageIn(usage: Usage, name: string): Quantity {
  return usage.get(name) ?? zeroQuantity;
}

/** Kinds that an update can make take more, and what of their objects says which quotas count them. */
const growing: Readonly<Record<string, (object: JsonObject) => unknown>> = {
  '/services': () => undefined,
  '/persistentvolumeclaims': attributesClassesOf,
  '/pods': endsByItself,
};

/** Whether the object may take more of something, or of other quotas, than before it was changed. */
export function mayTakeMore(kind: KindName, before: JsonObject, after: JsonObject): boolean {
  const scopesOf = growing[`${kind.group}/${kind.resource}`];
  if (scopesOf === undefined || !equalJson(scopesOf(before), scopesOf(after))) return true;
  const was = wholeUsageOf(kind, before);
  return [...wholeUsageOf(kind, after)].some(
    ([name, amount]) => compareQuantity(amount, usageIn(was, name)) > 0,
  );
}

function serviceUsage(service: JsonObject): Usage {
  const usage = new Map([['services', one]]);
  if (at(service, 'spec.type') === 'LoadBalancer') usage.set('services.loadbalancers', one);
  const nodePorts = nodePortCount(service);
  if (nodePorts > 0) usage.set('services.nodeports', parseQuantity(String(nodePorts)));
  return usage;
}

function nodePortCount(service: JsonObject): number {
  const ports = objectsOf(at(service, 'spec.ports'));
  const type = at(service, 'spec.type');
  if (type === 'NodePort') return ports.length;
  if (type !== 'LoadBalancer') return 0;
  const isAllocated = at(service, 'spec.allocateLoadBalancerNodePorts') !== false;
  return isAllocated ? ports.length : ports.filter(({ nodePort }) => Number(nodePort ?? 0) !== 0).length;
}
