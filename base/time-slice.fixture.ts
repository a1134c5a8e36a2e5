import { performance } from 'node:perf_hooks';

/** Keeps the thread for itself so long. */
export function busyMs(ms: number): void {
  const endMs = performance.now() + ms;
  while (performance.now() < endMs);
}
