import type {
  Device,
  DeviceClass,
  DeviceClaim,
  DeviceRequest,
  ExactDeviceRequest,
  ResourceSlice,
  ResourceSliceSpec,
  ResourceV1ResourceClaim as ResourceClaim,
} from '#api/generated/objects.ts';

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
