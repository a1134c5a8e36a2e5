import { parentPort, workerData } from 'node:worker_threads';
import { failureOf } from '#base/failure.ts';
import { unpackLayer, type UnpackRequest } from './unpack-layer.ts';
import type { UnpackReply } from './unpack-thread.ts';

/**
 * The thread's main: one request, one reply, after which it is ended. Not by a top-level await: V8 14.6 ends the whole process where a
 * thread is ended while a module that waited is about to be done (SourceTextModule::AsyncModuleExecutionFulfilled).
 */
async function main(request: UnpackRequest): Promise<UnpackReply> {
  try {
    return { kind: 'done', result: await unpackLayer(request) };
  } catch (error) {
    return { kind: 'failed', ...failureOf(error) };
  }
}

async function reply(): Promise<void> {
  const answer = await main(workerData as UnpackRequest);
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker's port, not a window
  parentPort?.postMessage(answer);
}

if (parentPort !== null) void reply();
