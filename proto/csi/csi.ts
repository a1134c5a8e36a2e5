// Made from csi/csi.proto by generate.ts: messages as they are received. int64 is a number, exact up to 2^53.
import type { Method } from '#proto/contract.ts';

export interface GetPluginInfoRequest {}

export interface GetPluginInfoResponse {
  readonly name: string;
  readonly vendor_version: string;
  readonly manifest: Readonly<Record<string, string>>;
}

export interface GetPluginCapabilitiesRequest {}

export interface GetPluginCapabilitiesResponse {
  readonly capabilities: readonly PluginCapability[];
}

export interface PluginCapabilityService {
  readonly type: 'UNKNOWN' | 'CONTROLLER_SERVICE' | 'VOLUME_ACCESSIBILITY_CONSTRAINTS' | 'GROUP_CONTROLLER_SERVICE' | 'SNAPSHOT_METADATA_SERVICE';
}

export interface PluginCapabilityVolumeExpansion {
  readonly type: 'UNKNOWN' | 'ONLINE' | 'OFFLINE';
}

export interface PluginCapability {
  readonly service?: PluginCapabilityService;
  readonly volume_expansion?: PluginCapabilityVolumeExpansion;
}

export interface ProbeRequest {}

export interface ProbeResponse {
  readonly ready: BoolValue | null;
}

export interface CreateVolumeRequest {
  readonly name: string;
  readonly capacity_range: CapacityRange | null;
  readonly volume_capabilities: readonly VolumeCapability[];
  readonly parameters: Readonly<Record<string, string>>;
  readonly secrets: Readonly<Record<string, string>>;
  readonly volume_content_source: VolumeContentSource | null;
  readonly accessibility_requirements: TopologyRequirement | null;
  readonly mutable_parameters: Readonly<Record<string, string>>;
}

export interface VolumeContentSourceSnapshotSource {
  readonly snapshot_id: string;
}

export interface VolumeContentSourceVolumeSource {
  readonly volume_id: string;
}

export interface VolumeContentSource {
  readonly snapshot?: VolumeContentSourceSnapshotSource;
  readonly volume?: VolumeContentSourceVolumeSource;
}

export interface CreateVolumeResponse {
  readonly volume: Volume | null;
}

export interface VolumeCapabilityBlockVolume {}

export interface VolumeCapabilityMountVolume {
  readonly fs_type: string;
  readonly mount_flags: readonly string[];
  readonly volume_mount_group: string;
}

export interface VolumeCapabilityAccessMode {
  readonly mode: 'UNKNOWN' | 'SINGLE_NODE_WRITER' | 'SINGLE_NODE_READER_ONLY' | 'MULTI_NODE_READER_ONLY' | 'MULTI_NODE_SINGLE_WRITER' | 'MULTI_NODE_MULTI_WRITER' | 'SINGLE_NODE_SINGLE_WRITER' | 'SINGLE_NODE_MULTI_WRITER';
}

export interface VolumeCapability {
  readonly block?: VolumeCapabilityBlockVolume;
  readonly mount?: VolumeCapabilityMountVolume;
  readonly access_mode: VolumeCapabilityAccessMode | null;
}

export interface CapacityRange {
  readonly required_bytes: number;
  readonly limit_bytes: number;
}

export interface Volume {
  readonly capacity_bytes: number;
  readonly volume_id: string;
  readonly volume_context: Readonly<Record<string, string>>;
  readonly content_source: VolumeContentSource | null;
  readonly accessible_topology: readonly Topology[];
}

export interface TopologyRequirement {
  readonly requisite: readonly Topology[];
  readonly preferred: readonly Topology[];
}

export interface Topology {
  readonly segments: Readonly<Record<string, string>>;
}

export interface DeleteVolumeRequest {
  readonly volume_id: string;
  readonly secrets: Readonly<Record<string, string>>;
}

export interface DeleteVolumeResponse {}

