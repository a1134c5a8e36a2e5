import { meetsCondition } from '#api/device/device-expression.ts';
import { toleratesDevice } from '#api/device/device-taints.ts';
import type {
  CapacityRequirements,
  DeviceClass,
  DeviceRequest,
  DeviceSelector,
  DeviceToleration,
  ResourceV1ResourceClaim as ResourceClaim,
} from '#api/generated/objects.ts';
import { objectKey } from '#api/meta/object.ts';
import { shareOf } from './capacity.ts';
import type { NodePool, PoolDevice } from './pools.ts';
import type { TakenDevices } from './taken-devices.ts';

/** Devices of one claim (resource/v1 AllocationResultsMaxSize). */
export const resultCountMax = 32;

/** One way to satisfy a request of a claim. */
export interface Wanted {
  /** `request`, or `request/alternative`. */
  readonly name: string;
  readonly request: string;
  readonly deviceClass: DeviceClass;
  readonly isAdmin: boolean;
  readonly tolerations: readonly DeviceToleration[] | undefined;
  readonly capacity: CapacityRequirements | undefined;
  readonly count: number;
  /** Each of them is taken; undefined: any `count` of `candidates`. */
  readonly isAll: boolean;
  /** That meet all conditions of class and request; of those that are not all, the taints, too; of all, those that are large enough by what is left. */
  readonly candidates: readonly PoolDevice[];
  /** Of candidates that a condition fails for, why: whoever gets as far as one of them gets nothing anywhere. */
  readonly faults: ReadonlyMap<PoolDevice, string>;
}

/** `failed`: something is wrong with the claim or a class, and no other node is to hide that. In words of kube-scheduler's DynamicResources plugin. */
export interface NoDevices {
  readonly kind: 'refused' | 'failed';
  readonly reason: string;
}

/** A claim as the search has it: for each request the ways, of which the first that can be had is taken. */
export interface WantedClaim {
  readonly claim: ResourceClaim;
  readonly requests: readonly (readonly Wanted[])[];
  /** By request, how many devices those behind it need at least. */
  readonly countsBehind: readonly number[];
}

export interface WantedSources {
  readonly pools: readonly NodePool[];
  readonly deviceClass: (name: string) => DeviceClass | undefined;
  readonly taken: TakenDevices;
}

/** What a claim asks for on a node, or why that cannot be told there. Pure. */
export function wantedOf(claim: ResourceClaim, sources: WantedSources): WantedClaim | NoDevices {
  const key = objectKey(claim);
  const requests: (readonly Wanted[])[] = [];
  for (const request of claim.spec.devices?.requests ?? []) {
    const ways: Wanted[] = [];
    for (const ask of asksOf(request)) {
      const wanted = wayOf(ask, { request: request.name, claim: key }, sources);
      if (typeof wanted === 'string')
        return { kind: 'refused', reason: `claim ${key}, request ${ask.name}: ${wanted}` };
      const [fault] = wanted.isAll ? wanted.faults.values() : [];
      if (fault !== undefined) return { kind: 'failed', reason: fault };
      ways.push(wanted);
    }
    requests.push(ways);
  }
  let least = 0;
  const countsBehind: number[] = [];
  for (const ways of requests.toReversed()) {
    countsBehind.unshift(least);
    least += ways.length === 0 ? 0 : Math.min(...ways.map(({ count }) => count));
  }
  return least > resultCountMax
    ? {
        kind: 'refused',
        reason: `claim ${key}: number of requested devices ${least} exceeds the claim limit of ${resultCountMax}`,
      }
    : { claim, requests, countsBehind };
}

/** What alternatives and exact requests have in common. */
interface Ask {
  readonly name: string;
  readonly deviceClassName: string;
  readonly allocationMode?: string | undefined;
  readonly count?: number | undefined;
  readonly adminAccess?: boolean | undefined;
  readonly selectors?: readonly DeviceSelector[] | undefined;
  readonly tolerations?: readonly DeviceToleration[] | undefined;
  readonly capacity?: CapacityRequirements | undefined;
}

