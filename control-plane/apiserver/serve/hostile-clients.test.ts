import { once } from 'node:events';
import { connect as connectHttp2, constants, type ClientHttp2Session } from 'node:http2';
import { connect as connectTcp, type AddressInfo, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { silentLogger } from '#base/log.ts';
import { createAuthority } from '#control-plane/apiserver/pki/certificate.ts';
import { addressKey } from './connections-by-address.ts';
import type { DoorLimits } from './door-limits.ts';
import { createHttpServer } from './http-server.ts';
import { RequestTurns } from './request-turns.ts';
import { textResponse } from './respond.ts';

/*
 * Each hostile client is cut off, on loopback, within a time and a number of bytes; meanwhile another asks again and again, and does not notice.
 */

interface Door extends AsyncDisposable {
  readonly port: number;
}

async function open(limits: Partial<DoorLimits>): Promise<Door> {
  const serving = await createAuthority('test', Date.now());
  const server = createHttpServer({
    turns: new RequestTurns(),
    serving,
    caCertPem: serving.certPem,
    logger: silentLogger,
    handle: async (request) => {
      if (request.path === '/waits') await once(request.signal, 'abort');
      if (request.path === '/large') return textResponse(200, 'x'.repeat(4_000_000));
      return textResponse(200, String((await request.readBody()).byteLength));
    },
    upgrade: async () => {},
    limits,
  });
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => void sockets.add(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: async () => {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** Asks all the time, until it is told to stop. @returns the most that this process did while an answer was waited for, in milliseconds of processor time */
function askOn(port: number): { readonly stop: () => Promise<number> } {
  const stopping = new AbortController();
  const asking = (async () => {
    const open = (): ClientHttp2Session =>
      connectHttp2(`https://127.0.0.1:${port}`, { rejectUnauthorized: false }).on('error', () => undefined);
    let session = open();
    let longestMs = 0;
    while (!stopping.signal.aborted) {
      // On a busy machine it may have been idle itself for longer than it may: then it is told to go.
      if (session.closed || session.destroyed) session = open();
      const before = process.cpuUsage();
      try {
        const stream = session.request({ ':path': '/' });
        stream.resume();
        await once(stream, 'end');
      } catch (error) {
        if (session.closed || session.destroyed) continue;
        throw error;
      }
      const { user, system } = process.cpuUsage(before);
      longestMs = Math.max(longestMs, (user + system) / 1000);
      await sleep(5);
    }
    session.destroy();
    return longestMs;
  })();
  return {
    stop: () => {
      stopping.abort();
      return asking;
    },
  };
}

async function connectRaw(port: number, protocol: 'h2' | 'http/1.1'): Promise<TLSSocket> {
  const socket = connectTls({
    host: '127.0.0.1',
    port,
    rejectUnauthorized: false,
    ALPNProtocols: [protocol],
  });
  socket.on('error', () => undefined); // Being cut off is what is waited for.
  await once(socket, 'secureConnect');
  return socket;
}

function frame(type: number, flags: number, stream: number, payload: Buffer | string = ''): Buffer {
  const body = Buffer.from(payload);
  const head = Buffer.alloc(9);
  head.writeUIntBE(body.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, body]);
}

const preface = Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(4, 0, 0)]);
/** GET / of https, by the static table (RFC 7541, A). */
const getRoot = Buffer.from([0x82, 0x87, 0x84]);
const post = Buffer.from([0x83, 0x87, 0x84]);
const repeat = (one: Buffer, times: number): Buffer =>
  Buffer.concat(Array.from({ length: times }, () => one));
const word = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};

/** Writes pieces, one after another as they are taken, until the connection has ended; none after `piecesMax`, or after a minute. */
async function flood(
  socket: Socket,
  pieceOf: (index: number) => Buffer,
  { piecesMax, reads }: { readonly piecesMax: number; readonly reads: boolean },
): Promise<number> {
  if (reads) socket.resume();
  const endMs = performance.now() + 60_000;
  let index = 0;
  for (; index < piecesMax && performance.now() < endMs && !socket.destroyed && socket.writable; index++) {
    if (!socket.write(pieceOf(index)))
      await Promise.race([once(socket, 'drain'), once(socket, 'close'), sleep(100)]).catch(() => undefined);
    else await new Promise(setImmediate);
  }
  return index;
}