export interface ControllerPublishVolumeRequest {
  readonly volume_id: string;
  readonly node_id: string;
  readonly volume_capability: VolumeCapability | null;
  readonly readonly: boolean;
  readonly secrets: Readonly<Record<string, string>>;
  readonly volume_context: Readonly<Record<string, string>>;
}

export interface ControllerPublishVolumeResponse {
  readonly publish_context: Readonly<Record<string, string>>;
}

export interface ControllerUnpublishVolumeRequest {
  readonly volume_id: string;
  readonly node_id: string;
  readonly secrets: Readonly<Record<string, string>>;
}

export interface ControllerUnpublishVolumeResponse {}

export interface ValidateVolumeCapabilitiesRequest {
  readonly volume_id: string;
  readonly volume_context: Readonly<Record<string, string>>;
  readonly volume_capabilities: readonly VolumeCapability[];
  readonly parameters: Readonly<Record<string, string>>;
  readonly secrets: Readonly<Record<string, string>>;
  readonly mutable_parameters: Readonly<Record<string, string>>;
}

export interface ValidateVolumeCapabilitiesResponseConfirmed {
  readonly volume_context: Readonly<Record<string, string>>;
  readonly volume_capabilities: readonly VolumeCapability[];
  readonly parameters: Readonly<Record<string, string>>;
  readonly mutable_parameters: Readonly<Record<string, string>>;
}

export interface ValidateVolumeCapabilitiesResponse {
  readonly confirmed: ValidateVolumeCapabilitiesResponseConfirmed | null;
  readonly message: string;
}

export interface ListVolumesRequest {
  readonly max_entries: number;
  readonly starting_token: string;
}

export interface ListVolumesResponseVolumeStatus {
  readonly published_node_ids: readonly string[];
  readonly volume_condition: VolumeCondition | null;
}

export interface ListVolumesResponseEntry {
  readonly volume: Volume | null;
  readonly status: ListVolumesResponseVolumeStatus | null;
}

export interface ListVolumesResponse {
  readonly entries: readonly ListVolumesResponseEntry[];
  readonly next_token: string;
}

export interface ControllerGetVolumeRequest {
  readonly volume_id: string;
}

export interface ControllerGetVolumeResponseVolumeStatus {
  readonly published_node_ids: readonly string[];
  readonly volume_condition: VolumeCondition | null;
}

export interface ControllerGetVolumeResponse {
  readonly volume: Volume | null;
  readonly status: ControllerGetVolumeResponseVolumeStatus | null;
}

export interface ControllerModifyVolumeRequest {
  readonly volume_id: string;
  readonly secrets: Readonly<Record<string, string>>;
  readonly mutable_parameters: Readonly<Record<string, string>>;
}

export interface ControllerModifyVolumeResponse {}

export interface GetCapacityRequest {
  readonly volume_capabilities: readonly VolumeCapability[];
  readonly parameters: Readonly<Record<string, string>>;
  readonly accessible_topology: Topology | null;
}

export interface GetCapacityResponse {
  readonly available_capacity: number;
  readonly maximum_volume_size: Int64Value | null;
  readonly minimum_volume_size: Int64Value | null;
}

export interface ControllerGetCapabilitiesRequest {}

export interface ControllerGetCapabilitiesResponse {
  readonly capabilities: readonly ControllerServiceCapability[];
}

export interface ControllerServiceCapabilityRPC {
  readonly type: 'UNKNOWN' | 'CREATE_DELETE_VOLUME' | 'PUBLISH_UNPUBLISH_VOLUME' | 'LIST_VOLUMES' | 'GET_CAPACITY' | 'CREATE_DELETE_SNAPSHOT' | 'LIST_SNAPSHOTS' | 'CLONE_VOLUME' | 'PUBLISH_READONLY' | 'EXPAND_VOLUME' | 'LIST_VOLUMES_PUBLISHED_NODES' | 'VOLUME_CONDITION' | 'GET_VOLUME' | 'SINGLE_NODE_MULTI_WRITER' | 'MODIFY_VOLUME' | 'GET_SNAPSHOT';
}

export interface ControllerServiceCapability {
  readonly rpc?: ControllerServiceCapabilityRPC;
}

