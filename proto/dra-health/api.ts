// Made from dra-health/api.proto by generate.ts: messages as they are received. int64 is a number, exact up to 2^53.
import type { Method } from '#proto/contract.ts';

export interface NodeWatchResourcesRequest {}

export type HealthStatus = 'UNKNOWN' | 'HEALTHY' | 'UNHEALTHY';

export interface DeviceIdentifier {
  readonly pool_name: string;
  readonly device_name: string;
}

export interface DeviceHealth {
  readonly device: DeviceIdentifier | null;
  readonly health: HealthStatus;
  readonly last_updated_time: number;
  readonly health_check_timeout_seconds: number;
  readonly message: string;
}

export interface NodeWatchResourcesResponse {
  readonly devices: readonly DeviceHealth[];
}

export interface Services {
  readonly 'v1alpha1.DRAResourceHealth': {
    readonly NodeWatchResources: Method<NodeWatchResourcesRequest, NodeWatchResourcesResponse, 'response'>;
  };
}
