// Made from etcd/rpc.proto by generate.ts: messages as they are received. int64 is a number, exact up to 2^53.
import type { Method } from '#proto/contract.ts';

export interface ResponseHeader {
  readonly cluster_id: number;
  readonly member_id: number;
  readonly revision: number;
  readonly raft_term: number;
}

export interface RangeRequest {
  readonly key: Uint8Array;
  readonly range_end: Uint8Array;
  readonly limit: number;
  readonly revision: number;
  readonly sort_order: 'NONE' | 'ASCEND' | 'DESCEND';
  readonly sort_target: 'KEY' | 'VERSION' | 'CREATE' | 'MOD' | 'VALUE';
  readonly serializable: boolean;
  readonly keys_only: boolean;
  readonly count_only: boolean;
  readonly min_mod_revision: number;
  readonly max_mod_revision: number;
  readonly min_create_revision: number;
  readonly max_create_revision: number;
}

export interface RangeResponse {
  readonly header: ResponseHeader | null;
  readonly kvs: readonly KeyValue[];
  readonly more: boolean;
  readonly count: number;
}

export interface PutRequest {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly lease: number;
  readonly prev_kv: boolean;
  readonly ignore_value: boolean;
  readonly ignore_lease: boolean;
}

export interface PutResponse {
  readonly header: ResponseHeader | null;
  readonly prev_kv: KeyValue | null;
}

export interface DeleteRangeRequest {
  readonly key: Uint8Array;
  readonly range_end: Uint8Array;
  readonly prev_kv: boolean;
}

export interface DeleteRangeResponse {
  readonly header: ResponseHeader | null;
  readonly deleted: number;
  readonly prev_kvs: readonly KeyValue[];
}

export interface RequestOp {
  readonly request_range?: RangeRequest;
  readonly request_put?: PutRequest;
  readonly request_delete_range?: DeleteRangeRequest;
  readonly request_txn?: TxnRequest;
}

export interface ResponseOp {
  readonly response_range?: RangeResponse;
  readonly response_put?: PutResponse;
  readonly response_delete_range?: DeleteRangeResponse;
  readonly response_txn?: TxnResponse;
}

export interface Compare {
  readonly result: 'EQUAL' | 'GREATER' | 'LESS' | 'NOT_EQUAL';
  readonly target: 'VERSION' | 'CREATE' | 'MOD' | 'VALUE' | 'LEASE';
  readonly key: Uint8Array;
  readonly version?: number;
  readonly create_revision?: number;
  readonly mod_revision?: number;
  readonly value?: Uint8Array;
  readonly lease?: number;
  readonly range_end: Uint8Array;
}

export interface TxnRequest {
  readonly compare: readonly Compare[];
  readonly success: readonly RequestOp[];
  readonly failure: readonly RequestOp[];
}

export interface TxnResponse {
  readonly header: ResponseHeader | null;
  readonly succeeded: boolean;
  readonly responses: readonly ResponseOp[];
}

export interface CompactionRequest {
  readonly revision: number;
  readonly physical: boolean;
}

export interface CompactionResponse {
  readonly header: ResponseHeader | null;
}

export interface WatchRequest {
  readonly create_request?: WatchCreateRequest;
  readonly cancel_request?: WatchCancelRequest;
  readonly progress_request?: WatchProgressRequest;
}

export interface WatchCreateRequest {
  readonly key: Uint8Array;
  readonly range_end: Uint8Array;
  readonly start_revision: number;
  readonly progress_notify: boolean;
  readonly filters: readonly ('NOPUT' | 'NODELETE')[];
  readonly prev_kv: boolean;
  readonly watch_id: number;
  readonly fragment: boolean;
}

export interface WatchCancelRequest {
  readonly watch_id: number;
}

export interface WatchProgressRequest {}

export interface WatchResponse {
  readonly header: ResponseHeader | null;
  readonly watch_id: number;
  readonly created: boolean;
  readonly canceled: boolean;
  readonly compact_revision: number;
  readonly cancel_reason: string;
  readonly fragment: boolean;
  readonly events: readonly Event[];
}

export interface LeaseGrantRequest {
  readonly TTL: number;
  readonly ID: number;
}

export interface LeaseGrantResponse {
  readonly header: ResponseHeader | null;
  readonly ID: number;
  readonly TTL: number;
  readonly error: string;
}

