/** A forwarder and whoever is, or is not, at the other end of its socket. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';
import { ensureForwarder } from '#native/launch/build.ts';
import { configureForwarder, declinedMessage, encodeAnswer, takenMessage } from '#native/launch/forwarder.ts';
import { createFakeNetlink } from '#native/netlink/netlink.fake.ts';
import { createFakeNft } from '#native/nft/nft.fake.ts';
import { createResident } from './resident.ts';

const directory = scratchDirectory('podwright-resident-');
const program = join(directory, 'loopback');
const sockets = [join(directory, 'first'), join(directory, 'second')] as const;
/** Prints who it is and what it was given. */
const alone = ['/bin/sh', '-c', 'echo "alone $0: $(cat)"'];

const open = new Set<Server>();
afterEach(() => {
  for (const server of open) server.close();
  open.clear();
});

beforeAll(async () => {
  const binary = configureForwarder(readFileSync(await ensureForwarder()), { sockets, program: alone });
  writeFileSync(program, binary, { mode: 0o755 });
});

async function listen(at: 0 | 1, server: Server): Promise<Server> {
  open.add(server);
  await once(server.listen(sockets[at]), 'listening');
  return server;
}

/** What a peer of a few lines does with a whole call. */
function peer(answer: (socket: Socket) => void): Server {
  return createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => answer(socket));
  });
}

interface Ended {
  readonly code: number;
  readonly stdout: string;
}

async function run(env: Readonly<Record<string, string>>, input: string): Promise<Ended> {
  const child = spawn(program, [], { env, stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.end(input);
  const [stdout, [code]] = await Promise.all([text(child.stdout), once(child, 'close')]);
  return { code: Number(code), stdout };
}

const version = (): Promise<Ended> => run({ CNI_COMMAND: 'VERSION' }, '{"cniVersion":"0.4.0"}');
const byItself: Ended = { code: 0, stdout: `alone ${program}: {"cniVersion":"0.4.0"}\n` };
const resident = (): Server =>
  createResident({ ports: { netlink: createFakeNetlink(), nft: createFakeNft() } });

describe('a forwarder', () => {
  test('is answered by a resident of its own namespaces, in the words of the plugin', async () => {
    await listen(1, resident());
    const { code, stdout } = await version();
    expect([code, JSON.parse(stdout)]).toMatchObject([
      0,
      { cniVersion: '0.4.0', supportedVersions: expect.any(Array) },
    ]);
    const failed = await run({ CNI_COMMAND: 'ADD' }, '{}');
    expect([failed.code, JSON.parse(failed.stdout)]).toMatchObject([1, { code: 4 }]);
  });

  test('asks the first that is there', async () => {
    await listen(
      0,
      peer((socket) => socket.end(Buffer.concat([takenMessage, encodeAnswer(7, 'first')]))),
    );
    await listen(1, resident());
    expect(await version()).toEqual({ code: 7, stdout: 'first' });
  });

  const silent: readonly (readonly [name: string, answer: (socket: Socket) => void])[] = [
    ['one that declines', (socket) => socket.end(declinedMessage)],
    ['one that goes away', (socket) => socket.destroy()],
    ['one that says something else', (socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')],
  ];
  test.each(silent)('does by itself what is not taken: by %s', async (_name, answer) => {
    await listen(0, peer(answer));
    expect(await version()).toEqual(byItself);
  });

  test('does by itself what nobody listens for', async () => {
    expect(await version()).toEqual(byItself);
  });

  test('does nothing twice: a call that was taken and not answered failed', async () => {
    await listen(
      0,
      peer((socket) => socket.end(takenMessage)),
    );
    const { code, stdout } = await version();
    expect([code, JSON.parse(stdout)]).toMatchObject([1, { code: 11 }]);
  });

  test('gives on megabytes of input', async () => {
    const input = JSON.stringify({ cniVersion: '0.4.0', text: 'x'.repeat(3_000_000) });
    expect((await run({ CNI_COMMAND: 'VERSION' }, input)).stdout).toBe(`alone ${program}: ${input}\n`);
    await listen(0, resident());
    expect(JSON.parse((await run({ CNI_COMMAND: 'VERSION' }, input)).stdout)).toMatchObject({
      cniVersion: '0.4.0',
    });
  });
});

test('a resident answers beside peers that send nothing, too much or half', async () => {
  await listen(0, resident());
  const peers = [Buffer.alloc(0), Buffer.alloc(64, 0xff), Buffer.of(9, 0, 0, 0, 0, 0, 0, 0, 65)].map(
    (data) => {
      const socket = connect(sockets[0]).on('error', () => undefined);
      socket.write(data);
      return socket;
    },
  );
  const dropped = Promise.withResolvers<void>();
  peers[1]?.once('close', () => dropped.resolve());
  expect(JSON.parse((await version()).stdout)).toMatchObject({ cniVersion: '0.4.0' });
  await dropped.promise; // What no forwarder says is not waited for.
  for (const socket of peers) socket.destroy();
});

test.skipIf(process.getuid?.() !== 0)('a resident of other namespaces declines (needs root)', async () => {
  await listen(0, resident());
  const child = spawn('unshare', ['--net', program], {
    env: { PATH: process.env['PATH'], CNI_COMMAND: 'VERSION' },
  });
  child.stdin.end('{}');
  expect(await text(child.stdout)).toBe(`alone ${program}: {}\n`);
});
