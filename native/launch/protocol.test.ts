import { assert, nat, property, tuple, uint8Array } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isPodwrightError } from '#base/errors.ts';
import { createFrameDecoder } from './frame-decoder.ts';
import {
  decodeEvent,
  decodeExits,
  encodeRequest,
  exitRecordBytes,
  frameBytesMax,
  frameHeaderBytes,
  MSG,
  renderErrno,
  wireVersion,
} from './protocol.ts';
import type { RequestMessage } from './protocol.ts';

function frame(type: number, body: Buffer, tag = 0, stream = 0): Buffer {
  const header = Buffer.alloc(frameHeaderBytes);
  header.writeUInt32LE(frameHeaderBytes + body.length, 0);
  header.writeUInt8(wireVersion, 4);
  header.writeUInt8(type, 5);
  header.writeUInt16LE(stream, 6);
  header.writeUInt32LE(tag, 8);
  return Buffer.concat([header, body]);
}

function exitRecord(id: string, status: number): Buffer {
  const record = Buffer.alloc(exitRecordBytes);
  record.write(id);
  record.writeUInt32LE(77, 64);
  record.writeInt32LE(status, 68);
  record.writeBigUInt64LE(1_500_000_000_000_500_000n, 72);
  record.writeBigUInt64LE(1_500_000_000_001_000_000n, 80);
  return record;
}

describe('encodeRequest()', () => {
  const launch = {
    id: 'c1',
    flags: 3,
    targetPid: 9,
    cloneFlags: 0x2002_0000,
    logPath: '/log',
    cgroup: '/cg',
    program: Buffer.from('program!'),
  };
  it.each<{ readonly message: RequestMessage; readonly type: number; readonly length: number }>([
    { message: { kind: 'launch', tag: 1, launch }, type: MSG.LAUNCH, length: 12 + 96 + 16 + 8 },
    { message: { kind: 'kill', tag: 1, id: 'c1', signal: 9, all: true }, type: MSG.KILL, length: 12 + 72 },
    { message: { kind: 'attach', tag: 1, id: 'c1' }, type: MSG.ATTACH, length: 12 + 64 },
    { message: { kind: 'reopenLog', tag: 1, id: 'c1' }, type: MSG.REOPEN_LOG, length: 12 + 64 },
    { message: { kind: 'list', tag: 1 }, type: MSG.LIST, length: 12 },
    { message: { kind: 'stop', tag: 1 }, type: MSG.STOP, length: 12 },
    { message: { kind: 'stdin', handle: 1, data: Buffer.from('abc') }, type: MSG.STDIN, length: 15 },
    { message: { kind: 'stdinClose', handle: 1 }, type: MSG.STDIN_CLOSE, length: 12 },
    { message: { kind: 'detach', handle: 1 }, type: MSG.DETACH, length: 12 },
    { message: { kind: 'credit', handle: 1, stream: 1, bytes: 5 }, type: MSG.CREDIT, length: 20 },
    { message: { kind: 'resize', handle: 1, columns: 80, rows: 25 }, type: MSG.RESIZE, length: 20 },
  ])('encodes $message.kind', ({ message, type, length }) => {
    const encoded = encodeRequest(message);
    const got = [
      encoded.readUInt32LE(0),
      encoded.readUInt8(4),
      encoded.readUInt8(5),
      encoded.readUInt32LE(8),
      encoded.length,
    ];
    expect(got).toEqual([length, wireVersion, type, 1, length]);
  });

  it('refuses a frame that the supervisor would not take', () => {
    const data = Buffer.alloc(frameBytesMax);
    expect(() => encodeRequest({ kind: 'stdin', handle: 1, data })).toThrow(/at most 8388608/);
    const large = { kind: 'stdin', handle: 1, data: Buffer.alloc(2_000_000) } as const;
    expect(encodeRequest(large).length).toBe(2_000_012);
    expect(() => encodeRequest(large, 1_048_576)).toThrow(/2000012 bytes, at most 1048576; .* give less/);
  });
});

describe('decodeEvent()', () => {
  it('reads an exit by status and by signal', () => {
    expect(decodeEvent(frame(MSG.EXIT, exitRecord('c1', 7 << 8)))).toEqual({
      kind: 'exit',
      exit: {
        id: 'c1',
        pid: 77,
        code: 7,
        signal: undefined,
        startedAtMs: 1_500_000_000_000.5,
        finishedAtMs: 1_500_000_000_001,
      },
    });
    // 0x80: a core was dumped.
    expect(decodeEvent(frame(MSG.EXIT, exitRecord('c1', 11 | 0x80)))).toMatchObject({
      exit: { code: 139, signal: 11 },
    });
  });

  it('throws E_INVALID, or decodes, for any frame at all', () => {
    const anyFrame = tuple(nat(255), uint8Array({ maxLength: 300 }), nat(65_535));
    assert(
      property(anyFrame, ([type, body, stream]) => {
        try {
          decodeEvent(frame(type, Buffer.from(body), 1, stream));
        } catch (error) {
          expect(isPodwrightError(error, 'E_INVALID')).toBe(true);
        }
      }),
      { verbose: true },
    );
  });
});

describe('decodeExits()', () => {
  it('leaves out a record that was cut off', () => {
    const whole = Buffer.concat([exitRecord('a', 0), exitRecord('b', 0)]);
    for (let length = 0; length <= whole.length; length++) {
      const ids = decodeExits(whole.subarray(0, length)).map((exit) => exit.id);
      expect(ids).toEqual(['a', 'b'].slice(0, Math.floor(length / exitRecordBytes)));
    }
  });
});

describe('createFrameDecoder()', () => {
  const frames = [
    frame(MSG.HELLO, Buffer.alloc(16)),
    frame(MSG.OUTPUT, Buffer.from('text')),
    frame(MSG.DETACHED, Buffer.alloc(0)),
  ];
  const stream = Buffer.concat(frames);

  it('finds the same frames wherever the stream is split', () => {
    for (let first = 0; first <= stream.length; first++) {
      for (let second = first; second <= stream.length; second++) {
        const decoder = createFrameDecoder();
        const pieces = [stream.subarray(0, first), stream.subarray(first, second), stream.subarray(second)];
        expect(pieces.flatMap((piece) => decoder.push(piece))).toEqual(frames);
      }
    }
  });

  it('refuses another version and a length out of bounds', () => {
    const other = Buffer.from(stream);
    other.writeUInt8(wireVersion + 1, 4);
    expect(() => createFrameDecoder().push(other)).toThrow('version 2, this is 1');
    for (const length of [0, 11, frameBytesMax + 1, 0xffff_ffff]) {
      const bad = Buffer.from(stream);
      bad.writeUInt32LE(length, 0);
      expect(() => createFrameDecoder().push(bad)).toThrow(`${length} bytes`);
    }
  });
});

describe('renderErrno()', () => {
  it('names errnos, and numbers that have no name', () => {
    expect([2, 13, 0, -5, 3999].map(renderErrno)).toEqual([
      'ENOENT',
      'EACCES',
      'errno 0',
      'errno -5',
      'errno 3999',
    ]);
  });
});