export interface LeaseRevokeRequest {
  readonly ID: number;
}

export interface LeaseRevokeResponse {
  readonly header: ResponseHeader | null;
}

export interface LeaseTimeToLiveRequest {
  readonly ID: number;
  readonly keys: boolean;
}

export interface LeaseTimeToLiveResponse {
  readonly header: ResponseHeader | null;
  readonly ID: number;
  readonly TTL: number;
  readonly grantedTTL: number;
  readonly keys: readonly Uint8Array[];
}

export interface LeaseKeepAliveRequest {
  readonly ID: number;
}

export interface LeaseKeepAliveResponse {
  readonly header: ResponseHeader | null;
  readonly ID: number;
  readonly TTL: number;
}

export interface LeaseLeasesRequest {}

export interface LeaseStatus {
  readonly ID: number;
}

export interface LeaseLeasesResponse {
  readonly header: ResponseHeader | null;
  readonly leases: readonly LeaseStatus[];
}

export interface Member {
  readonly ID: number;
  readonly name: string;
  readonly peerURLs: readonly string[];
  readonly clientURLs: readonly string[];
  readonly isLearner: boolean;
}

export interface MemberListRequest {}

export interface MemberListResponse {
  readonly header: ResponseHeader | null;
  readonly members: readonly Member[];
}

export interface AlarmRequest {}

export interface AlarmResponse {
  readonly header: ResponseHeader | null;
}

export interface DefragmentRequest {}

export interface DefragmentResponse {
  readonly header: ResponseHeader | null;
}

export interface StatusRequest {}

export interface StatusResponse {
  readonly header: ResponseHeader | null;
  readonly version: string;
  readonly dbSize: number;
  readonly leader: number;
  readonly raftIndex: number;
  readonly raftTerm: number;
  readonly raftAppliedIndex: number;
  readonly errors: readonly string[];
  readonly dbSizeInUse: number;
  readonly isLearner: boolean;
}

export interface SnapshotRequest {}

export interface SnapshotResponse {
  readonly header: ResponseHeader | null;
  readonly remaining_bytes: number;
  readonly blob: Uint8Array;
}

export interface KeyValue {
  readonly key: Uint8Array;
  readonly create_revision: number;
  readonly mod_revision: number;
  readonly version: number;
  readonly value: Uint8Array;
  readonly lease: number;
}

export interface Event {
  readonly type: 'PUT' | 'DELETE';
  readonly kv: KeyValue | null;
  readonly prev_kv: KeyValue | null;
}

export interface Services {
  readonly 'etcdserverpb.KV': {
    readonly Range: Method<RangeRequest, RangeResponse>;
    readonly Put: Method<PutRequest, PutResponse>;
    readonly DeleteRange: Method<DeleteRangeRequest, DeleteRangeResponse>;
    readonly Txn: Method<TxnRequest, TxnResponse>;
    readonly Compact: Method<CompactionRequest, CompactionResponse>;
  };
  readonly 'etcdserverpb.Watch': {
    readonly Watch: Method<WatchRequest, WatchResponse, 'both'>;
  };
  readonly 'etcdserverpb.Lease': {
    readonly LeaseGrant: Method<LeaseGrantRequest, LeaseGrantResponse>;
    readonly LeaseRevoke: Method<LeaseRevokeRequest, LeaseRevokeResponse>;
    readonly LeaseKeepAlive: Method<LeaseKeepAliveRequest, LeaseKeepAliveResponse, 'both'>;
    readonly LeaseTimeToLive: Method<LeaseTimeToLiveRequest, LeaseTimeToLiveResponse>;
    readonly LeaseLeases: Method<LeaseLeasesRequest, LeaseLeasesResponse>;
  };
  readonly 'etcdserverpb.Cluster': {
    readonly MemberList: Method<MemberListRequest, MemberListResponse>;
  };
  readonly 'etcdserverpb.Maintenance': {
    readonly Alarm: Method<AlarmRequest, AlarmResponse>;
    readonly Status: Method<StatusRequest, StatusResponse>;
    readonly Defragment: Method<DefragmentRequest, DefragmentResponse>;
    readonly Snapshot: Method<SnapshotRequest, SnapshotResponse, 'response'>;
  };
}