export interface CreateSnapshotRequest {
  readonly source_volume_id: string;
  readonly name: string;
  readonly secrets: Readonly<Record<string, string>>;
  readonly parameters: Readonly<Record<string, string>>;
}

export interface CreateSnapshotResponse {
  readonly snapshot: Snapshot | null;
}

export interface Snapshot {
  readonly size_bytes: number;
  readonly snapshot_id: string;
  readonly source_volume_id: string;
  readonly creation_time: Timestamp | null;
  readonly ready_to_use: boolean;
  readonly group_snapshot_id: string;
}

export interface DeleteSnapshotRequest {
  readonly snapshot_id: string;
  readonly secrets: Readonly<Record<string, string>>;
}

export interface DeleteSnapshotResponse {}

export interface ListSnapshotsRequest {
  readonly max_entries: number;
  readonly starting_token: string;
  readonly source_volume_id: string;
  readonly snapshot_id: string;
  readonly secrets: Readonly<Record<string, string>>;
}

export interface ListSnapshotsResponseEntry {
  readonly snapshot: Snapshot | null;
}

export interface ListSnapshotsResponse {
  readonly entries: readonly ListSnapshotsResponseEntry[];
  readonly next_token: string;
}

export interface GetSnapshotRequest {
  readonly snapshot_id: string;
  readonly secrets: Readonly<Record<string, string>>;
}

export interface GetSnapshotResponse {
  readonly snapshot: Snapshot | null;
}

export interface ControllerExpandVolumeRequest {
  readonly volume_id: string;
  readonly capacity_range: CapacityRange | null;
  readonly secrets: Readonly<Record<string, string>>;
  readonly volume_capability: VolumeCapability | null;
}

export interface ControllerExpandVolumeResponse {
  readonly capacity_bytes: number;
  readonly node_expansion_required: boolean;
}

export interface NodeStageVolumeRequest {
  readonly volume_id: string;
  readonly publish_context: Readonly<Record<string, string>>;
  readonly staging_target_path: string;
  readonly volume_capability: VolumeCapability | null;
  readonly secrets: Readonly<Record<string, string>>;
  readonly volume_context: Readonly<Record<string, string>>;
}

export interface NodeStageVolumeResponse {}

export interface NodeUnstageVolumeRequest {
  readonly volume_id: string;
  readonly staging_target_path: string;
}

export interface NodeUnstageVolumeResponse {}

export interface NodePublishVolumeRequest {
  readonly volume_id: string;
  readonly publish_context: Readonly<Record<string, string>>;
  readonly staging_target_path: string;
  readonly target_path: string;
  readonly volume_capability: VolumeCapability | null;
  readonly readonly: boolean;
  readonly secrets: Readonly<Record<string, string>>;
  readonly volume_context: Readonly<Record<string, string>>;
}

export interface NodePublishVolumeResponse {}

export interface NodeUnpublishVolumeRequest {
  readonly volume_id: string;
  readonly target_path: string;
}

export interface NodeUnpublishVolumeResponse {}

export interface NodeGetVolumeStatsRequest {
  readonly volume_id: string;
  readonly volume_path: string;
  readonly staging_target_path: string;
}

export interface NodeGetVolumeStatsResponse {
  readonly usage: readonly VolumeUsage[];
  readonly volume_condition: VolumeCondition | null;
}

export interface VolumeUsage {
  readonly available: number;
  readonly total: number;
  readonly used: number;
  readonly unit: 'UNKNOWN' | 'BYTES' | 'INODES';
}

export interface VolumeCondition {
  readonly abnormal: boolean;
  readonly message: string;
}

export interface NodeGetCapabilitiesRequest {}

export interface NodeGetCapabilitiesResponse {
  readonly capabilities: readonly NodeServiceCapability[];
}

export interface NodeServiceCapabilityRPC {
  readonly type: 'UNKNOWN' | 'STAGE_UNSTAGE_VOLUME' | 'GET_VOLUME_STATS' | 'EXPAND_VOLUME' | 'VOLUME_CONDITION' | 'SINGLE_NODE_MULTI_WRITER' | 'VOLUME_MOUNT_GROUP';
}

