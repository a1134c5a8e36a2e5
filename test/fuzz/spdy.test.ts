import {
  array,
  boolean,
  constantFrom,
  integer,
  oneof,
  record,
  tuple,
  uint8Array,
  type Arbitrary,
} from 'fast-check';
import { Duplex } from 'node:stream';
import { deflateSync } from 'node:zlib';
import { expect } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { isPodwrightError } from '#base/errors.ts';
import { spdyDictionary } from '#base/spdy/dictionary.ts';
import { encodeFrame, FrameDecoder, type SpdyFrame } from '#base/spdy/frames.ts';
import { decodeHeaders, encodeHeaders } from '#base/spdy/header-block.ts';
import { sessionBufferBytes, SpdySession, type SpdyStream } from '#base/spdy/session.ts';
import { fuzz } from './fuzz.ts';

const bytes = (maxLength: number): Arbitrary<Buffer> =>
  uint8Array({ maxLength }).map((array) => Buffer.from(array));

fuzz('SPDY bytes: frames, a refusal, or waiting, at every cut', {
  arbitrary: tuple(bytes(200), integer({ min: 1, max: 20 })),
  check: ([stream, step]) => {
    const read = (size: number): readonly SpdyFrame[] | 'refused' => {
      const decoder = new FrameDecoder();
      const frames: SpdyFrame[] = [];
      try {
        for (let at = 0; at < stream.length; at += size) {
          frames.push(...decoder.push(stream.subarray(at, at + size)));
        }
      } catch (error) {
        if (!isPodwrightError(error, 'E_INVALID')) throw error;
        return 'refused';
      }
      return frames;
    };
    expect(read(step)).toEqual(read(stream.length + 1));
  },
});

fuzz('SPDY header blocks', {
  arbitrary: oneof(
    bytes(100),
    tuple(integer({ min: 0, max: 0xffff_ffff }), bytes(60)).map(([count, rest]) => {
      const head = Buffer.alloc(4);
      head.writeUInt32BE(count);
      return Buffer.concat([head, rest]);
    }),
  ),
  check: (block) => {
    try {
      const headers = decodeHeaders(block);
      expect(decodeHeaders(encodeHeaders(headers))).toEqual(headers);
    } catch (error) {
      if (!isPodwrightError(error, 'E_INVALID')) throw error;
    }
  },
});

const streamId = oneof(integer({ min: 0, max: 9 }), integer({ min: 0, max: 0x7fff_ffff }));
const block = oneof(
  constantFrom({ streamtype: 'data' }, { streamtype: 'error', requestid: '1' }, {}).map((headers) =>
    deflateSync(encodeHeaders(headers), { dictionary: spdyDictionary, finishFlush: 2 }),
  ),
  bytes(30),
);
const frame: Arbitrary<SpdyFrame> = oneof(
  record({ type: constantFrom('data' as const), streamId, isFin: boolean(), data: bytes(2000) }),
  record({ type: constantFrom('synStream' as const), streamId, isFin: boolean(), block }),
  record({ type: constantFrom('synReply' as const, 'headers' as const), streamId, isFin: boolean(), block }),
  record({ type: constantFrom('rstStream' as const), streamId, status: integer({ min: 0, max: 20 }) }),
  record({ type: constantFrom('ping' as const), id: integer({ min: 0, max: 0xffff_ffff }) }),
  record({
    type: constantFrom('goAway' as const),
    lastStreamId: streamId,
    status: integer({ min: 0, max: 3 }),
  }),
);

/** A wire whose other end never waits; what is written to it is thrown away. */
function wire(): Duplex {
  return new Duplex({
    read: () => undefined,
    write: (_chunk, _encoding, callback) => void setImmediate(callback),
  });
}

fuzz('a SPDY session ends or goes on, holds no more than it may, and gives everything back', {
  arbitrary: record({
    frames: array(frame, { maxLength: 40 }),
    tail: bytes(20),
    behaviour: integer({ min: 0, max: 3 }),
  }),
  check: async ({ frames, tail, behaviour }) => {
    const transport = wire();
    const streams: SpdyStream[] = [];
    const session = new SpdySession({
      transport,
      isServer: true,
      clock: systemClock,
      onStream: (stream) => {
        streams.push(stream);
        if (behaviour === 0) stream.destroy();
        else if (behaviour === 1) stream.pipe(stream);
        else if (behaviour === 2) stream.resume();
      },
    });
    for (const one of frames) transport.push(encodeFrame(one));
    if (tail.length > 0) transport.push(tail);
    for (let turn = 0; turn < 3; turn++) await new Promise(setImmediate);
    const held = streams.reduce((sum, stream) => sum + stream.readableLength, 0);
    expect(held).toBeLessThanOrEqual(sessionBufferBytes + 1_048_576);
    transport.destroy();
    await session.closed;
  },
});
