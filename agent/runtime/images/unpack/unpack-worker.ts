import { parentPort, workerData } from 'node:worker_threads';
import { describeError, isPodwrightError } from '#base/errors.ts';
import { unpackLayer, type UnpackRequest } from './unpack-layer.ts';
import type { UnpackReply } from './unpack-thread.ts';

/** The thread's main: one request, one reply. */
async function main(request: UnpackRequest): Promise<UnpackReply> {
  try {
    return { kind: 'done', result: await unpackLayer(request) };
  } catch (error) {
    const known = isPodwrightError(error);
    return {
      kind: 'failed',
      code: known ? error.code : 'E_INTERNAL',
      message: known ? error.message : describeError(error),
      detail: known ? { ...error.detail } : {},
    };
  }
}

if (parentPort !== null) {
  const reply = await main(workerData as UnpackRequest);
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker's port, not a window
  parentPort.postMessage(reply);
}
