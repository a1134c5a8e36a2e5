// Made from dra/api.proto by generate.ts: messages as they are received. int64 is a number, exact up to 2^53.
import type { Method } from '#proto/contract.ts';

export interface NodePrepareResourcesRequest {
  readonly claims: readonly Claim[];
}

export interface NodePrepareResourcesResponse {
  readonly claims: Readonly<Record<string, NodePrepareResourceResponse>>;
}

export interface NodePrepareResourceResponse {
  readonly devices: readonly Device[];
  readonly error: string;
}

export interface Device {
  readonly request_names: readonly string[];
  readonly pool_name: string;
  readonly device_name: string;
  readonly cdi_device_ids: readonly string[];
  readonly share_id: string;
}

export interface NodeUnprepareResourcesRequest {
  readonly claims: readonly Claim[];
}

export interface NodeUnprepareResourcesResponse {
  readonly claims: Readonly<Record<string, NodeUnprepareResourceResponse>>;
}

export interface NodeUnprepareResourceResponse {
  readonly error: string;
}

export interface Claim {
  readonly namespace: string;
  readonly uid: string;
  readonly name: string;
}

export interface Services {
  readonly 'k8s.io.kubelet.pkg.apis.dra.v1.DRAPlugin': {
    readonly NodePrepareResources: Method<NodePrepareResourcesRequest, NodePrepareResourcesResponse>;
    readonly NodeUnprepareResources: Method<NodeUnprepareResourcesRequest, NodeUnprepareResourcesResponse>;
  };
}
