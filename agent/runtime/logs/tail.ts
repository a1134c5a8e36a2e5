import type { FileHandle } from 'node:fs/promises';
import { newline, parseLogLine, recordBytesMax } from './log-filter.ts';
import { readAt, readBytesMax } from './read-block.ts';

export interface TailOptions {
  /** How many lines are wanted. */
  readonly lines: number;
  /** Where the log ends, for who asks. */
  readonly end: number;
  /** Looks no further back than this. Default: to the beginning. */
  readonly lookBackBytesMax?: number;
}

/**
 * Where the last lines of a log begin: read backwards in blocks, each byte once. A line counts by its last record (`F`, or a
 * `P` that its writer did not go on with), so that a line in parts is one.
 * @throws the signal's reason
 */
export async function tailOffset(
  file: Pick<FileHandle, 'read'>,
  { lines, end, lookBackBytesMax = end }: TailOptions,
  signal: AbortSignal,
): Promise<number> {
  if (lines <= 0) return end;
  const floor = Math.max(0, end - lookBackBytesMax);
  const isContinued = { stdout: false, stderr: false };
  let found = 0;
  let from = end;
  // What the block before ends with: the head of a line whose end is here. Of the last line, nothing yet: it may have no end.
  let head: Buffer | undefined;
  while (from > floor) {
    signal.throwIfAborted();
    const length = Math.min(readBytesMax, from - floor);
    const block = await readAt(file, from - length, length);
    if (block.length < length) return end; // It was cut off meanwhile.
    from -= length;
    const data = head === undefined ? block : Buffer.concat([block, head]);
    let lineEnd = data.lastIndexOf(newline);
    while (lineEnd > 0) {
      const before = data.lastIndexOf(newline, lineEnd - 1);
      if (before < 0 && from > 0) break;
      const record = parseLogLine(data.subarray(before + 1, lineEnd));
      if (record !== undefined) {
        if (!record.isPartial || !isContinued[record.stream]) found += 1;
        isContinued[record.stream] = true;
        if (found > lines) return from + lineEnd + 1;
      }
      lineEnd = before;
    }
    head = lineEnd < 0 ? undefined : data.subarray(0, lineEnd + 1);
    // No record is as long: whatever it is, its beginning does not matter.
    if (head !== undefined && head.length > recordBytesMax) head = head.subarray(-1);
  }
  return floor;
}
