import { existsSync, linkSync, lstatSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { PodwrightError } from '#base/errors.ts';
import { silentLogger } from '#base/log.ts';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';
import { loadContract, type LoadedContract } from './load.ts';
import { refusal } from './status.ts';
import { createUnixClient, type UnixClient } from './unix-client.ts';
import { serveUnix, serviceOf, type Handlers, type UnixServerOptions } from './unix-server.ts';
import { listenAtPath, recordOf } from './unix-socket.ts';
import type { Services } from './health/health.ts';

const directory = scratchDirectory('frame-');
let contract: LoadedContract<'health-v1'>;
let places = 0;

beforeAll(async () => {
  contract = await loadContract('health-v1');
});

const place = (): string => join(directory, `s${places++}`);

function serve(
  path: string,
  handlers: Handlers<Services['grpc.health.v1.Health']>,
  options: Partial<UnixServerOptions> = {},
): Promise<AsyncDisposable> {
  const services = [serviceOf(contract.services['grpc.health.v1.Health'], handlers)];
  return serveUnix(contract, { path, services, clock: systemClock, log: silentLogger, ...options });
}

const clientOf = (path: string): UnixClient =>
  createUnixClient(contract, { endpoint: `unix://${path}`, timeoutMs: 30_000 });

describe('a call', () => {
  const check = (client: UnixClient, service = '', timeoutMs = 30_000): Promise<unknown> =>
    client.call(contract.services['grpc.health.v1.Health'].Check, { service }, { timeoutMs });

  it('is answered, or refused as the handler says', async () => {
    const path = place();
    await using _server = await serve(path, {
      Check: ({ service }) => {
        if (service === '') return { status: 'SERVING' };
        if (service === 'bug') throw new Error('oh');
        if (service === 'ours') throw new PodwrightError('E_BUSY', 'use it: it is busy');
        throw refusal('OUT_OF_RANGE', `no ${service}`);
      },
    });
    using client = clientOf(path);

    expect(lstatSync(path).mode & 0o777).toBe(0o600);
    expect(await check(client)).toEqual({ status: 'SERVING' });
    await expect(check(client, 'x')).rejects.toMatchObject({
      code: 'E_INVALID',
      detail: { status: 'OUT_OF_RANGE', details: 'no x' },
    });
    await expect(check(client, 'ours')).rejects.toMatchObject({ detail: { status: 'FAILED_PRECONDITION' } });
    await expect(check(client, 'bug')).rejects.toMatchObject({ detail: { status: 'INTERNAL' } });
  });

  it('ends with its deadline, and so does the work of the handler', async () => {
    const path = place();
    let ended = 0;
    await using _server = await serve(path, {
      Check: async (_request, { signal }) => {
        await systemClock.sleep(600_000, signal).catch(() => ended++);
        return {};
      },
    });
    using client = clientOf(path);

    // One that never reached the server may be the first.
    await expect
      .poll(async () => {
        await expect(check(client, '', 100)).rejects.toMatchObject({ code: 'E_TIMEOUT' });
        return ended;
      })
      .toBeGreaterThan(0);
  });

  it('is UNIMPLEMENTED without a handler, RESOURCE_EXHAUSTED when too long, UNAVAILABLE without a server', async () => {
    const path = place();
    await using _server = await serve(path, { Check: () => ({}) }, { messageBytesMax: 1000 });
    using client = clientOf(path);

    const watch = client.stream(
      contract.services['grpc.health.v1.Health'].Watch,
      {},
      new AbortController().signal,
    );
    await expect(Array.fromAsync(watch)).rejects.toMatchObject({ code: 'E_UNSUPPORTED' });
    await expect(check(client, 'x'.repeat(2000))).rejects.toMatchObject({ code: 'E_LIMIT' });
    using lost = clientOf(place());
    await expect(check(lost)).rejects.toMatchObject({
      code: 'E_CONNECTION',
      detail: { details: expect.stringMatching(/dial unix \/\S+: connect: no such file or directory/) },
    });
  });

  it('of a peer that is refused does not reach a handler', async () => {
    const path = place();
    await using _server = await serve(path, { Check: () => ({}) }, { refusePeer: () => 'not you' });
    using client = clientOf(path);

    await expect(check(client)).rejects.toMatchObject({ code: 'E_CONNECTION' });
  });
});

describe('a stream', () => {
  it('is as fast as its reader, and ends with it on both sides', async () => {
    const path = place();
    let sent = 0;
    const ended = Promise.withResolvers<void>();
    await using _server = await serve(path, {
      async *Watch() {
        try {
          for (; ; sent++) yield { status: 'SERVING' };
        } finally {
          ended.resolve();
        }
      },
    });
    using client = clientOf(path);
    const { Watch } = contract.services['grpc.health.v1.Health'];

    let taken = 0;
    for await (const _message of client.stream(Watch, {}, new AbortController().signal)) {
      if (++taken === 3) break;
    }
    await ended.promise;
    expect(sent).toBeLessThan(100_000);
  });

  it('ends with its signal by its reason, and with the server by what it says', async () => {
    const path = place();
    await using _server = await serve(path, {
      async *Watch({ service }, { signal }) {
        yield { status: 'SERVING' };
        if (service === 'gone') throw refusal('NOT_FOUND', 'gone');
        await systemClock.sleep(600_000, signal);
      },
    });
    using client = clientOf(path);
    const { Watch } = contract.services['grpc.health.v1.Health'];

    const stop = new AbortController();
    const reason = new Error('enough');
    const reading = (async () => {
      for await (const _message of client.stream(Watch, {}, stop.signal)) stop.abort(reason);
    })();
    await expect(reading).rejects.toBe(reason);
    const gone = client.stream(Watch, { service: 'gone' }, new AbortController().signal);
    await expect(Array.fromAsync(gone)).rejects.toMatchObject({ code: 'E_NOT_FOUND' });
  });
});

describe('listenAtPath()', () => {
  /** A socket at the path whose server is gone, as after a kill. */
  async function abandon(path: string, isOurs: boolean): Promise<void> {
    const server = createServer();
    if (isOurs) await listenAtPath(server, path);
    else {
      const moved = `${path}-moved`;
      await new Promise<void>((resolve) => server.listen(moved, resolve));
      linkSync(moved, path);
    }
    await new Promise<void>((resolve) => server.close(() => resolve()));
  }
  const taking = async (path: string): Promise<Server> => {
    const server = createServer();
    await listenAtPath(server, path);
    return server;
  };

  it('takes over what an earlier life of ours left, with no more beside it than before', async () => {
    const path = place();
    await abandon(path, true);
    expect(existsSync(path)).toBe(true);
    await using _again = await taking(path);
  });

  it.each([
    { name: 'a socket that nobody knows', make: (path: string) => abandon(path, false), code: 'E_USAGE' },
    {
      name: 'one put in the place of ours',
      make: async (path: string) => {
        await abandon(path, true);
        rmSync(path);
        await abandon(path, false);
      },
      code: 'E_USAGE',
    },
    { name: 'a file', make: (path: string) => writeFileSync(path, 'x'), code: 'E_USAGE' },
  ])('leaves $name', async ({ make, code }) => {
    const path = place();
    await make(path);
    const before = lstatSync(path).ino;
    await expect(taking(path)).rejects.toMatchObject({ code });
    expect(lstatSync(path).ino).toBe(before);
  });

  it('leaves one that is answered, and says so where a path is too long', async () => {
    const path = place();
    await using _server = await serve(path, {});
    await expect(taking(path)).rejects.toMatchObject({ code: 'E_BUSY' });
    await expect(taking(join(directory, 'x'.repeat(100)))).rejects.toMatchObject({ code: 'E_USAGE' });
    await expect(taking('/nowhere/at/all')).rejects.toMatchObject({ code: 'E_PERMISSION' });
  });

  it('removes at its end what it made, and nothing that took its place', async () => {
    const path = place();
    await (await serve(path, {}))[Symbol.asyncDispose]();
    expect([existsSync(path), existsSync(recordOf(path))]).toEqual([false, false]);
    const server = await serve(path, {});
    rmSync(path);
    writeFileSync(path, 'of others');
    await server[Symbol.asyncDispose]();
    expect(existsSync(path)).toBe(true);
  });
});
