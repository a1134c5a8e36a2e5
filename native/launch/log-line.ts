/**
 * The CRI log format (kubernetes/cri-api, `docs`: "container log format"): `<RFC 3339 time with nanoseconds> <stream> <tag> <text>`,
 * tag F for a line that ended and P for a part of one. The supervisor writes it in C; this is the same rule for the fake and for tests.
 */

/** Longest text of one log line, bytes; containerd's default max_container_log_line_size. */
export const logLineBytesMax = 16_384;

export type LogStream = 'stdout' | 'stderr';

/** What a stream has said since its last newline. */
export interface PartialLine {
  readonly text: Buffer;
}

export const noPartialLine: PartialLine = { text: Buffer.alloc(0) };

/** The log lines that `chunk` completes after `partial`, and what is left over. Pure. */
export function splitLogLines(
  partial: PartialLine,
  chunk: Buffer,
): {
  readonly lines: readonly { readonly text: Buffer; readonly isFull: boolean }[];
  readonly rest: PartialLine;
} {
  const lines: { text: Buffer; isFull: boolean }[] = [];
  let rest = Buffer.concat([partial.text, chunk]);
  for (;;) {
    const end = rest.indexOf(0x0a);
    const length = end < 0 ? rest.length : end;
    if (length > logLineBytesMax) {
      lines.push({ text: rest.subarray(0, logLineBytesMax), isFull: false });
      rest = rest.subarray(logLineBytesMax);
    } else if (end < 0) {
      return { lines, rest: { text: rest } };
    } else {
      lines.push({ text: rest.subarray(0, end), isFull: true });
      rest = rest.subarray(end + 1);
    }
  }
}

/** One line of a CRI log, with its newline. `nowMs` is milliseconds since the epoch. */
export function formatLogLine(nowMs: number, stream: LogStream, text: Buffer, isFull: boolean): Buffer {
  const stamp = new Date(nowMs).toISOString().replace(/(\.\d{3})Z$/, '$1000000Z');
  return Buffer.concat([Buffer.from(`${stamp} ${stream} ${isFull ? 'F' : 'P'} `), text, Buffer.from('\n')]);
}
