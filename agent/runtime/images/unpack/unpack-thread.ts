import { Worker } from 'node:worker_threads';
import { PodwrightError } from '#base/errors.ts';
import { errorOf, type Failure } from '#base/failure.ts';
import type { UnpackRequest, UnpackResult } from './unpack-layer.ts';

/** How a layer gets unpacked; the store's port, so that tests can fail it. */
export type Unpack = (request: UnpackRequest, signal: AbortSignal) => Promise<UnpackResult>;

/** What crosses the thread boundary: an error keeps its code. */
export type UnpackReply =
  | { readonly kind: 'done'; readonly result: UnpackResult }
  | ({ readonly kind: 'failed' } & Failure);

/** unpackLayer on a thread that lives for this layer: the event loop stays free, and aborting is ending the thread. */
export const unpackOnThread: Unpack = async (request, signal) => {
  signal.throwIfAborted();
  const worker = new Worker(new URL('./unpack-worker.ts', import.meta.url), { workerData: request });
  const { promise, resolve, reject } = Promise.withResolvers<UnpackReply>();
  const onAbort = (): void => reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  worker.once('message', resolve);
  worker.once('error', reject);
  worker.once('exit', (code) =>
    reject(new PodwrightError('E_INTERNAL', `unpack layer ${request.diffId}: its thread ended with ${code}`)),
  );
  try {
    const reply = await promise;
    if (reply.kind === 'done') return reply.result;
    throw errorOf(reply);
  } finally {
    signal.removeEventListener('abort', onAbort);
    await worker.terminate();
  }
};
