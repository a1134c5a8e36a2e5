// Made from podresources/api.proto by generate.ts: messages as they are received. int64 is a number, exact up to 2^53.
import type { Method } from '#proto/contract.ts';

export interface AllocatableResourcesRequest {}

export interface AllocatableResourcesResponse {
  readonly devices: readonly ContainerDevices[];
  readonly cpu_ids: readonly number[];
  readonly memory: readonly ContainerMemory[];
}

export interface ListPodResourcesRequest {}

export interface ListPodResourcesResponse {
  readonly pod_resources: readonly PodResources[];
}

export interface PodResources {
  readonly name: string;
  readonly namespace: string;
  readonly containers: readonly ContainerResources[];
}

export interface ContainerResources {
  readonly name: string;
  readonly devices: readonly ContainerDevices[];
  readonly cpu_ids: readonly number[];
  readonly memory: readonly ContainerMemory[];
  readonly dynamic_resources: readonly DynamicResource[];
}

export interface ContainerMemory {
  readonly memory_type: string;
  readonly size: number;
  readonly topology: TopologyInfo | null;
}

export interface ContainerDevices {
  readonly resource_name: string;
  readonly device_ids: readonly string[];
  readonly topology: TopologyInfo | null;
}

export interface TopologyInfo {
  readonly nodes: readonly NUMANode[];
}

export interface NUMANode {
  readonly ID: number;
}

export interface DynamicResource {
  readonly claim_name: string;
  readonly claim_namespace: string;
  readonly claim_resources: readonly ClaimResource[];
}

export interface ClaimResource {
  readonly cdi_devices: readonly CDIDevice[];
  readonly driver_name: string;
  readonly pool_name: string;
  readonly device_name: string;
  readonly share_id: string;
}

export interface CDIDevice {
  readonly name: string;
}

export interface GetPodResourcesRequest {
  readonly pod_name: string;
  readonly pod_namespace: string;
}

export interface GetPodResourcesResponse {
  readonly pod_resources: PodResources | null;
}

export interface Services {
  readonly 'v1.PodResourcesLister': {
    readonly List: Method<ListPodResourcesRequest, ListPodResourcesResponse>;
    readonly GetAllocatableResources: Method<AllocatableResourcesRequest, AllocatableResourcesResponse>;
    readonly Get: Method<GetPodResourcesRequest, GetPodResourcesResponse>;
  };
}
