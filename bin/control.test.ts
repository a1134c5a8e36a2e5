import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { PodwrightError } from '#base/errors.ts';
import { http } from '#base/http/http.ts';
import { FakeImageStore } from '#agent/runtime/images/image-store.fake.ts';
import { connectControl, startControl, type AgentStatus } from './control.ts';
import { pullInto, renderPullProgress } from './pull/image-pull.ts';

let directory: string;
let socket: string;
let server: Server | undefined;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'control-'));
  socket = join(directory, 'agent.sock');
});
afterEach(() => {
  server?.close();
  rmSync(directory, { recursive: true, force: true });
});

it('an agent that answers nothing is waited for half a minute', async () => {
  const clock = createFakeClock();
  server = createServer((client) => client.on('error', () => undefined)).listen(socket);
  await once(server, 'listening');
  const asked = once(server, 'connection');
  const status = connectControl(socket, clock).status();
  status.catch(() => undefined);
  await asked;
  clock.advance(30_000);
  await expect(status).rejects.toMatchObject({
    code: 'E_TIMEOUT',
    message: `ask the agent at ${socket}: no answer in 30 s; is it stopped?`,
  });
});

it('an answer without end is not read', async () => {
  server = http
    .createServer((_request, response) => {
      const more = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(1_048_576, ' ')));
      };
      response.on('drain', more);
      more();
    })
    .listen(socket);
  await once(server, 'listening');
  await expect(connectControl(socket).images()).rejects.toMatchObject({ code: 'E_LIMIT' });
});

it('an agent that does not run is told', async () => {
  await expect(connectControl(socket).status()).rejects.toThrow('ENOENT; is it running?');
});

it('an archive comes as it is made, and what ends it early is told', async () => {
  const images = new FakeImageStore(createFakeClock());
  const { names } = images.add('used:1');
  const exportArchive = async function* ([reference]: readonly string[]) {
    yield Buffer.alloc(300_000, 'x');
    if (reference === 'bad:1') throw new PodwrightError('E_CONFLICT', 'read a layer: it is “short”');
  };
  images.add('bad:1');
  const ports = { containersOf: () => 0, pinned: [], status: () => ({}) as AgentStatus };
  const served = Object.assign(images, { exportArchive });
  await using _control = await startControl(socket, { ...ports, images: served });

  const client = connectControl(socket);
  const whole = await Array.fromAsync(await client.exportArchive(names));
  expect(Buffer.concat(whole).length).toBe(300_000);
  await expect(Array.fromAsync(await client.exportArchive(['bad:1']))).rejects.toThrow('it is “short”');
  await expect(client.exportArchive(['nobody:1'])).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
});

it('a pull is told of as it goes on, and how it ended', async () => {
  const images = new FakeImageStore(createFakeClock());
  images.serve('there:1');
  const ports = { containersOf: () => 0, pinned: [], status: () => ({}) as AgentStatus };
  await using _control = await startControl(socket, { ...ports, images });

  const client = connectControl(socket);
  const node = { name: 'node-1', control: client };
  const told: string[] = [];
  const { names } = await pullInto(node, 'there:1', (progress) =>
    told.push(renderPullProgress('node-1', 'there:1', progress)),
  );
  expect(names).toEqual(['docker.io/library/there:1']);
  // Once: no second has passed.
  expect(told).toEqual([expect.stringMatching(/^node-1: there:1: 0 of 1 layers, 0\.0 of [\d.]+ MiB$/)]);
  await expect(pullInto(node, 'nobody:1', () => undefined)).rejects.toMatchObject({
    ...{ code: 'E_NOT_FOUND', message: 'node-1: pull docker.io/library/nobody:1: not found' },
  });
});

it('prunes what no container uses, and not what is pinned', async () => {
  const images = new FakeImageStore(createFakeClock());
  const used = images.add('used:1');
  images.add('pinned:1');
  images.add('old:1');
  const pinned = ['docker.io/library/pinned:1'];
  const containersOf = (id: string): number => (id === used.id ? 1 : 0);
  const status = (): never => {
    throw new TypeError('not asked');
  };
  await using _control = await startControl(socket, { images, containersOf, pinned, status });

  const { removed, failures } = await connectControl(socket).pruneImages();
  expect([removed.flatMap(({ names }) => names), failures]).toEqual([['docker.io/library/old:1'], []]);
  expect(images.list().flatMap(({ names }) => names)).toEqual([
    'docker.io/library/used:1',
    'docker.io/library/pinned:1',
  ]);
});
