import { Worker } from 'node:worker_threads';
import { systemClock } from '#base/clock.ts';
import { PodwrightError } from '#base/errors.ts';
import { errorOf, type Failure } from '#base/failure.ts';
import type { MountOption, MountSpec } from './mount.ts';

export interface MountRequest {
  readonly target: string;
  readonly spec: MountSpec;
  readonly options: readonly MountOption[];
}

/** What crosses the thread boundary: an error keeps its code and what the kernel said. */
export type MountReply = { readonly kind: 'done' } | ({ readonly kind: 'failed' } & Failure);

/** Mounts under way, by target: what waits for a server in the kernel cannot be ended from here. */
const underWay = new Set<string>();
/** Threads that may wait so. */
export const mountThreadsMax = 16;

/**
 * One mount on a thread of its own, for file systems whose mount(2) waits for others. Nobody waits longer than `timeoutMs`; the thread goes
 * when the kernel lets it. @throws what mount(2) says, E_TIMEOUT, E_BUSY while an earlier one of the target waits, E_LIMIT
 */
export async function mountOnThread(
  request: MountRequest,
  { signal, timeoutMs }: { readonly signal: AbortSignal; readonly timeoutMs: number },
): Promise<void> {
  const { target } = request;
  signal.throwIfAborted();
  if (underWay.has(target))
    throw new PodwrightError('E_BUSY', `mount at ${target}: an earlier one still waits for its server`);
  if (underWay.size >= mountThreadsMax)
    throw new PodwrightError('E_LIMIT', `mount at ${target}: ${underWay.size} others wait for their servers`);
  underWay.add(target);
  const worker = new Worker(new URL('./mount-worker.ts', import.meta.url), { workerData: request });
  const { promise, resolve, reject } = Promise.withResolvers<MountReply>();
  const onAbort = (): void => reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  using _timer = systemClock.after(timeoutMs, () =>
    reject(new PodwrightError('E_TIMEOUT', `mount at ${target}: not done after ${timeoutMs / 1000} seconds`)),
  );

  worker.once('message', (reply: MountReply) => {
    underWay.delete(target);
    resolve(reply);
  });
  worker.once('error', reject);
  worker.once('exit', (code) => {
    underWay.delete(target);
    reject(new PodwrightError('E_INTERNAL', `mount at ${target}: its thread ended with ${code}`));
  });
  try {
    const reply = await promise;
    if (reply.kind === 'failed') throw errorOf(reply);
  } finally {
    signal.removeEventListener('abort', onAbort);
    worker.unref();
  }
}
