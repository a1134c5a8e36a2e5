import type { Client, ServiceError } from '@grpc/grpc-js';
import { PodwrightError } from '#base/errors.ts';
import type { Method, Outgoing } from '#proto/contract.ts';
import { loadContract } from '#proto/load.ts';
import type { StatusResponse } from '#proto/kms/kms.ts';

/** A KMS v2 plugin. Every question has the provider's time-out. @throws {E_CONNECTION} where it does not answer, or refuses */
export interface KmsClient extends Disposable {
  status(): Promise<StatusResponse>;
  encrypt(uid: string, plaintext: Uint8Array): Promise<Wrapped>;
  decrypt(uid: string, wrapped: Wrapped): Promise<Uint8Array>;
}

/** A key as the plugin gave it back. */
export interface Wrapped {
  readonly ciphertext: Uint8Array;
  readonly keyId: string;
  readonly annotations: ReadonlyMap<string, Uint8Array>;
}

/** Told how long the plugin took, with gRPC's name of how it ended. */
export type OnKmsCall = (method: string, code: string, seconds: number) => void;

const messageBytesMax = 4 * 1024 * 1024;

/** Loads gRPC. Nothing is connected yet. `endpoint`: `unix:///run/kms.sock`. */
export async function createKmsClient(
  { endpoint, timeoutMs }: { readonly endpoint: string; readonly timeoutMs: number },
  onCall: OnKmsCall,
): Promise<KmsClient> {
  const { grpc, services } = await loadContract('kms-v2');
  const { Status, Encrypt, Decrypt } = services['v2.KeyManagementService'];
  const address = grpcAddress(endpoint);
  const client: Client = new grpc.Client(address, grpc.credentials.createInsecure(), {
    'grpc.max_receive_message_length': messageBytesMax,
    'grpc.enable_http_proxy': 0,
    'grpc.use_local_subchannel_pool': 1,
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': 1000,
  });
  const call = <Q, R>(method: Method<Q, R>, request: Outgoing<Q>): Promise<R> => {
    const { promise, resolve, reject } = Promise.withResolvers<R>();
    const startMs = performance.now();
    const { path, requestSerialize, responseDeserialize } = method;
    const onAnswer = (error: ServiceError | null, response?: R): void => {
      const code = error === null ? 'OK' : (grpc.status[error.code] ?? 'UNKNOWN');
      onCall(path, code, (performance.now() - startMs) / 1000);
      if (error === null && response !== undefined) resolve(response);
      else
        reject(
          new PodwrightError('E_CONNECTION', `rpc error: code = ${code} desc = ${error?.details ?? ''}`),
        );
    };
    const deadline = new Date(Date.now() + timeoutMs);
    client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, { deadline }, onAnswer);
    return promise;
  };
  return {
    status: () => call(Status, {}),
    encrypt: async (uid, plaintext) => {
      const { ciphertext, key_id: keyId, annotations } = await call(Encrypt, { uid, plaintext });
      return { ciphertext, keyId, annotations: new Map(annotations.map(({ key, value }) => [key, value])) };
    },
    decrypt: async (uid, { ciphertext, keyId, annotations }) => {
      const entries = [...annotations].map(([key, value]) => ({ key, value }));
      return (await call(Decrypt, { uid, ciphertext, key_id: keyId, annotations: entries })).plaintext;
    },
    [Symbol.dispose]: () => client.close(),
  };
}

/** `unix:///a` and `unix:/a` are the same to gRPC; `unix:///@a` is a name without a file (unix(7), abstract). */
function grpcAddress(endpoint: string): string {
  const path = endpoint.replace(/^unix:(\/\/)?/, '');
  return path.startsWith('/@') ? `unix-abstract:${path.slice(2)}` : `unix:${path}`;
}
