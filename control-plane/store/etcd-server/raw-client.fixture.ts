import { once } from 'node:events';
import type { ChannelCredentials, Client, ClientDuplexStream, ServiceError } from '@grpc/grpc-js';
import type { Method, Outgoing } from '#proto/contract.ts';
import type { Services, WatchRequest, WatchResponse } from '#proto/etcd/rpc.ts';
import { loadContract } from '#proto/load.ts';
import type { EtcdTls } from '#control-plane/store/etcd/endpoints.ts';

/** Calls as they are, with what comes back: an answer, or code and text. */
export interface RawClient extends Disposable {
  readonly services: Services;
  ask<Q, R>(method: Method<Q, R>, request: Outgoing<Q>): Promise<R>;
  /** The answer, or `code: text`, without what differs from server to server: who answered, and in which term. */
  shown<Q, R>(method: Method<Q, R>, request: Outgoing<Q>): Promise<unknown>;
  watch(): RawWatch;
  /** All blobs of a snapshot. */
  snapshot(): Promise<Buffer>;
}

export interface RawWatch extends Disposable {
  readonly stream: ClientDuplexStream<Outgoing<WatchRequest>, WatchResponse>;
  readonly responses: readonly WatchResponse[];
  /** How it ended. */
  readonly ended: Promise<string>;
}

export async function connectRaw(url: string, tls?: EtcdTls): Promise<RawClient> {
  const { grpc, services } = await loadContract('etcd-v3');
  const pem = (text: Uint8Array | undefined): Buffer => Buffer.from(text ?? []);
  const credentials: ChannelCredentials =
    tls === undefined
      ? grpc.credentials.createInsecure()
      : grpc.credentials.createSsl(pem(tls.ca), pem(tls.key), pem(tls.cert), {
          checkServerIdentity: () => undefined,
        });
  const client: Client = new grpc.Client(url.replace(/^https?:\/\//, ''), credentials, {
    'grpc.enable_http_proxy': 0, // One of the environment is for other things.
    'grpc.max_receive_message_length': -1,
    'grpc.use_local_subchannel_pool': 1,
    'grpc.ssl_target_name_override': 'localhost',
  });
  const ask = <Q, R>(method: Method<Q, R>, request: Outgoing<Q>): Promise<R> => {
    const { promise, resolve, reject } = Promise.withResolvers<R>();
    const { path, requestSerialize, responseDeserialize } = method;
    client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      (error: ServiceError | null, response?: R) => {
        if (error === null && response !== undefined) resolve(response);
        else reject(error ?? new Error('no answer'));
      },
    );
    return promise;
  };
  return {
    services,
    ask,
    shown: (method, request) =>
      ask(method, request).then(plain, (error: ServiceError) => `${error.code}: ${error.details}`),
    watch: () => {
      const { path, requestSerialize, responseDeserialize } = services['etcdserverpb.Watch'].Watch;
      const stream = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
      const responses: WatchResponse[] = [];
      const { promise: ended, resolve } = Promise.withResolvers<string>();
      stream.on('data', (response: WatchResponse) => responses.push(response));
      stream.on('error', (error: ServiceError) => resolve(`${error.code}: ${error.details}`));
      stream.on('end', () => resolve('end'));
      return { stream, responses, ended, [Symbol.dispose]: () => stream.cancel() };
    },
    snapshot: async () => {
      const { path, requestSerialize, responseDeserialize } = services['etcdserverpb.Maintenance'].Snapshot;
      const stream = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, {});
      const blobs: Uint8Array[] = [];
      stream.on('data', ({ blob }: { readonly blob: Uint8Array }) => blobs.push(blob));
      await once(stream, 'end');
      return Buffer.concat(blobs);
    },
    [Symbol.dispose]: () => client.close(),
  };
}

/** Bytes as text; of headers the revision. */
export function plain(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (field, inner: unknown) => {
      if (field === 'header') return (inner as { readonly revision: number } | null)?.revision;
      const data = inner as { readonly type?: string; readonly data?: number[] } | null;
      if (data?.type === 'Buffer' && Array.isArray(data.data))
        return Buffer.from(data.data).toString('latin1');
      return inner;
    }),
  );
}
