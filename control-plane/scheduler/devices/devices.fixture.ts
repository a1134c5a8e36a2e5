import type {
  Device,
  DeviceClass,
  DeviceClaim,
  DeviceRequest,
  ExactDeviceRequest,
  Node,
  NodeSelector,
  ResourceSlice,
  ResourceSliceSpec,
  ResourceV1ResourceClaim as ResourceClaim,
} from '#api/generated/objects.ts';
import { allocate, type Allocated } from './allocate.ts';
import { indexPools } from './pools.ts';
import { DeviceLedger } from './taken-devices.ts';

export const driver = 'gpu.example';

/** A complete pool of one slice, of node n1. */
export function slice(devices: readonly Device[], change: Partial<ResourceSliceSpec> = {}): ResourceSlice {
  const { nodeName = 'n1', pool, ...rest } = change;
  const isElsewhere = ['nodeSelector', 'allNodes', 'perDeviceNodeSelection'].some((name) => name in change);
  return {
    metadata: { name: `${pool?.name ?? nodeName}-${devices[0]?.name ?? 'counters'}` },
    spec: {
      driver,
      ...(isElsewhere ? {} : { nodeName }),
      pool: { name: nodeName, generation: 1, resourceSliceCount: 1, ...pool },
      devices,
      ...rest,
    },
  };
}

export function device(name: string, change: Partial<Device> = {}): Device {
  return { name, ...change };
}

export function deviceClass(name: string, spec: DeviceClass['spec'] = {}): DeviceClass {
  return { metadata: { name }, spec };
}

export function request(name: string, change: Partial<ExactDeviceRequest> = {}): DeviceRequest {
  return {
    name,
    exactly: { deviceClassName: 'gpu', allocationMode: 'ExactCount', count: 1, ...change },
  };
}

export function claim(
  name: string,
  requests: readonly DeviceRequest[],
  more: Partial<DeviceClaim> = {},
): ResourceClaim {
  return {
    metadata: { name, namespace: 'default', uid: `uid-${name}` },
    spec: { devices: { requests, ...more } },
  };
}

export function withSelector(expression: string): Partial<ExactDeviceRequest> {
  return { selectors: [{ cel: { expression } }] };
}

/** A device that several may use. */
export function multi(name: string, more: Partial<Device> = {}): Device {
  return device(name, { allowMultipleAllocations: true, ...more });
}

export const shared: Device = multi('nic', {
  capacity: {
    bandwidth: {
      value: '10',
      requestPolicy: { default: '1', validRange: { min: '1', step: '2', max: '9' } },
    },
  },
});

export function named(pool: string, generation = 1, resourceSliceCount = 1): Pick<ResourceSliceSpec, 'pool'> {
  return { pool: { name: pool, generation, resourceSliceCount } };
}

/** Alternatives that differ in nothing but how many they are. */
export function counts(name: string, ...all: readonly number[]): DeviceRequest {
  return {
    name,
    firstAvailable: all.map((count) => ({ name: `${count}`, deviceClassName: 'gpu', count })),
  };
}

export function zone(value: string): NodeSelector {
  return {
    nodeSelectorTerms: [{ matchExpressions: [{ key: 'zone', operator: 'In', values: [value] }] }],
  };
}

const node: Node = { metadata: { name: 'n1', labels: { zone: 'a' } } };

export interface Given {
  readonly slices?: readonly ResourceSlice[];
  readonly claims: readonly ResourceClaim[];
  readonly classes?: readonly DeviceClass[];
  /** Claims that have devices already. */
  readonly before?: readonly ResourceClaim[];
}

/** On n1, of zone a; by default with three devices, and the class gpu. */
export function allocateOn({
  slices = [slice(['a', 'b', 'c'].map((name) => device(name)))],
  claims,
  classes = [deviceClass('gpu')],
  before = [],
}: Given): Allocated {
  const taken = new DeviceLedger();
  for (const [index, each] of before.entries()) taken.set(`default/${index}`, each);
  return allocate({
    claims,
    taken,
    pools: indexPools(slices).for(node),
    deviceClass: (name) => classes.find(({ metadata }) => metadata?.name === name),
  });
}
