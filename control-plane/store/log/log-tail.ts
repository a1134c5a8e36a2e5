/**
 * What lies in SQLite's write-ahead log behind the place up to which SQLite reads it (https://www.sqlite.org/fileformat2.html#walformat).
 *
 * SQLite takes the first frame that is not valid for the end of the log, which is right for a write that was cut off, and loses
 * all that follows where it is damage. The two differ: each commit is on the disk before the next begins, so that a commit with
 * another frame behind it was whole once. Only damage to the last commit looks like a write that was cut off; that one is the mark's to tell.
 */
const headerBytes = 32;
const frameHeaderBytes = 24;
const magicLittle = 0x377f_0682;
const magicBig = 0x377f_0683;

/** The two running sums of a log. */
type Sums = readonly [number, number];

interface LogReader {
  readonly view: DataView;
  readonly isLittle: boolean;
  readonly frameBytes: number;
  readonly frames: number;
}

/** Says what is damaged: a header that is none, or commits that were whole and are out of SQLite's reach; undefined where nothing is. Pure. */
export function findLostCommits(log: Uint8Array): string | undefined {
  if (log.byteLength < headerBytes) return undefined;
  const view = new DataView(log.buffer, log.byteOffset, log.byteLength);
  const magic = view.getUint32(0);
  const isLittle = magic === magicLittle;
  if (!isLittle && magic !== magicBig) {
    // Zeros are a log that was given its length and is not begun.
    return isZero(log) ? undefined : 'the header of store.db-wal is not as it was written';
  }
  const pageBytes = view.getUint32(8);
  const header = addSums(view, isLittle, { start: 0, end: 24, from: [0, 0] });
  const isHeader = header[0] === view.getUint32(24) && header[1] === view.getUint32(28);
  if (!isHeader || pageBytes < 512 || pageBytes > 65_536 || pageBytes % 8 !== 0)
    return 'the header of store.db-wal is not as it was written';
  const frameBytes = frameHeaderBytes + pageBytes;
  const reader = {
    view,
    isLittle,
    frameBytes,
    frames: Math.floor((log.byteLength - headerBytes) / frameBytes),
  };
  const end = endOfValid(reader, header);
  for (let frame = end; frame + 1 < reader.frames; frame++) {
    if (!isOfThisLog(reader, frame) || !isCommit(reader, frame) || !isOfThisLog(reader, frame + 1)) continue;
    if (isFollowedBy(reader, frame + 1, storedSums(reader, frame)))
      return `frame ${end + 1} of store.db-wal is not as it was written, and commits follow it`;
  }
  return undefined;
}

/** The first frame that SQLite does not take. */
function endOfValid(reader: LogReader, header: Sums): number {
  let sums = header;
  let frame = 0;
  for (; frame < reader.frames; frame++) {
    if (!isOfThisLog(reader, frame) || !isFollowedBy(reader, frame, sums)) break;
    sums = storedSums(reader, frame);
  }
  return frame;
}

/** A log that is begun anew gets other salts; what it had before stays behind its end. */
function isOfThisLog({ view, frameBytes }: LogReader, frame: number): boolean {
  const at = headerBytes + frame * frameBytes;
  return view.getUint32(at + 8) === view.getUint32(16) && view.getUint32(at + 12) === view.getUint32(20);
}

/** The last frame of a commit says how many pages the database then has. */
function isCommit({ view, frameBytes }: LogReader, frame: number): boolean {
  return view.getUint32(headerBytes + frame * frameBytes + 4) !== 0;
}

function storedSums({ view, frameBytes }: LogReader, frame: number): Sums {
  const at = headerBytes + frame * frameBytes;
  return [view.getUint32(at + 16), view.getUint32(at + 20)];
}

/** Whether the frame is whole, and was written behind what had these sums. */
function isFollowedBy(reader: LogReader, frame: number, before: Sums): boolean {
  const { view, isLittle, frameBytes } = reader;
  const at = headerBytes + frame * frameBytes;
  const head = addSums(view, isLittle, { start: at, end: at + 8, from: before });
  const sums = addSums(view, isLittle, { start: at + frameHeaderBytes, end: at + frameBytes, from: head });
  const stored = storedSums(reader, frame);
  return sums[0] === stored[0] && sums[1] === stored[1];
}

/** SQLite's checksum of a log, over whole pairs of 32 bits. */
function addSums(
  view: DataView,
  isLittle: boolean,
  { start, end, from }: { readonly start: number; readonly end: number; readonly from: Sums },
): Sums {
  let [first, second] = from;
  for (let at = start; at < end; at += 8) {
    first = (first + view.getUint32(at, isLittle) + second) >>> 0;
    second = (second + view.getUint32(at + 4, isLittle) + first) >>> 0;
  }
  return [first, second];
}

function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}
