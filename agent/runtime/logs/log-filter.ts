/** CRI log lines in, text out: what a PodLogOptions asks for. Pure but for its own buffer. */

export interface LogFilterOptions {
  readonly sinceTimeMs?: number | undefined;
  /** Stops after so many bytes of output. */
  readonly limitBytes?: number | undefined;
  /** Each line begins with its RFC 3339 time. */
  readonly timestamps?: boolean;
  /** Only one of the two. */
  readonly stream?: 'stdout' | 'stderr' | undefined;
}

export const newline = 0x0a;
const space = 0x20;
const newlineBytes = Buffer.from([newline]);
const spaceBytes = Buffer.from([space]);

/** A longer one is passed over, whole: the supervisor breaks lines at 16 KiB. */
export const recordBytesMax: number = 64 * 1024;

export class LogFilter {
  readonly #options: LogFilterOptions;
  #rest: Buffer = Buffer.alloc(0);
  /** What comes up to the next line's end belongs to a record that is too long. */
  #isPassingOver = false;
  #leftBytes: number;
  /** Whether the last record of each stream was a part (`P`): its continuation gets no time of its own. */
  readonly #isInLine = { stdout: false, stderr: false };

  constructor(options: LogFilterOptions) {
    this.#options = options;
    this.#leftBytes = options.limitBytes ?? Number.POSITIVE_INFINITY;
  }

  /** Whether limitBytes is used up. */
  get isFull(): boolean {
    return this.#leftBytes <= 0;
  }

  /** The text of the whole lines in what came so far. */
  push(chunk: Uint8Array): Buffer {
    const data = this.#rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.#rest, chunk]);
    const output: Buffer[] = [];
    let at = 0;
    for (let end = data.indexOf(newline, at); end >= 0; end = data.indexOf(newline, at)) {
      if (!this.#isPassingOver) this.#takeLine(data.subarray(at, end + 1), output);
      this.#isPassingOver = false;
      at = end + 1;
    }
    this.#isPassingOver ||= data.length - at > recordBytesMax;
    this.#rest = this.#isPassingOver ? Buffer.alloc(0) : data.subarray(at);
    const text = Buffer.concat(output);
    const limited = text.length > this.#leftBytes ? text.subarray(0, this.#leftBytes) : text;
    this.#leftBytes -= limited.length;
    return limited;
  }

  /** A line that is not of the format (a disk that was full in the middle of one) is passed over. */
  #takeLine(lineWithEnd: Buffer, output: Buffer[]): void {
    const line = lineWithEnd.subarray(0, -1);
    const record = parseLogLine(line);
    if (record === undefined) return;
    const { stream, timestamps, sinceTimeMs } = this.#options;
    const isContinued = this.#isInLine[record.stream];
    this.#isInLine[record.stream] = record.isPartial;
    if (stream !== undefined && record.stream !== stream) return;
    if (sinceTimeMs !== undefined && Date.parse(line.toString('latin1', 0, record.timeEnd)) < sinceTimeMs)
      return;
    if (timestamps === true && !isContinued) output.push(line.subarray(0, record.timeEnd), spaceBytes);
    // The line's own end is the text's, unless it has none, being a part, or being without the space before an empty text.
    if (record.isPartial) output.push(line.subarray(record.textStart));
    else output.push(record.textStart > line.length ? newlineBytes : lineWithEnd.subarray(record.textStart));
  }
}

export interface LogRecord {
  /** The line begins with its time. */
  readonly timeEnd: number;
  readonly stream: 'stdout' | 'stderr';
  readonly isPartial: boolean;
  /** Beyond the line's end when it has no text, not even an empty one. */
  readonly textStart: number;
}

/** `2026-11-20T08:27:50.594980853Z stdout F text`; the tag may have more words after a colon. */
export function parseLogLine(line: Buffer): LogRecord | undefined {
  const first = line.indexOf(space);
  const second = line.indexOf(space, first + 1);
  if (first < 0 || second < 0) return undefined;
  const third = line.indexOf(space, second + 1);
  const stream = line.toString('latin1', first + 1, second);
  const tag = line.toString('latin1', second + 1, third < 0 ? line.length : third).split(':', 1)[0];
  if ((stream !== 'stdout' && stream !== 'stderr') || (tag !== 'P' && tag !== 'F')) return undefined;
  return {
    timeEnd: first,
    stream,
    isPartial: tag === 'P',
    textStart: third < 0 ? line.length + 1 : third + 1,
  };
}
