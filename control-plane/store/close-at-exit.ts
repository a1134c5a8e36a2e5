import type { DiskRequest } from './disk-protocol.ts';

/** A thread that has a store open. */
export interface StoreThread {
  postMessage(request: DiskRequest, transfer: readonly ArrayBuffer[]): void;
}

/** Far longer than what is under way takes; a disk that hangs does not keep a process for ever. */
const closeMsMax = 10_000;

const open = new Set<StoreThread>();

/**
 * A process that ends by itself, by an error that nobody caught or by exit(3), ends its threads, and with the thread of a store its connection:
 * SQLite then takes its log away, as of a store that was closed, and the mark would say that it must be there. So such a process waits
 * until its stores are closed. One that is killed leaves the log where it is.
 */
export function closeAtExit(thread: StoreThread): Disposable {
  if (open.size === 0) process.on('exit', closeAll);
  open.add(thread);
  return {
    [Symbol.dispose]: () => {
      open.delete(thread);
      if (open.size === 0) process.off('exit', closeAll);
    },
  };
}

function closeAll(): void {
  for (const thread of open) {
    const isClosed = new Int32Array(new SharedArrayBuffer(4));
    thread.postMessage({ kind: 'close', isClosed }, []);
    Atomics.wait(isClosed, 0, 0, closeMsMax);
  }
}