export interface NodeServiceCapability {
  readonly rpc?: NodeServiceCapabilityRPC;
}

export interface NodeGetInfoRequest {}

export interface NodeGetInfoResponse {
  readonly node_id: string;
  readonly max_volumes_per_node: number;
  readonly accessible_topology: Topology | null;
}

export interface NodeExpandVolumeRequest {
  readonly volume_id: string;
  readonly volume_path: string;
  readonly capacity_range: CapacityRange | null;
  readonly staging_target_path: string;
  readonly volume_capability: VolumeCapability | null;
  readonly secrets: Readonly<Record<string, string>>;
}

export interface NodeExpandVolumeResponse {
  readonly capacity_bytes: number;
}

export interface GroupControllerGetCapabilitiesRequest {}

export interface GroupControllerGetCapabilitiesResponse {
  readonly capabilities: readonly GroupControllerServiceCapability[];
}

export interface GroupControllerServiceCapabilityRPC {
  readonly type: 'UNKNOWN' | 'CREATE_DELETE_GET_VOLUME_GROUP_SNAPSHOT';
}

export interface GroupControllerServiceCapability {
  readonly rpc?: GroupControllerServiceCapabilityRPC;
}

export interface CreateVolumeGroupSnapshotRequest {
  readonly name: string;
  readonly source_volume_ids: readonly string[];
  readonly secrets: Readonly<Record<string, string>>;
  readonly parameters: Readonly<Record<string, string>>;
}

export interface CreateVolumeGroupSnapshotResponse {
  readonly group_snapshot: VolumeGroupSnapshot | null;
}

export interface VolumeGroupSnapshot {
  readonly group_snapshot_id: string;
  readonly snapshots: readonly Snapshot[];
  readonly creation_time: Timestamp | null;
  readonly ready_to_use: boolean;
}

export interface DeleteVolumeGroupSnapshotRequest {
  readonly group_snapshot_id: string;
  readonly snapshot_ids: readonly string[];
  readonly secrets: Readonly<Record<string, string>>;
}

export interface DeleteVolumeGroupSnapshotResponse {}

export interface GetVolumeGroupSnapshotRequest {
  readonly group_snapshot_id: string;
  readonly snapshot_ids: readonly string[];
  readonly secrets: Readonly<Record<string, string>>;
}

export interface GetVolumeGroupSnapshotResponse {
  readonly group_snapshot: VolumeGroupSnapshot | null;
}

export interface BlockMetadata {
  readonly byte_offset: number;
  readonly size_bytes: number;
}

export interface GetMetadataAllocatedRequest {
  readonly snapshot_id: string;
  readonly starting_offset: number;
  readonly max_results: number;
  readonly secrets: Readonly<Record<string, string>>;
}

export interface GetMetadataAllocatedResponse {
  readonly block_metadata_type: BlockMetadataType;
  readonly volume_capacity_bytes: number;
  readonly block_metadata: readonly BlockMetadata[];
}

export interface GetMetadataDeltaRequest {
  readonly base_snapshot_id: string;
  readonly target_snapshot_id: string;
  readonly starting_offset: number;
  readonly max_results: number;
  readonly secrets: Readonly<Record<string, string>>;
}

export interface GetMetadataDeltaResponse {
  readonly block_metadata_type: BlockMetadataType;
  readonly volume_capacity_bytes: number;
  readonly block_metadata: readonly BlockMetadata[];
}

export type BlockMetadataType = 'UNKNOWN' | 'FIXED_LENGTH' | 'VARIABLE_LENGTH';

export interface Timestamp {
  readonly seconds: number;
  readonly nanos: number;
}

export interface Int64Value {
  readonly value: number;
}

export interface BoolValue {
  readonly value: boolean;
}

