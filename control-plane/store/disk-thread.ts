import { Worker } from 'node:worker_threads';
import type { StoreThread } from './close-at-exit.ts';
import type { DiskOptions, DiskReply } from './disk-protocol.ts';

/** Who makes an engine's writes durable, and is spoken to as disk-protocol.ts says. */
export interface DiskThread extends StoreThread {
  on(event: 'message', listener: (reply: DiskReply) => void): unknown;
  on(event: 'error', listener: (error: unknown) => void): unknown;
  on(event: 'exit', listener: () => void): unknown;
  off(event: 'message', listener: (reply: DiskReply) => void): unknown;
  off(event: 'error', listener: (error: unknown) => void): unknown;
}

/** What the worker handles is gone with its message: a larger nursery would only take memory. */
const youngMegabytesMax = 4;

/** The thread that keeps a store in files. */
export function openDiskWorker(options: DiskOptions): DiskThread {
  return new Worker(new URL('./disk.worker.ts', import.meta.url), {
    workerData: options,
    resourceLimits: { maxYoungGenerationSizeMb: youngMegabytesMax },
    execArgv: [], // Flags of this process (--input-type, --eval) are not for the worker's file.
  });
}
