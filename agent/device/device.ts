/** Devices that plugins have for containers, by the names of their resources: `vendor.example/gpu`. */

export interface Device {
  readonly id: string;
  readonly isHealthy: boolean;
  /** Those that it is near to, ascending; none: no matter. */
  readonly numaNodes: readonly number[];
}

/** What plugins say of a resource. */
export interface DeviceResource {
  readonly devices: ReadonlyMap<string, Device>;
  /** Monotonic ms when its plugin went; undefined: it serves. */
  readonly goneSinceMs: number | undefined;
}

export type DeviceResources = ReadonlyMap<string, DeviceResource>;

/** What a plugin said that a container with its devices gets, as far as it said something. */
export interface DeviceAnswer {
  readonly env: readonly { readonly name: string; readonly value: string }[];
  readonly mounts: readonly {
    readonly containerPath: string;
    readonly hostPath: string;
    readonly isReadOnly: boolean;
  }[];
  readonly nodes: readonly {
    readonly containerPath: string;
    readonly hostPath: string;
    /** Some of `rwm`. */
    readonly permissions: string;
  }[];
  readonly annotations: Readonly<Record<string, string>>;
  /** Names of devices of CDI: `vendor.example/gpu=0`. */
  readonly cdiDevices: readonly string[];
}

/** A container's devices of one resource. */
export interface DeviceAllocation {
  readonly podUid: string;
  readonly container: string;
  readonly resource: string;
  readonly ids: readonly string[];
  readonly answer: DeviceAnswer;
}

/** How long a plugin may be gone before its resource is no longer there, ms (kubelet's endpointStopGracePeriod). */
export const goneGraceMs: number = 5 * 60_000;

export interface DeviceAmount {
  /** All that there are; 0 after the grace. */
  readonly capacity: number;
  /** Those that may be given to containers. */
  readonly allocatable: number;
}

/** Of a resource whose plugin went nothing is given any more, and after the grace it is no longer there. Pure. */
export function amountsOf(resources: DeviceResources, nowMs: number): ReadonlyMap<string, DeviceAmount> {
  return new Map(
    [...resources].map(([name, { devices, goneSinceMs }]) => {
      if (goneSinceMs === undefined) {
        const healthy = [...devices.values()].filter(({ isHealthy }) => isHealthy);
        return [name, { capacity: devices.size, allocatable: healthy.length }];
      }
      const isOver = nowMs - goneSinceMs >= goneGraceMs;
      return [name, { capacity: isOver ? 0 : devices.size, allocatable: 0 }];
    }),
  );
}

/** As a pod's status has it (KEP-4680). */
export type DeviceHealth = 'Healthy' | 'Unhealthy' | 'Unknown';

/** Unknown where nobody says. */
export function healthOf(resource: DeviceResource | undefined, id: string): DeviceHealth {
  const device = resource?.devices.get(id);
  if (resource === undefined || device === undefined || resource.goneSinceMs !== undefined) return 'Unknown';
  return device.isHealthy ? 'Healthy' : 'Unhealthy';
}
