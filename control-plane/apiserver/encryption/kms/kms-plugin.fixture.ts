import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import type { sendUnaryData, Server, ServerUnaryCall } from '@grpc/grpc-js';
import { loadContract } from '#proto/load.ts';
import type {
  DecryptRequest,
  DecryptResponse,
  EncryptRequest,
  EncryptResponse,
  StatusResponse,
} from '#proto/kms/kms.ts';

/** A KMS v2 plugin with keys in memory, on a socket. */
export interface KmsPlugin extends AsyncDisposable {
  /** Of the key that encrypts now; another one is made when it is first named. */
  keyId: string;
  /** What Status says. */
  healthz: string;
  /** Why Decrypt refuses; '' where it does not. */
  refusal: string;
  /** How often each method was called. */
  readonly calls: { status: number; encrypt: number; decrypt: number };
}

const annotation = 'version.encryption.example.com';

export async function startKmsPlugin(
  path: string,
  keys: Map<string, Buffer> = new Map(),
): Promise<KmsPlugin> {
  const { grpc, services } = await loadContract('kms-v2');
  const keyOf = (id: string): Buffer => {
    let key = keys.get(id);
    if (key === undefined) keys.set(id, (key = randomBytes(32)));
    return key;
  };
  const server: Server = new grpc.Server();
  const plugin = {
    keyId: 'key-1',
    healthz: 'ok',
    refusal: '',
    calls: { status: 0, encrypt: 0, decrypt: 0 },
    [Symbol.asyncDispose]: async () => {
      server.forceShutdown();
      rmSync(path, { force: true });
    },
  };
  server.addService(services['v2.KeyManagementService'], {
    Status: (_call: ServerUnaryCall<object, StatusResponse>, answer: sendUnaryData<StatusResponse>) => {
      plugin.calls.status++;
      answer(null, { version: 'v2', healthz: plugin.healthz, key_id: plugin.keyId });
    },
    Encrypt: (
      { request }: ServerUnaryCall<EncryptRequest, EncryptResponse>,
      answer: sendUnaryData<EncryptResponse>,
    ) => {
      plugin.calls.encrypt++;
      const iv = randomBytes(16);
      const cipher = createCipheriv('aes-256-ctr', keyOf(plugin.keyId), iv);
      const ciphertext = Buffer.concat([iv, cipher.update(request.plaintext), cipher.final()]);
      answer(null, {
        ciphertext,
        key_id: plugin.keyId,
        annotations: [{ key: annotation, value: Buffer.from('1') }],
      });
    },
    Decrypt: (
      { request }: ServerUnaryCall<DecryptRequest, DecryptResponse>,
      answer: sendUnaryData<DecryptResponse>,
    ) => {
      plugin.calls.decrypt++;
      const { ciphertext, key_id: id, annotations } = request;
      const isOurs = annotations.some(
        ({ key, value }) => key === annotation && Buffer.from(value).toString() === '1',
      );
      if (plugin.refusal !== '' || !isOurs || !keys.has(id)) {
        answer({ code: grpc.status.FAILED_PRECONDITION, details: plugin.refusal || `no key ${id}` });
        return;
      }
      const decipher = createDecipheriv('aes-256-ctr', keyOf(id), ciphertext.subarray(0, 16));
      answer(null, {
        plaintext: Buffer.concat([decipher.update(ciphertext.subarray(16)), decipher.final()]),
      });
    },
  });
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(`unix:${path}`, grpc.ServerCredentials.createInsecure(), (error) =>
      error === null ? resolve() : reject(error),
    );
  });
  return plugin;
}
