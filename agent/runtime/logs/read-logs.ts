/**
 * Reading a container's log: the CRI format (`TIME STREAM P|F TEXT`, kubernetes/cri-api logs), through rotation, to its end.
 */
import { watch, type Stats } from 'node:fs';
import { open, stat, type FileHandle } from 'node:fs/promises';
import type { Clock } from '#base/clock.ts';
import { errnoOf } from '#base/errors.ts';
import { LogFilter, type LogFilterOptions } from './log-filter.ts';
import { rotatedLogs } from './rotate-logs.ts';
import { tailOffset } from './tail.ts';

export interface ReadLogsOptions extends LogFilterOptions {
  /** Go on until the container has ended and all was read. */
  readonly follow?: boolean;
  /** The last so many lines. */
  readonly tailLines?: number | undefined;
  /** Whether the container still runs: asked when a follower has read all. Default: it does not. */
  readonly isRunning?: () => boolean;
  /** Told when the container may have ended; so that a follower need not wait for the file to say so. */
  readonly onEnd?: (listener: () => void) => Disposable;
  readonly clock: Clock;
}

const chunkBytes = 64 * 1024;

/** A change that inotify did not tell of (a network file system) is seen after this long. */
const pollMs = 1_000;

/** The text of a log, as `kubectl logs` prints it. An absent file is an empty log. */
export async function* readLogs(
  path: string,
  options: ReadLogsOptions,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const filter = new LogFilter(options);
  let file = await openLog(path);
  try {
    const size = (await file?.stat())?.size ?? 0;
    // Who does not follow gets what there was when it asked: a busy container would otherwise add lines to the last n.
    const end = options.follow === true ? Number.POSITIVE_INFINITY : size;
    const lines = options.tailLines;
    let offset = file !== undefined && lines !== undefined ? await tailOffset(file, { lines, end: size }) : 0;
    using changes = options.follow === true ? watchChanges(path, options) : undefined;

    for (;;) {
      // Asked before reading: what was written before the end is then read for sure.
      const isRunning = options.follow === true && (options.isRunning?.() ?? false);
      const seen = changes?.next();
      file ??= await openLog(path);
      if (file !== undefined) {
        const chunk = await read(file, offset, end);
        offset += chunk.length;
        const text = filter.push(chunk);
        if (text.length > 0) yield text;
        if (filter.isFull || signal.aborted) return;
        if (chunk.length > 0) continue;
        if (options.follow !== true) return;
        const next = await successorOf(file, path);
        if (next !== undefined) {
          // Whatever was written between the last read and the rename is in the old file still.
          const rest = await readRest(file, offset);
          await file.close();
          [file, offset] = [await openLog(next), 0];
          yield filter.push(rest);
          continue;
        }
      }
      if (!isRunning) return;
      await Promise.race([seen, aborted(signal), options.clock.sleep(pollMs, signal).catch(() => undefined)]);
      if (signal.aborted) return;
    }
  } finally {
    await file?.close();
  }
}

async function openLog(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

async function read(file: FileHandle, offset: number, end: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(Math.min(chunkBytes, end - offset));
  const { bytesRead } = await file.read(buffer, 0, buffer.length, offset);
  return buffer.subarray(0, bytesRead);
}

async function readRest(file: FileHandle, from: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for (let offset = from; ;) {
    const chunk = await read(file, offset, Number.POSITIVE_INFINITY);
    if (chunk.length === 0) return Buffer.concat(chunks);
    chunks.push(chunk);
    offset += chunk.length;
  }
}

/**
 * The file that goes on where this one ended; undefined while this one is written to. Several rotations may have passed: then
 * it is the next of the rotated ones. Between rename and reopen there is no file at the path, and the old one goes on.
 */
async function successorOf(file: FileHandle, path: string): Promise<string | undefined> {
  const own = await file.stat();
  const current = await statOf(path);
  if (current === undefined || isSameFile(own, current)) return undefined;
  const files = [...(await rotatedLogs(path)), path];
  for (const [at, each] of files.entries()) {
    const found = await statOf(each);
    if (found !== undefined && isSameFile(own, found)) return files[at + 1] ?? path;
  }
  // Removed already: the oldest that is left.
  return files[0];
}

function isSameFile(a: Stats, b: Stats): boolean {
  return a.ino === b.ino && a.dev === b.dev;
}

async function statOf(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

interface Changes extends Disposable {
  /** Resolves at the next change from now on. */
  next(): Promise<void>;
}

/** inotify on the directory, which also tells of the new file after a rotation. */
function watchChanges(path: string, options: ReadLogsOptions): Changes {
  let pending = Promise.withResolvers<void>();
  const wake = (): void => {
    pending.resolve();
    pending = Promise.withResolvers<void>();
  };
  const ended = options.onEnd?.(wake);
  const directory = path.slice(0, path.lastIndexOf('/')) || '/';
  let watcher: ReturnType<typeof watch> | undefined;
  try {
    watcher = watch(directory, { persistent: false }, wake);
    watcher.on('error', wake); // the directory is gone; the poll goes on
  } catch (error) {
    // No inotify instances left, or no directory yet: the poll alone then tells.
    if (errnoOf(error) === undefined) throw error;
  }
  return {
    next: () => pending.promise,
    [Symbol.dispose]: () => {
      watcher?.close();
      ended?.[Symbol.dispose]();
    },
  };
}

function aborted(signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  if (signal.aborted) resolve();
  else signal.addEventListener('abort', () => resolve(), { once: true });
  return promise;
}