function asksOf({ name, exactly, firstAvailable = [] }: DeviceRequest): readonly Ask[] {
  if (exactly !== undefined) return [{ name, ...exactly }];
  return firstAvailable.map((way) => ({ ...way, name: `${name}/${way.name}` }));
}

/** Names of the classes that a claim asks for devices of, by request. */
export function classNamesOf(claim: ResourceClaim): readonly (readonly [request: string, name: string])[] {
  return (claim.spec.devices?.requests ?? []).flatMap((request) =>
    asksOf(request).map(({ name, deviceClassName }) => [name, deviceClassName] as const),
  );
}

function wayOf(
  ask: Ask,
  { request, claim }: { readonly request: string; readonly claim: string },
  { pools, deviceClass: find, taken }: WantedSources,
): Wanted | string {
  const { name, deviceClassName, allocationMode = 'ExactCount', tolerations, capacity } = ask;
  const deviceClass = find(deviceClassName);
  if (deviceClass === undefined) return `could not retrieve device class ${deviceClassName}: not found`;
  const selectors = [
    ...selectorsOf(`class ${deviceClassName}`, deviceClass.spec.selectors),
    ...selectorsOf(`claim ${claim}`, ask.selectors),
  ];
  const isAll = allocationMode === 'All';
  if (!isAll && allocationMode !== 'ExactCount') return `unsupported count mode ${allocationMode}`;
  const isLargeEnough = ({ id, device }: PoolDevice): boolean =>
    shareOf(device, capacity, (of) => taken.sharesOf(id)?.get(of) ?? 0n) !== undefined;
  const candidates: PoolDevice[] = [];
  const faults = new Map<PoolDevice, string>();
  for (const { pool, devices } of pools) {
    const poolName = `${pool.driver}/${pool.name}`;
    if (isAll && pool.isIncomplete)
      return `asks for all devices, but resource pool ${poolName} is currently being updated`;
    if (isAll && pool.problem !== undefined)
      return `asks for all devices, but resource pool ${poolName} is currently invalid`;
    if (pool.isIncomplete || pool.problem !== undefined) continue;
    for (const one of devices) {
      const verdict = meetsAll(selectors, one);
      if (typeof verdict === 'string') {
        faults.set(one, verdict);
        candidates.push(one);
      } else if (verdict && (isAll ? isLargeEnough(one) : toleratesDevice(tolerations, one.device.taints)))
        candidates.push(one);
    }
  }
  const count = isAll ? candidates.length : (ask.count ?? 1);
  const isAdmin = ask.adminAccess === true;
  return { name, request, deviceClass, isAdmin, tolerations, capacity, count, isAll, candidates, faults };
}

interface Selector {
  readonly cel?: DeviceSelector['cel'];
  /** Whose it is, and which of those. */
  readonly name: string;
}

function selectorsOf(of: string, selectors: readonly DeviceSelector[] = []): readonly Selector[] {
  return selectors.map(({ cel }, index) => ({ cel, name: `${of}: selector #${index}` }));
}

/** Or why that cannot be told. */
function meetsAll(selectors: readonly Selector[], { pool, device }: PoolDevice): boolean | string {
  for (const { name, cel } of selectors) {
    if (cel === undefined) return `${name}: CEL expression empty (unsupported selector type?)`;
    const verdict = meetsCondition(cel.expression, pool.driver, device);
    if (verdict === false) return false;
    if (verdict === true) continue;
    const { problem } = verdict;
    if (!problem.startsWith(runtimeError)) return `${name}: ${problem}`;
    const hint = problem.includes('no such key:') ? optionalHint : '';
    return `${name} on device ${pool.driver}/${pool.name}/${device.name}: ${problem}${hint}`;
  }
  return true;
}

const runtimeError = 'CEL runtime error: ';
const optionalHint =
  '. consider using CEL optional chaining (.? followed by orValue()) or guarding the check with has() for optional fields';
