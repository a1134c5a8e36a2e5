import { describeError, isPodwrightError, PodwrightError } from '#base/errors.ts';
import type { Method, Outgoing } from '#proto/contract.ts';
import type { StatusResponse } from '#proto/kms/kms.ts';
import { loadContract } from '#proto/load.ts';
import { statusNameOf } from '#proto/status.ts';
import { createUnixClient } from '#proto/unix-client.ts';

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
  const contract = await loadContract('kms-v2');
  const { Status, Encrypt, Decrypt } = contract.services['v2.KeyManagementService'];
  const client = createUnixClient(contract, { endpoint, timeoutMs, messageBytesMax });
  const call = async <Q, R>(method: Method<Q, R>, request: Outgoing<Q>): Promise<R> => {
    const startMs = performance.now();
    const tell = (code: string): void => onCall(method.path, code, (performance.now() - startMs) / 1000);
    try {
      const response = await client.call(method, request);
      tell('OK');
      return response;
    } catch (error) {
      const code = statusNameOf(error);
      tell(code);
      const details = isPodwrightError(error) ? error.detail['details'] : undefined;
      const said = typeof details === 'string' ? details : describeError(error);
      throw new PodwrightError('E_CONNECTION', `rpc error: code = ${code} desc = ${said}`);
    }
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
    [Symbol.dispose]: () => client[Symbol.dispose](),
  };
}
