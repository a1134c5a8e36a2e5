import { assert, property, uint8Array } from 'fast-check';
import { Duplex } from 'node:stream';
import { deflateSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { createFakeClock, systemClock } from '#base/clock.ts';
import { spdyDictionary } from './dictionary.ts';
import { encodeFrame, FrameDecoder, type SpdyFrame } from './frames.ts';
import { createHeaderDeflater, createHeaderInflater, decodeHeaders, encodeHeaders } from './header-block.ts';
import { sessionBufferBytes, SpdySession, type SpdyStream } from './session.ts';

const frames: readonly SpdyFrame[] = [
  { type: 'data', streamId: 1, isFin: false, data: Buffer.from('hello') },
  { type: 'data', streamId: 0x7fff_ffff, isFin: true, data: Buffer.alloc(0) },
  { type: 'synStream', streamId: 3, isFin: true, block: Buffer.from([1, 2, 3]) },
  { type: 'synReply', streamId: 3, isFin: false, block: Buffer.from([4]) },
  { type: 'headers', streamId: 5, isFin: false, block: Buffer.from([5]) },
  { type: 'rstStream', streamId: 5, status: 5 },
  { type: 'ping', id: 0xffff_ffff },
  { type: 'goAway', lastStreamId: 9, status: 0 },
];

describe('SPDY frames', () => {
  test('round trip at every split point', () => {
    const bytes = Buffer.concat(frames.map(encodeFrame));
    for (let split = 0; split <= bytes.length; split++) {
      const decoder = new FrameDecoder();
      const got = [...decoder.push(bytes.subarray(0, split)), ...decoder.push(bytes.subarray(split))];
      expect(got).toEqual(frames);
      expect(decoder.isAtBoundary).toBe(true);
    }
  });

  test('garbage is refused or waited for, never anything else', () => {
    assert(
      property(uint8Array({ maxLength: 64 }), (bytes) => {
        try {
          for (const frame of new FrameDecoder().push(bytes)) expect(frame.type).toBeTypeOf('string');
        } catch (error) {
          expect(error).toMatchObject({ code: 'E_INVALID' });
        }
      }),
    );
  });

  test('a SYN_STREAM as the draft draws it', () => {
    const bytes = encodeFrame({
      type: 'synStream',
      streamId: 1,
      isFin: false,
      block: Buffer.from('ab', 'hex'),
    });
    expect(bytes.toString('hex')).toBe('800300010000000b00000001000000000000ab');
  });
});

describe('SPDY header blocks', () => {
  test('the dictionary is the one of SPDY/3', () => {
    expect(spdyDictionary).toHaveLength(1423);
    expect(deflateSync('', { dictionary: spdyDictionary }).subarray(2, 6).toString('hex')).toBe('e3c6a7c2');
  });

  test('blocks of one connection share a context', async () => {
    using deflater = createHeaderDeflater();
    using inflater = createHeaderInflater();

    for (let i = 0; i < 5; i++) {
      const headers = { streamtype: 'data', port: String(i), requestid: '0' };
      expect(decodeHeaders(await inflater.code(await deflater.code(encodeHeaders(headers))))).toEqual(
        headers,
      );
    }
  });

  test('truncated and damaged blocks are refused', async () => {
    const whole = encodeHeaders({ a: 'b', c: 'd' });
    for (let end = 0; end < whole.length; end++)
      expect(() => decodeHeaders(whole.subarray(0, end))).toThrow('cut short');
    using inflater = createHeaderInflater();

    await expect(inflater.code(Buffer.from('nonsense'))).rejects.toMatchObject({ code: 'E_INVALID' });
  });
});

/** Two ends of a wire that cuts what it carries into small pieces. */
function wire(pieceMax: number): readonly [Duplex, Duplex] {
  const make = (other: () => Duplex): Duplex =>
    new Duplex({
      read: () => undefined,
      write: (chunk: Buffer, _encoding, callback) => {
        for (let i = 0; i < chunk.length; i += pieceMax) other().push(chunk.subarray(i, i + pieceMax));
        setImmediate(callback);
      },
      final: (callback) => {
        other().push(null);
        callback();
      },
      destroy: (error, callback) => {
        other().push(null);
        callback(error);
      },
    });
  const a: Duplex = make(() => b);
  const b: Duplex = make(() => a);
  return [a, b];
}

async function readAll(stream: Duplex): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

describe('SpdySession', () => {
  test.each([1, 7, 65_536])('echoes streams over a wire of %d-byte pieces', async (pieceMax) => {
    const [left, right] = wire(pieceMax);
    const seen: string[] = [];
    await using _server = new SpdySession({
      transport: right,
      isServer: true,
      clock: systemClock,
      onStream: (stream: SpdyStream) => {
        seen.push(stream.headers['streamtype'] ?? '');
        stream.pipe(stream);
      },
    });
    await using client = new SpdySession({
      transport: left,
      isServer: false,
      clock: systemClock,
      onStream: () => undefined,
    });

    const names = ['error', 'stdin', 'stdout'];
    const echoed = await Promise.all(
      names.map(async (streamtype) => {
        const stream = await client.open({ streamtype });
        stream.end(`${streamtype} says hello`);
        return (await readAll(stream)).toString();
      }),
    );
    expect(echoed).toEqual(names.map((name) => `${name} says hello`));
    expect(seen).toEqual(names);
  });

  test('loses nothing of a large transfer to a slow reader', async () => {
    const [left, right] = wire(65_536);
    const size = 8_000_000;
    const received = Promise.withResolvers<number>();
    await using _server = new SpdySession({
      transport: right,
      isServer: true,
      clock: systemClock,
      onStream: async (stream) => {
        let total = 0;
        for await (const chunk of stream) {
          total += chunk.length;
          if (total % 5 === 0) await new Promise(setImmediate);
        }
        received.resolve(total);
      },
    });
    await using client = new SpdySession({
      transport: left,
      isServer: false,
      clock: systemClock,
      onStream: () => undefined,
    });

    const stream = await client.open({ streamtype: 'data' });
    for (let sent = 0; sent < size; sent += 100_000) {
      if (!stream.write(Buffer.alloc(100_000))) await new Promise((resolve) => stream.once('drain', resolve));
    }
    stream.end();
    expect(await received.promise).toBe(size);
  });

  test('what came before the peer closed can be read after', async () => {
    const [left, right] = wire(65_536);
    const opened = Promise.withResolvers<SpdyStream>();
    const server = new SpdySession({
      transport: right,
      isServer: true,
      clock: systemClock,
      onStream: opened.resolve,
    });
    await using client = new SpdySession({
      transport: left,
      isServer: false,
      clock: systemClock,
      onStream: () => undefined,
    });

    const [ended, cut] = [
      await client.open({ streamtype: 'error' }),
      await client.open({ streamtype: 'stdout' }),
    ];
    const stream = await opened.promise;
    await new Promise<void>((resolve) => stream.end('the last words', resolve));
    cut.end('never answered');
    await Promise.all([server[Symbol.asyncDispose](), client.closed]);
    expect((await readAll(ended)).toString()).toBe('the last words');
    await expect(readAll(cut)).rejects.toMatchObject({ code: 'E_CONNECTION' });
  });

  test('ends its streams when the wire is cut', async () => {
    const [left, right] = wire(100);
    const opened = Promise.withResolvers<SpdyStream>();
    await using _server = new SpdySession({
      transport: right,
      isServer: true,
      clock: systemClock,
      onStream: opened.resolve,
    });
    await using client = new SpdySession({
      transport: left,
      isServer: false,
      clock: systemClock,
      onStream: () => undefined,
    });

    await client.open({ streamtype: 'data' });
    const stream = await opened.promise;
    right.destroy();
    await expect(readAll(stream)).rejects.toMatchObject({ code: 'E_CONNECTION' });
  });

  /** A peer that writes what it likes and reads nothing. */
  function deafPeer(onStream: (stream: SpdyStream) => void = () => undefined, clock = createFakeClock()) {
    let [written, replies] = [0, 0];
    const transport = new Duplex({
      readableHighWaterMark: 65_536,
      read: () => undefined,
      write: () => void replies++, // Never called back: there is no room.
    });
    const session = new SpdySession({ transport, isServer: true, clock, onStream });
    const flood = async (bytes: Buffer, countMax: number): Promise<number> => {
      while (written < countMax && transport.push(bytes)) {
        written++;
        await new Promise(setImmediate);
      }
      return written;
    };
    return { transport, session, clock, flood, replies: () => replies };
  }

  test('a peer that sends pings and reads nothing is not read on', async () => {
    const { session, transport, flood, replies } = deafPeer();
    const pings = Buffer.concat(Array.from({ length: 1000 }, () => encodeFrame({ type: 'ping', id: 1 })));
    expect(await flood(pings, 1000)).toBeLessThan(20);
    expect(replies()).toBe(1);
    transport.destroy();
    await session.closed;
  });

  test.each([
    {
      name: 'streams',
      firstId: 2,
      frame: (id: number) => encodeFrame({ type: 'data', streamId: id, isFin: false, data: Buffer.of(1) }),
    },
    {
      name: 'streams beyond all count',
      firstId: 1,
      frame: (id: number) =>
        encodeFrame({
          type: 'synStream',
          streamId: id,
          isFin: false,
          block: deflateSync(encodeHeaders({ streamtype: 'x' }), {
            dictionary: spdyDictionary,
            finishFlush: 2,
          }),
        }),
    },
  ])('a peer that asks for resets of $name and reads nothing is not read on', async ({ frame, firstId }) => {
    const { session, transport, flood, replies } = deafPeer((stream) => stream.destroy());
    let id = firstId;
    const frames = Buffer.concat(Array.from({ length: 500 }, () => frame((id += 2))));
    expect(await flood(frames, 1000)).toBeLessThan(20);
    expect(replies()).toBeLessThan(5);
    transport.destroy();
    await session.closed;
  });

  test('what all streams hold together is bounded', async () => {
    const [left, right] = wire(65_536);
    const opened: SpdyStream[] = [];
    const server = new SpdySession({
      transport: right,
      isServer: true,
      clock: systemClock,
      onStream: (stream) => void opened.push(stream),
    });
    const client = new SpdySession({
      transport: left,
      isServer: false,
      clock: systemClock,
      onStream: () => undefined,
    });
    const streams = await Promise.all(Array.from({ length: 100 }, () => client.open({ streamtype: 'data' })));
    while (opened.length < streams.length) await new Promise(setImmediate); // open() awaits no answer.
    for (const stream of streams) stream.write(Buffer.alloc(250_000));
    for (let turn = 0; turn < 500; turn++) await new Promise(setImmediate);
    const held = (): number => opened.reduce((sum, stream) => sum + stream.readableLength, 0);
    expect(held()).toBeLessThan(sessionBufferBytes + 65_536);
    // Once they are read, the others' come.
    await Promise.all([
      ...streams.map((stream) => new Promise<void>((resolve) => stream.end(resolve))),
      ...opened.map(async (stream) => expect(await readAll(stream)).toHaveLength(250_000)),
    ]);
    await Promise.all([client[Symbol.asyncDispose](), server[Symbol.asyncDispose]()]);
  });

  test('a peer that never reads the end is cut off', async () => {
    const { session, clock, flood } = deafPeer();
    await flood(encodeFrame({ type: 'ping', id: 1 }), 1);
    for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
    const ended = session[Symbol.asyncDispose]();
    clock.advance(60_000);
    await ended;
  });

  test("streams with an id that is not the peer's end the connection", async () => {
    const [left, right] = wire(1000);
    const server = new SpdySession({
      transport: right,
      isServer: true,
      clock: systemClock,
      onStream: () => undefined,
    });
    left.write(
      encodeFrame({
        type: 'synStream',
        streamId: 2,
        isFin: false,
        block: deflateSync(encodeHeaders({}), { dictionary: spdyDictionary, finishFlush: 2 }),
      }),
    );
    left.resume();
    await server.closed;
  });
});
