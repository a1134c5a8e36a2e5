/**
 * Reading a container's log: the CRI format (`TIME STREAM P|F TEXT`, kubernetes/cri-api logs), through rotation, to its end. All
 * that read logs do it here: block by block, as fast as the text is taken, until the signal.
 */
import { open, type FileHandle } from 'node:fs/promises';
import type { Clock } from '#base/clock.ts';
import { errnoOf } from '#base/errors.ts';
import { LogFilter, type LogFilterOptions } from './log-filter.ts';
import { readAt, readBytesMax } from './read-block.ts';
import { isSameFile, rotatedLogs, statOf } from './rotate-logs.ts';
import { tailOffset } from './tail.ts';
import { watchLog } from './watch-log.ts';

export interface ReadLogsOptions extends LogFilterOptions {
  /** Go on until the container has ended and all was read. */
  readonly follow?: boolean;
  /** The last so many lines. */
  readonly tailLines?: number | undefined;
  /** With tailLines: those of them that begin within so many bytes before the end of the log. */
  readonly lookBackBytesMax?: number;
  /** Whether the container still runs: asked when a follower has read all. Default: it does not. */
  readonly isRunning?: () => boolean;
  /** Told when the container may have ended; so that a follower need not wait for the file to say so. */
  readonly onEnd?: (listener: () => void) => Disposable;
  readonly clock: Clock;
}

/** The text of a log, as `kubectl logs` prints it; when the signal is aborted it ends. An absent file is an empty log. */
export async function* readLogs(
  path: string,
  options: ReadLogsOptions,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const filter = new LogFilter(options);
  const file = await openLog(path);
  // Who does not follow gets what there was when it asked: a busy container would otherwise add lines to the last n.
  const end = (await file?.stat())?.size ?? 0;
  const start = async (): Promise<number> => {
    const { tailLines: lines, lookBackBytesMax: most = end } = options;
    if (file === undefined || lines === undefined) return 0;
    return tailOffset(file, { lines, end, lookBackBytesMax: most }, signal);
  };
  try {
    const offset = await start();
    if (options.follow === true) {
      yield* followLog({ path, file, offset }, { ...options, filter }, signal);
    } else if (file !== undefined) {
      yield* textBetween(file, { offset, end, filter }, signal);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    await file?.close();
  }
}

interface LogPlace {
  readonly path: string;
  readonly file: FileHandle | undefined;
  readonly offset: number;
}

/** Takes the file over, and closes it and those that follow it; closing twice does no harm. */
async function* followLog(
  { path, ...place }: LogPlace,
  options: ReadLogsOptions & { readonly filter: LogFilter },
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const { filter, clock } = options;
  using changes = watchLog(path, { clock, onEnd: options.onEnd }, signal);
  let { file, offset } = place;
  try {
    while (!signal.aborted && !filter.isFull) {
      // Asked before reading: what was written before the end is then read for sure.
      const isRunning = options.isRunning?.() ?? false;
      const change = changes.next();
      file ??= await openLog(path);
      if (file !== undefined) {
        // Asked before the size: to a file that has a successor, nothing is added.
        const next = await successorOf(file, path);
        const end = (await file.stat()).size;
        const begin = offset > end ? 0 : offset; // Somebody emptied it.
        yield* textBetween(file, { offset: begin, end, filter }, signal);
        const isMore = end !== begin;
        offset = end;
        if (next !== undefined) {
          await file.close();
          [file, offset] = [await openLog(next), 0];
        }
        if (isMore || next !== undefined) continue;
      }
      if (!isRunning) return;
      await change();
    }
  } finally {
    await file?.close();
  }
}

interface LogRange {
  readonly offset: number;
  readonly end: number;
  readonly filter: LogFilter;
}

async function* textBetween(
  file: FileHandle,
  { offset, end, filter }: LogRange,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  for (let at = offset; at < end && !filter.isFull && !signal.aborted;) {
    const chunk = await readAt(file, at, Math.min(readBytesMax, end - at));
    if (chunk.length === 0) return;
    at += chunk.length;
    const text = filter.push(chunk);
    if (text.length > 0) yield text;
  }
}

/** Between rename and reopen there is no file of its name, and what was renamed is the log still. */
async function openLog(path: string): Promise<FileHandle | undefined> {
  const file = await openIfThere(path);
  if (file !== undefined) return file;
  const rotated = (await rotatedLogs(path)).at(-1);
  // None, or it was opened anew in between.
  return rotated === undefined ? openIfThere(path) : openIfThere(rotated);
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/**
 * The file that goes on where this one ended; undefined while this one is written to. Several rotations may have passed: then
 * it is the next of the rotated ones. Between rename and reopen there is no file at the path, and the old one goes on.
 */
async function successorOf(file: FileHandle, path: string): Promise<string | undefined> {
  const current = await statOf(path);
  const own = await file.stat();
  if (current === undefined || isSameFile(own, current)) return undefined;
  const files = [...(await rotatedLogs(path)), path];
  for (const [at, each] of files.entries()) {
    const found = await statOf(each);
    if (found !== undefined && isSameFile(own, found)) return files[at + 1] ?? path;
  }
  // Removed already: the oldest that is left.
  return files[0];
}
