import { parentPort, workerData } from 'node:worker_threads';
import { describeError, isPodwrightError } from '#base/errors.ts';
import { createMounts } from './mount.linux.ts';
import type { MountReply, MountRequest } from './mount-thread.ts';

/** The thread's main: one mount, one reply. */
function main({ target, spec, options }: MountRequest): MountReply {
  try {
    createMounts().mount(target, spec, options);
    return { kind: 'done' };
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
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker's port, not a window
  parentPort.postMessage(main(workerData as MountRequest));
}