export interface Services {
  readonly 'csi.v1.Identity': {
    readonly GetPluginInfo: Method<GetPluginInfoRequest, GetPluginInfoResponse>;
    readonly GetPluginCapabilities: Method<GetPluginCapabilitiesRequest, GetPluginCapabilitiesResponse>;
    readonly Probe: Method<ProbeRequest, ProbeResponse>;
  };
  readonly 'csi.v1.Controller': {
    readonly CreateVolume: Method<CreateVolumeRequest, CreateVolumeResponse>;
    readonly DeleteVolume: Method<DeleteVolumeRequest, DeleteVolumeResponse>;
    readonly ControllerPublishVolume: Method<ControllerPublishVolumeRequest, ControllerPublishVolumeResponse>;
    readonly ControllerUnpublishVolume: Method<ControllerUnpublishVolumeRequest, ControllerUnpublishVolumeResponse>;
    readonly ValidateVolumeCapabilities: Method<ValidateVolumeCapabilitiesRequest, ValidateVolumeCapabilitiesResponse>;
    readonly ListVolumes: Method<ListVolumesRequest, ListVolumesResponse>;
    readonly GetCapacity: Method<GetCapacityRequest, GetCapacityResponse>;
    readonly ControllerGetCapabilities: Method<ControllerGetCapabilitiesRequest, ControllerGetCapabilitiesResponse>;
    readonly CreateSnapshot: Method<CreateSnapshotRequest, CreateSnapshotResponse>;
    readonly DeleteSnapshot: Method<DeleteSnapshotRequest, DeleteSnapshotResponse>;
    readonly ListSnapshots: Method<ListSnapshotsRequest, ListSnapshotsResponse>;
    readonly GetSnapshot: Method<GetSnapshotRequest, GetSnapshotResponse>;
    readonly ControllerExpandVolume: Method<ControllerExpandVolumeRequest, ControllerExpandVolumeResponse>;
    readonly ControllerGetVolume: Method<ControllerGetVolumeRequest, ControllerGetVolumeResponse>;
    readonly ControllerModifyVolume: Method<ControllerModifyVolumeRequest, ControllerModifyVolumeResponse>;
  };
  readonly 'csi.v1.GroupController': {
    readonly GroupControllerGetCapabilities: Method<GroupControllerGetCapabilitiesRequest, GroupControllerGetCapabilitiesResponse>;
    readonly CreateVolumeGroupSnapshot: Method<CreateVolumeGroupSnapshotRequest, CreateVolumeGroupSnapshotResponse>;
    readonly DeleteVolumeGroupSnapshot: Method<DeleteVolumeGroupSnapshotRequest, DeleteVolumeGroupSnapshotResponse>;
    readonly GetVolumeGroupSnapshot: Method<GetVolumeGroupSnapshotRequest, GetVolumeGroupSnapshotResponse>;
  };
  readonly 'csi.v1.SnapshotMetadata': {
    readonly GetMetadataAllocated: Method<GetMetadataAllocatedRequest, GetMetadataAllocatedResponse, 'response'>;
    readonly GetMetadataDelta: Method<GetMetadataDeltaRequest, GetMetadataDeltaResponse, 'response'>;
  };
  readonly 'csi.v1.Node': {
    readonly NodeStageVolume: Method<NodeStageVolumeRequest, NodeStageVolumeResponse>;
    readonly NodeUnstageVolume: Method<NodeUnstageVolumeRequest, NodeUnstageVolumeResponse>;
    readonly NodePublishVolume: Method<NodePublishVolumeRequest, NodePublishVolumeResponse>;
    readonly NodeUnpublishVolume: Method<NodeUnpublishVolumeRequest, NodeUnpublishVolumeResponse>;
    readonly NodeGetVolumeStats: Method<NodeGetVolumeStatsRequest, NodeGetVolumeStatsResponse>;
    readonly NodeExpandVolume: Method<NodeExpandVolumeRequest, NodeExpandVolumeResponse>;
    readonly NodeGetCapabilities: Method<NodeGetCapabilitiesRequest, NodeGetCapabilitiesResponse>;
    readonly NodeGetInfo: Method<NodeGetInfoRequest, NodeGetInfoResponse>;
  };
}
