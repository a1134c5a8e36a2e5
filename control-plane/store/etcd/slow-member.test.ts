import type { ServerDuplexStream, ServerUnaryCall } from '@grpc/grpc-js';
import { afterEach, expect, it } from 'vitest';
import { systemClock } from '#base/clock.ts';
import type { RangeRequest, WatchRequest } from '#proto/etcd/rpc.ts';
import { loadContract } from '#proto/load.ts';
import { createEtcdClient } from './client.ts';

const stack = new AsyncDisposableStack();
afterEach(() => stack.disposeAsync());

/** Answers all but the first question for `slow`, and watches. */
async function startMember(): Promise<string> {
  const { grpc, services } = await loadContract('etcd-v3');
  const server = new grpc.Server();
  stack.defer(() => server.forceShutdown());
  let isFirst = true;
  const { KV, Watch } = { KV: services['etcdserverpb.KV'], Watch: services['etcdserverpb.Watch'] };
  server.addService(
    { Range: KV.Range },
    {
      Range: (call: ServerUnaryCall<RangeRequest, object>, answer: (error: null, value: object) => void) => {
        const isSlow = Buffer.from(call.request.key).toString() === 'slow' && isFirst;
        if (isSlow) isFirst = false;
        else answer(null, { kvs: [] });
      },
    },
  );
  server.addService(
    { Watch: Watch.Watch },
    { Watch: (stream: ServerDuplexStream<WatchRequest, object>) => stream.write({ created: true }) },
  );
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) =>
    error === null ? resolve(port) : reject(error),
  );
  return `http://127.0.0.1:${await promise}`;
}

it('a member that is slow to answer one request, and answers others, keeps its watches', async () => {
  const endpoints = [await startMember(), await startMember()];
  const client = stack.use(await createEtcdClient({ endpoints, clock: systemClock }));
  const { address } = client;
  const { Range } = client.services['etcdserverpb.KV'];
  const stream = client.openWatch();
  const ends: string[] = [];
  stream.on('error', (error) => ends.push(error.message));
  stream.on('data', () => undefined);
  stream.write({ create_request: { key: Buffer.from('a') } });

  const over = new AbortController();
  const others = (async (): Promise<void> => {
    while (!over.signal.aborted) {
      await client.ask('read', Range, { key: Buffer.from('quick') });
      await systemClock.sleep(20);
    }
  })();
  const { tries } = await client.ask('read', Range, { key: Buffer.from('slow') });
  over.abort();
  await others;
  expect({ tries, address: client.address, ends }).toEqual({ tries: 2, address, ends: [] });
});