async function ended(socket: Socket, ms: number): Promise<boolean> {
  socket.resume();
  if (socket.destroyed) return true;
  return Promise.race([once(socket, 'close').then(() => true), sleep(ms, false, { ref: false })]);
}

interface Hostile {
  readonly name: string;
  readonly limits?: Partial<DoorLimits>;
  readonly protocol?: 'h2' | 'http/1.1' | 'tcp';
  /** Its connection is to have ended when this has, or soon after. */
  readonly attack: (socket: Socket) => Promise<unknown>;
}

const much = { piecesMax: 100_000, reads: true };

/** It is looked at each 300 ms, and never idle. */
const emptyFrames: Partial<DoorLimits> = { answeringMs: 300, emptyBytesMax: 1_000_000 };

const hostile: readonly Hostile[] = [
  {
    name: 'never begins a handshake',
    limits: { handshakeMs: 300 },
    protocol: 'tcp',
    attack: async () => undefined,
  },
  {
    name: 'sends a byte of a handshake now and then',
    limits: { handshakeMs: 300 },
    protocol: 'tcp',
    attack: (socket) => flood(socket, () => Buffer.from([0x16]), { piecesMax: 20, reads: true }),
  },
  {
    name: 'says nothing after the handshake, of HTTP/1.1',
    limits: { headersMs: 300, requestMs: 600 },
    protocol: 'http/1.1',
    attack: async () => undefined,
  },
  {
    name: 'sends headers without end, slowly',
    limits: { headersMs: 300, requestMs: 600 },
    protocol: 'http/1.1',
    attack: async (socket) => {
      socket.write('GET / HTTP/1.1\r\nhost: x\r\n');
      for (let at = 0; at < 40 && !socket.destroyed; at++) {
        socket.write(`x-${at}: y\r\n`);
        await sleep(50);
      }
    },
  },
  {
    name: 'sends headers without end, fast',
    protocol: 'http/1.1',
    attack: async (socket) => {
      socket.write('GET / HTTP/1.1\r\nhost: x\r\n');
      await flood(socket, (at) => Buffer.from(`x-${at}: ${'y'.repeat(10_000)}\r\n`), much);
    },
  },
  {
    name: 'sends a body slowly',
    limits: { headersMs: 200, requestMs: 300 },
    protocol: 'http/1.1',
    attack: async (socket) => {
      socket.write('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n');
      for (let at = 0; at < 40 && !socket.destroyed; at++) {
        socket.write('x');
        await sleep(50);
      }
    },
  },
  {
    name: 'keeps an idle connection of HTTP/2, and answers no ping',
    limits: { connectionIdleMs: 200, answeringMs: 200 },
    attack: async (socket) => void socket.write(preface),
  },
  {
    name: 'resets what it asks for (CVE-2023-44487)',
    attack: (socket) => {
      socket.write(preface);
      const pairs = (at: number): Buffer =>
        Buffer.concat(
          Array.from({ length: 50 }, (_none, i) => {
            const stream = 1 + 2 * (50 * at + i);
            return Buffer.concat([frame(1, 5, stream, getRoot), frame(3, 0, stream, word(8))]);
          }),
        );
      return flood(socket, pairs, much);
    },
  },
  {
    name: 'continues headers without end (CVE-2024-27316)',
    attack: (socket) => {
      socket.write(Buffer.concat([preface, frame(1, 1, 1, getRoot)]));
      return flood(socket, () => repeat(frame(9, 0, 1, Buffer.alloc(100)), 20), much);
    },
  },
  {
    name: 'sends settings without end (CVE-2019-9515)',
    limits: emptyFrames,
    attack: (socket) => {
      socket.write(preface);
      return flood(socket, () => repeat(frame(4, 0, 0), 1_500), much);
    },
  },
  {
    name: 'pings without end (CVE-2019-9512)',
    limits: emptyFrames,
    attack: (socket) => {
      socket.write(preface);
      return flood(socket, () => repeat(frame(6, 0, 0, Buffer.alloc(8)), 1_000), much);
    },
  },
  {
    name: 'opens its window by a byte, without end',
    limits: emptyFrames,
    attack: (socket) => {
      socket.write(preface);
      return flood(socket, () => repeat(frame(8, 0, 0, word(1)), 1_000), much);
    },
  },
  {
    name: 'sets priorities without end (CVE-2019-9513)',
    limits: emptyFrames,
    attack: (socket) => {
      socket.write(preface);
      return flood(socket, () => repeat(frame(2, 0, 1, Buffer.from([0, 0, 0, 0, 1])), 1_000), much);
    },
  },
  {
    name: 'sends frames of no known kind without end',
    limits: emptyFrames,
    attack: (socket) => {
      socket.write(preface);
      return flood(socket, () => repeat(frame(0xbb, 0, 0, Buffer.alloc(100)), 500), much);
    },
  },
  {
    name: 'sends empty pieces of a body without end (CVE-2019-9518)',
    limits: emptyFrames,
    attack: (socket) => {
      socket.write(Buffer.concat([preface, frame(1, 4, 1, post)]));
      return flood(socket, () => repeat(frame(0, 0, 1), 1_000), much);
    },
  },
  {
    name: 'asks for more streams than it may',
    limits: { streamsMax: 10, refusedStreamsMax: 20 },
    attack: (socket) => {
      const waits = Buffer.concat([Buffer.from([0x82, 0x87, 0x04, 0x06]), Buffer.from('/waits')]);
      socket.write(preface);
      socket.resume();
      return flood(socket, (at) => frame(1, 5, 1 + 2 * at, waits), much);
    },
  },
  {
    name: 'breaks its window',
    attack: async (socket) => {
      socket.write(Buffer.concat([preface, ...[1, 2].map(() => frame(8, 0, 0, word(0x7fffffff)))]));
    },
  },
];

