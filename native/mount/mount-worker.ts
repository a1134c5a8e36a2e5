import { parentPort, workerData } from 'node:worker_threads';
import { failureOf } from '#base/failure.ts';
import { createMounts } from './mount.linux.ts';
import type { MountReply, MountRequest } from './mount-thread.ts';

/** The thread's main: one mount, one reply. */
function main({ target, spec, options }: MountRequest): MountReply {
  try {
    createMounts().mount(target, spec, options);
    return { kind: 'done' };
  } catch (error) {
    return { kind: 'failed', ...failureOf(error) };
  }
}

if (parentPort !== null) {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker's port, not a window
  parentPort.postMessage(main(workerData as MountRequest));
}
