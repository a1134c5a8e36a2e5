// Made from kms/kms.proto by generate.ts: messages as they are received. int64 is a number, exact up to 2^53.
import type { Method } from '#proto/contract.ts';

export interface Annotation {
  readonly key: string;
  readonly value: Uint8Array;
}

export interface StatusRequest {}

export interface StatusResponse {
  readonly version: string;
  readonly healthz: string;
  readonly key_id: string;
}

export interface DecryptRequest {
  readonly ciphertext: Uint8Array;
  readonly uid: string;
  readonly key_id: string;
  readonly annotations: readonly Annotation[];
}

export interface DecryptResponse {
  readonly plaintext: Uint8Array;
}

export interface EncryptRequest {
  readonly plaintext: Uint8Array;
  readonly uid: string;
}

export interface EncryptResponse {
  readonly ciphertext: Uint8Array;
  readonly key_id: string;
  readonly annotations: readonly Annotation[];
}

export interface Services {
  readonly 'v2.KeyManagementService': {
    readonly Status: Method<StatusRequest, StatusResponse>;
    readonly Decrypt: Method<DecryptRequest, DecryptResponse>;
    readonly Encrypt: Method<EncryptRequest, EncryptResponse>;
  };
}
