import { watch, type FSWatcher } from 'node:fs';
import type { Clock } from '#base/clock.ts';
import { errnoOf } from '#base/errors.ts';

/** Where the kernel does not tell of changes (a network file system, no inotify instances left), they are seen after this long. */
const pollMs = 1_000;

export interface LogChanges extends Disposable {
  /** What is given back resolves at the first change from now on, or when it is time to look. */
  next(): () => Promise<void>;
}

/** inotify on the directory, which also tells of the new file after a rotation. The signal is a change, too. */
export function watchLog(
  path: string,
  {
    clock,
    onEnd,
  }: { readonly clock: Clock; readonly onEnd?: ((listener: () => void) => Disposable) | undefined },
  signal: AbortSignal,
): LogChanges {
  let pending = Promise.withResolvers<void>();
  const wake = (): void => {
    pending.resolve();
    pending = Promise.withResolvers<void>();
  };
  const ended = onEnd?.(wake);
  signal.addEventListener('abort', wake, { once: true });
  const watcher = watchDirectory(path.slice(0, path.lastIndexOf('/')) || '/', wake);
  return {
    next: () => {
      const { promise } = pending;
      return async () => {
        if (signal.aborted) return;
        using _timer = clock.after(pollMs, wake);
        await promise;
      };
    },
    [Symbol.dispose]: () => {
      watcher?.close();
      ended?.[Symbol.dispose]();
      signal.removeEventListener('abort', wake);
    },
  };
}

function watchDirectory(directory: string, wake: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(directory, { persistent: false }, wake);
    watcher.on('error', wake); // the directory is gone; the poll goes on
    return watcher;
  } catch (error) {
    // No inotify instances left, or no directory yet: the poll alone then tells.
    if (errnoOf(error) === undefined) throw error;
    return undefined;
  }
}
