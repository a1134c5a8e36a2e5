import {
  addQuantity,
  compareQuantity,
  parseQuantity,
  subtractQuantity,
  tryParseQuantity,
  zeroQuantity,
  type Quantity,
} from '#api/meta/quantity.ts';
import { classPrefix, mayBeOfClass } from '#api/device/extended-resources.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { at, numberOf, objectsOf, stringOf } from '#api/wire/json.ts';

const one: Quantity = parseQuantity('1');
const billion = 1_000_000_000n;
const ofStorageClass = '.storageclass.storage.k8s.io/';
const ofRequests = 'requests.';
const ofDeviceClass = '.deviceclass.resource.k8s.io/devices';
/** Devices of one request that takes all there are, at most (resource/v1 AllocationResultsMaxSize). */
const devicesMax = 32;

/** Whether claims of volumes use what a quota limits by this name. */
export function isClaimResource(name: string): boolean {
  return /^(.+\.storageclass\.storage\.k8s\.io\/)?(persistentvolumeclaims|requests\.storage)$/.test(name);
}

/** How much a claim of a volume takes: its number and its storage, in all and of its class. */
export function claimUsage(claim: JsonObject): ReadonlyMap<string, Quantity> {
  const usage = new Map<string, Quantity>([['persistentvolumeclaims', one]]);
  const storage = storageOf(claim);
  if (storage !== undefined) usage.set('requests.storage', storage);
  const annotated = at(claim, ['metadata', 'annotations', 'volume.beta.kubernetes.io/storage-class']);
  const className = stringOf(annotated ?? at(claim, 'spec.storageClassName'));
  if (className !== '')
    for (const [name, amount] of [...usage]) usage.set(`${className}${ofStorageClass}${name}`, amount);
  return usage;
}

/** Whole bytes of what is asked for, or of what is being given where that is more (a growth that was taken back). */
function storageOf(claim: JsonObject): Quantity | undefined {
  const asked = tryParseQuantity(at(claim, 'spec.resources.requests.storage'));
  const given = tryParseQuantity(at(claim, 'status.allocatedResources.storage'));
  if (asked === undefined) return undefined;
  const most = given !== undefined && compareQuantity(given, asked) > 0 ? given : asked;
  const rest = most.nanos % billion;
  return rest === 0n ? most : { ...most, nanos: most.nanos - rest + billion };
}

/** Whether claims of devices use what a quota limits by this name. */
export function isDeviceResource(name: string): boolean {
  return name.endsWith(ofDeviceClass) || isExtendedRequest(name);
}

/** Whether it is a name of what pods ask for that a class of devices may stand for. */
function isExtendedRequest(name: string): boolean {
  return name.startsWith(ofRequests) && mayBeOfClass(name.slice(ofRequests.length));
}

/** What of extended resources a claim takes goes by, beside the claim. */
export interface ClaimSurroundings {
  /** The extended resource that a class says it stands for. */
  readonly extendedNameOf: (className: string) => string | undefined;
  /** How much the pod is counted for whose extended resources the claim stands for; undefined: it stands for none. */
  readonly podUsageOf: (claim: JsonObject) => ReadonlyMap<string, Quantity> | undefined;
}

/**
 * How much of extended resources a claim of these devices takes beyond what its pod is counted for, by the name that each class has
 * without saying so and by the one that it says (KEP-5004; addExtendedResourceQuota of upstream's resource_claims.go).
 */
export function extendedUsage(
  claim: JsonObject,
  devices: ReadonlyMap<string, Quantity>,
  around: ClaimSurroundings,
): ReadonlyMap<string, Quantity> {
  const usage = new Map<string, Quantity>();
  for (const [name, amount] of devices) {
    if (!name.endsWith(ofDeviceClass)) continue;
    const className = name.slice(0, -ofDeviceClass.length);
    for (const resource of [`${classPrefix}${className}`, around.extendedNameOf(className)]) {
      if (resource === undefined) continue;
      const called = `${ofRequests}${resource}`;
      usage.set(called, addQuantity(usage.get(called) ?? zeroQuantity, amount));
    }
  }
  const counted = around.podUsageOf(claim);
  const rest = [...usage].map(
    ([name, amount]) => [name, subtractQuantity(amount, counted?.get(name) ?? zeroQuantity)] as const,
  );
  return new Map(rest.filter(([, { nanos }]) => nanos > 0n));
}

/** How many devices of each class a claim takes at most: of alternatives the one that takes most. */
export function deviceUsage(claim: JsonObject): ReadonlyMap<string, Quantity> {
  const usage = new Map<string, Quantity>();
  for (const request of objectsOf(at(claim, 'spec.devices.requests'))) {
    const alternatives = objectsOf(request['firstAvailable']);
    const exact = at(request, 'exactly') ?? request;
    const most = new Map<string, number>();
    for (const asked of alternatives.length > 0 ? alternatives : [exact]) {
      const name = stringOf(at(asked, 'deviceClassName'));
      most.set(name, Math.max(most.get(name) ?? 0, countOf(asked)));
    }
    for (const [name, count] of most) {
      if (name === '') continue;
      const amount = parseQuantity(String(count));
      const known = usage.get(`${name}${ofDeviceClass}`);
      usage.set(`${name}${ofDeviceClass}`, known === undefined ? amount : addQuantity(known, amount));
    }
  }
  return usage;
}

function countOf(asked: unknown): number {
  const mode = stringOf(at(asked, 'allocationMode'));
  if (mode !== '' && mode !== 'ExactCount') return devicesMax;
  return numberOf(at(asked, 'count')) || 1;
}

/** The classes of attributes that a claim has, is to have and is being given (KEP-3751). */
export function attributesClassesOf(claim: JsonObject): readonly string[] {
  const named = [
    'spec.volumeAttributesClassName',
    'status.currentVolumeAttributesClassName',
    'status.modifyVolumeStatus.targetVolumeAttributesClassName',
  ].map((path) => stringOf(at(claim, path)));
  return [...new Set(named)].filter((name) => name !== '').toSorted();
}
