import type { FileHandle } from 'node:fs/promises';
import { parseLogLine } from './log-filter.ts';

const blockBytes = 64 * 1024;
const newline = 0x0a;

/** Where the last `lines` lines before the offset `end` of a log begin. A line in parts (P … F) is one. */
export async function tailOffset(
  file: FileHandle,
  { lines, end: size }: { readonly lines: number; readonly end: number },
): Promise<number> {
  if (lines <= 0) return size;
  let from = size;
  let data: Buffer = Buffer.alloc(0);
  for (;;) {
    const starts = wholeLineStarts(data, from === 0);
    const found = starts.length > lines ? starts.at(-lines) : undefined;
    if (found !== undefined) return from + found;
    if (from === 0) return starts.at(-lines) ?? 0;
    const length = Math.min(blockBytes, from);
    const block = Buffer.alloc(length);
    await file.read(block, 0, length, from - length);
    from -= length;
    data = Buffer.concat([block, data]);
  }
}

/** Offsets at which a line begins that is no continuation; the first of `data` counts only if it begins a record. */
function wholeLineStarts(data: Buffer, isStart: boolean): readonly number[] {
  const starts: number[] = [];
  const isInLine = { stdout: false, stderr: false };
  let at = isStart ? 0 : data.indexOf(newline) + 1;
  if (at === 0 && !isStart) return [];
  for (let end = data.indexOf(newline, at); end >= 0; end = data.indexOf(newline, at)) {
    const record = parseLogLine(data.subarray(at, end));
    if (record !== undefined) {
      if (!isInLine[record.stream]) starts.push(at);
      isInLine[record.stream] = record.isPartial;
    }
    at = end + 1;
  }
  return starts;
}
