// Made from deviceplugin/api.proto by generate.ts: messages as they are received. int64 is a number, exact up to 2^53.
import type { Method } from '#proto/contract.ts';

export interface DevicePluginOptions {
  readonly pre_start_required: boolean;
  readonly get_preferred_allocation_available: boolean;
}

export interface RegisterRequest {
  readonly version: string;
  readonly endpoint: string;
  readonly resource_name: string;
  readonly options: DevicePluginOptions | null;
}

export interface Empty {}

export interface ListAndWatchResponse {
  readonly devices: readonly Device[];
}

export interface TopologyInfo {
  readonly nodes: readonly NUMANode[];
}

export interface NUMANode {
  readonly ID: number;
}

export interface Device {
  readonly ID: string;
  readonly health: string;
  readonly topology: TopologyInfo | null;
}

export interface PreStartContainerRequest {
  readonly devices_ids: readonly string[];
}

export interface PreStartContainerResponse {}

export interface PreferredAllocationRequest {
  readonly container_requests: readonly ContainerPreferredAllocationRequest[];
}

export interface ContainerPreferredAllocationRequest {
  readonly available_deviceIDs: readonly string[];
  readonly must_include_deviceIDs: readonly string[];
  readonly allocation_size: number;
}

export interface PreferredAllocationResponse {
  readonly container_responses: readonly ContainerPreferredAllocationResponse[];
}

export interface ContainerPreferredAllocationResponse {
  readonly deviceIDs: readonly string[];
}

export interface AllocateRequest {
  readonly container_requests: readonly ContainerAllocateRequest[];
}

export interface ContainerAllocateRequest {
  readonly devices_ids: readonly string[];
}

export interface CDIDevice {
  readonly name: string;
}

export interface AllocateResponse {
  readonly container_responses: readonly ContainerAllocateResponse[];
}

export interface ContainerAllocateResponse {
  readonly envs: Readonly<Record<string, string>>;
  readonly mounts: readonly Mount[];
  readonly devices: readonly DeviceSpec[];
  readonly annotations: Readonly<Record<string, string>>;
  readonly cdi_devices: readonly CDIDevice[];
}

export interface Mount {
  readonly container_path: string;
  readonly host_path: string;
  readonly read_only: boolean;
}

export interface DeviceSpec {
  readonly container_path: string;
  readonly host_path: string;
  readonly permissions: string;
}

export interface Services {
  readonly 'v1beta1.Registration': {
    readonly Register: Method<RegisterRequest, Empty>;
  };
  readonly 'v1beta1.DevicePlugin': {
    readonly GetDevicePluginOptions: Method<Empty, DevicePluginOptions>;
    readonly ListAndWatch: Method<Empty, ListAndWatchResponse, 'response'>;
    readonly GetPreferredAllocation: Method<PreferredAllocationRequest, PreferredAllocationResponse>;
    readonly Allocate: Method<AllocateRequest, AllocateResponse>;
    readonly PreStartContainer: Method<PreStartContainerRequest, PreStartContainerResponse>;
  };
}