describe.concurrent('a client that', () => {
  it.each(hostile)(
    '$name is cut off, and another does not notice',
    async ({ limits = {}, protocol, attack }) => {
      await using door = await open(limits);

      const other = askOn(door.port);
      const socket =
        protocol === 'tcp'
          ? connectTcp(door.port, '127.0.0.1').on('error', () => undefined)
          : await connectRaw(door.port, protocol ?? 'h2');
      await attack(socket);
      expect(await ended(socket, 60_000)).toBe(true);
      socket.destroy();
      expect(await other.stop()).toBeLessThan(2_000);
    },
  );
});

describe('connections', () => {
  it('of one address are bounded, those in all as well, and room that is given back is there again', async () => {
    for (const limits of [{ connectionsPerAddressMax: 3 }, { connectionsMax: 3 }]) {
      await using door = await open(limits);

      const sockets: Socket[] = [];
      for (let at = 0; at < 3; at++) sockets.push(await connectRaw(door.port, 'h2'));
      const fourth = connectTcp(door.port, '127.0.0.1').on('error', () => undefined);
      expect(await ended(fourth, 60_000)).toBe(true);
      expect(sockets.map(({ destroyed }) => destroyed)).toEqual([false, false, false]);
      sockets.pop()?.destroy();
      await expect
        .poll(async () => {
          const again = connectTls({ host: '127.0.0.1', port: door.port, rejectUnauthorized: false });
          again.on('error', () => undefined);
          const isOpen = await Promise.race([
            once(again, 'secureConnect').then(() => true),
            once(again, 'close').then(() => false),
          ]).catch(() => false);
          again.destroy();
          return isOpen;
        })
        .toBe(true);
      for (const socket of sockets) socket.destroy();
    }
  });

  it('with much to read are kept while they ask, and those that read nothing take nothing from others', async () => {
    await using door = await open({});

    const other = askOn(door.port);
    const deaf = connectHttp2(`https://127.0.0.1:${door.port}`, {
      rejectUnauthorized: false,
      settings: { initialWindowSize: 0 },
    });
    deaf.on('error', () => undefined);
    const streams = Array.from({ length: 10 }, () => deaf.request({ ':path': '/large' }));
    for (const stream of streams) stream.on('error', () => undefined);
    await Promise.all(streams.map((stream) => once(stream, 'response')));
    await sleep(300);
    expect(await other.stop()).toBeLessThan(2_000);
    for (const stream of streams) stream.close(constants.NGHTTP2_CANCEL);
    deaf.destroy();
  });
});

it.each([
  ['10.0.0.1', '0a000001'],
  ['::ffff:10.0.0.1', '0a000001'],
  ['2001:db8::1', '20010db800000000'],
  ['2001:db8::ffff', '20010db800000000'],
  ['2001:db8:0:1::1', '20010db800000001'],
  ['', ''],
])('addressKey() of %s', (address, want) => {
  expect(addressKey(address)).toBe(want);
});
