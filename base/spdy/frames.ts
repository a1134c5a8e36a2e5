import { PodwrightError } from '#base/errors.ts';
import { FrameAssembler } from '#base/frame-assembler.ts';
import { unreachable } from '#base/unreachable.ts';

/**
 * SPDY/3.1 framing (draft-mbelshe-httpbis-spdy-00), as far as Kubernetes speaks it. Big-endian throughout:
 *
 *   data:     0 | stream id (31) | flags (8) | length (24) | bytes
 *   control:  1 | version 3 (15) | type (16) | flags (8) | length (24) | body
 */
export type SpdyFrame =
  | { readonly type: 'data'; readonly streamId: number; readonly isFin: boolean; readonly data: Buffer }
  /** `block` is the compressed header block. */
  | { readonly type: 'synStream'; readonly streamId: number; readonly isFin: boolean; readonly block: Buffer }
  | { readonly type: 'synReply'; readonly streamId: number; readonly isFin: boolean; readonly block: Buffer }
  | { readonly type: 'rstStream'; readonly streamId: number; readonly status: number }
  | { readonly type: 'ping'; readonly id: number }
  | { readonly type: 'goAway'; readonly lastStreamId: number; readonly status: number }
  | { readonly type: 'headers'; readonly streamId: number; readonly isFin: boolean; readonly block: Buffer }
  /** SETTINGS, WINDOW_UPDATE and what may come: read over. */
  | { readonly type: 'ignored'; readonly control: number };

const headerLength = 8;
const controlBit = 0x8000_0000;
const versionBits = 0x8003_0000;
const flagFin = 0x01;

const SYN_STREAM = 1;
const SYN_REPLY = 2;
const RST_STREAM = 3;
const PING = 6;
const GOAWAY = 7;
const HEADERS = 8;

/** Bytes of one frame's payload that are accepted; the peers of Kubernetes send at most 64 KiB. */
export const frameLengthMax = 1_048_576;

export const rstInvalidStream = 2;
export const rstRefusedStream = 3;
export const rstCancel = 5;

/** Cuts a byte stream into frames, wherever it is split. */
export class FrameDecoder {
  readonly #assembler = new FrameAssembler({ headerBytes: headerLength, frameBytes });

  /**
   * The frames that are complete with this chunk, decoded one by one as they are asked for: a chunk of 64 KiB may hold 5,000.
   * @throws {E_INVALID} for what is no SPDY/3; the stream is lost then
   */
  *push(chunk: Uint8Array): Generator<SpdyFrame, void, void> {
    for (const frame of this.#assembler.push(chunk)) {
      yield decodeFrame(frame.subarray(0, headerLength), frame.subarray(headerLength));
    }
  }

  /** Whether the stream may end here. */
  get isAtBoundary(): boolean {
    return this.#assembler.isAtBoundary;
  }
}

function frameBytes(header: Buffer): number {
  const length = header.readUInt32BE(4) & 0xff_ffff;
  if (length > frameLengthMax)
    throw new PodwrightError('E_INVALID', `read SPDY frame: ${length} bytes are too many`);
  return headerLength + length;
}

function decodeFrame(header: Buffer, body: Buffer): SpdyFrame {
  const word = header.readUInt32BE(0);
  const isFin = ((header[4] ?? 0) & flagFin) !== 0;
  if (word < controlBit) return { type: 'data', streamId: word, isFin, data: body };
  const version = (word >>> 16) & 0x7fff;
  if (version !== 3) throw new PodwrightError('E_INVALID', `read SPDY frame: version ${version} is not 3`);
  return decodeControl(word & 0xffff, isFin, body);
}

function decodeControl(control: number, isFin: boolean, body: Buffer): SpdyFrame {
  const word = (offset: number): number => {
    if (body.length < offset + 4)
      throw new PodwrightError('E_INVALID', `read SPDY control frame ${control}: too short`);
    return body.readUInt32BE(offset);
  };
  const streamId = (): number => word(0) & 0x7fff_ffff;
  switch (control) {
    case SYN_STREAM:
      // Stream id, associated stream, priority and slot.
      if (body.length < 10) throw new PodwrightError('E_INVALID', 'read SPDY SYN_STREAM: too short');
      return { type: 'synStream', streamId: streamId(), isFin, block: body.subarray(10) };
    case SYN_REPLY:
      return { type: 'synReply', streamId: streamId(), isFin, block: body.subarray(4) };
    case HEADERS:
      return { type: 'headers', streamId: streamId(), isFin, block: body.subarray(4) };
    case RST_STREAM:
      return { type: 'rstStream', streamId: streamId(), status: word(4) };
    case PING:
      return { type: 'ping', id: word(0) };
    case GOAWAY:
      return { type: 'goAway', lastStreamId: streamId(), status: word(4) };
    default:
      return { type: 'ignored', control };
  }
}

/** The bytes of a frame. Blocks are compressed already. @throws {E_INVALID} for a frame that is only read */
export function encodeFrame(frame: SpdyFrame): Buffer {
  switch (frame.type) {
    case 'data':
      return withHeader(frame.streamId, frame.isFin, [frame.data]);
    case 'synStream':
      return control(SYN_STREAM, frame.isFin, [words(frame.streamId, 0), Buffer.alloc(2), frame.block]);
    case 'synReply':
      return control(SYN_REPLY, frame.isFin, [words(frame.streamId), frame.block]);
    case 'headers':
      return control(HEADERS, frame.isFin, [words(frame.streamId), frame.block]);
    case 'rstStream':
      return control(RST_STREAM, false, [words(frame.streamId, frame.status)]);
    case 'ping':
      return control(PING, false, [words(frame.id)]);
    case 'goAway':
      return control(GOAWAY, false, [words(frame.lastStreamId, frame.status)]);
    case 'ignored':
      throw new PodwrightError('E_INVALID', `write SPDY control frame ${frame.control}: not supported`);
    default:
      return unreachable(frame);
  }
}

function control(type: number, isFin: boolean, body: readonly Buffer[]): Buffer {
  return withHeader((versionBits | type) >>> 0, isFin, body);
}

function withHeader(word: number, isFin: boolean, body: readonly Buffer[]): Buffer {
  const length = body.reduce((sum, part) => sum + part.length, 0);
  const header = Buffer.alloc(headerLength);
  header.writeUInt32BE(word, 0);
  header.writeUInt32BE(((isFin ? flagFin : 0) << 24) | length, 4);
  return Buffer.concat([header, ...body], headerLength + length);
}

function words(...values: readonly number[]): Buffer {
  const buffer = Buffer.alloc(values.length * 4);
  for (const [index, value] of values.entries()) buffer.writeUInt32BE(value, index * 4);
  return buffer;
}
