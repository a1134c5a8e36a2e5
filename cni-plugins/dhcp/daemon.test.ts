/** A daemon on a clock of its own, with a server that does what it is told: what is asked when, and what the container keeps. */
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createFakeClock, type FakeClock } from '#base/clock.ts';
import { PodwrightError } from '#base/errors.ts';
import { createFakeNetlink, type FakeNetlink } from '#native/netlink/netlink.fake.ts';
import { startDhcpDaemon, type RunningDaemon } from './daemon.ts';
import { connectToDaemon, serveDaemon } from './daemon-socket.ts';
import type { LeaseRequest } from './holding.ts';
import { createTestServer, type TestServer } from './server.fixture.ts';

const netns = '/run/netns/c1';
const place = { kind: 'path', path: netns } as const;
const request: LeaseRequest = {
  network: 'lan',
  containerId: 'c1',
  ifname: 'eth0',
  netns,
  clientId: 'c1/lan/eth0',
  parameters: [1, 3],
  options: [[12, Buffer.from('web').toString('base64')]],
};
const attachment = { network: 'lan', containerId: 'c1', ifname: 'eth0' };
const { signal } = new AbortController();
const minute = 60_000;

let dir: string;
let clock: FakeClock;
let netlink: FakeNetlink;
let server: TestServer;
let problems: string[];
let daemons: RunningDaemon[];

async function start(): Promise<RunningDaemon> {
  const daemon = await startDhcpDaemon({
    netlink,
    openLink: async (path, ifname) => {
      const { links } = await netlink.state({ kind: 'path', path });
      if (!links.some(({ name }) => name === ifname)) throw new PodwrightError('E_NOT_FOUND', `no ${ifname}`);
      const waiting: Uint8Array[] = [];
      return {
        mac: '02:00:00:00:00:07',
        send: (frame) => {
          const reply = server.answer(frame);
          if (reply !== undefined) waiting.push(reply);
        },
        receiveNow: () => waiting.shift(),
        [Symbol.dispose]: () => undefined,
      };
    },
    stateDir: join(dir, 'leases'),
    clock,
    random: () => 0.5,
    onProblem: (problem) => void problems.push(problem),
  });
  daemons.push(daemon);
  return daemon;
}

/** Lets what is due happen, and what that waits for. */
async function pass(ms: number): Promise<void> {
  for (let left = ms; left >= 0; left -= 500) {
    clock.advance(Math.min(left, 500));
    await new Promise(setImmediate);
  }
}

const addresses = async (): Promise<readonly string[]> =>
  (await netlink.state(place)).addresses.map(({ address }) => address);
const files = (): number => readdirSync(join(dir, 'leases')).length;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'podwright-dhcp-'));
  clock = createFakeClock(1e12);
  netlink = createFakeNetlink();
  await netlink.createNetns(netns);
  await netlink.apply(place, [
    { op: 'addLink', name: 'eth0', link: { kind: 'dummy' } },
    { op: 'setLink', name: 'eth0', up: true },
    { op: 'ensureAddress', name: 'eth0', address: '10.9.0.5/24' },
  ]);
  server = createTestServer();
  server.rules.leaseSeconds = 600;
  problems = [];
  daemons = [];
});
afterEach(async () => {
  for (const daemon of daemons) await daemon[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true });
});

describe('a lease', () => {
  test('is asked for, renewed of its server at half its time, and given back', async () => {
    const daemon = await start();
    expect(await daemon.acquire(request, signal)).toMatchObject({
      address: '10.9.0.5/24',
      gateway: '10.9.0.1',
    });
    expect(server.heard).toEqual(['DISCOVER', 'REQUEST 10.9.0.5']);
    expect(await daemon.acquire(request, signal)).toMatchObject({ address: '10.9.0.5/24' });
    expect(server.heard).toHaveLength(2);
    await pass(5 * minute + 1000);
    expect(server.heard.slice(2)).toEqual(['REQUEST 10.9.0.5 to me']);
    await pass(5 * minute + 1000);
    expect(server.heard.slice(3)).toEqual(['REQUEST 10.9.0.5 to me']);
    expect(files()).toBe(1);
    await daemon.release(attachment, signal);
    await daemon.release(attachment, signal);
    expect(server.heard.slice(4)).toEqual(['RELEASE 10.9.0.5 to me']);
    expect([files(), await daemon.leaseOf(attachment, signal)]).toEqual([0, undefined]);
    await pass(20 * minute);
    expect(server.heard).toHaveLength(5);
  });

  test('of a silent server is asked of all in the end, then the address is taken away, and given again', async () => {
    const daemon = await start();
    await daemon.acquire(request, signal);
    server.rules.isSilent = true;
    server.heard.length = 0;
    await pass(8 * minute);
    expect(new Set(server.heard)).toEqual(new Set(['REQUEST 10.9.0.5 to me']));
    expect(server.heard.length).toBeGreaterThan(2);
    server.heard.length = 0;
    await pass(1.9 * minute);
    expect(new Set(server.heard)).toContain('REQUEST 10.9.0.5');
    expect(await addresses()).toEqual(['10.9.0.5/24']);
    await pass(2 * minute);
    expect(await addresses()).toEqual([]);
    expect(problems).toEqual([
      expect.stringContaining('lan/c1/eth0 has lost 10.9.0.5/24: no server gave it more time'),
    ]);
    expect(await daemon.leaseOf(attachment, signal)).toBeUndefined();
    server.rules.isSilent = false;
    await pass(3 * minute);
    expect(await addresses()).toEqual(['10.9.0.5/24']);
    expect((await netlink.state(place)).routes.map(({ destination }) => destination)).toContain('default');
    expect(await daemon.leaseOf(attachment, signal)).toMatchObject({ address: '10.9.0.5/24' });
  });

  test('that a server refuses to go on with is taken away at once', async () => {
    const daemon = await start();
    await daemon.acquire(request, signal);
    server.rules.refuses = true;
    await pass(5 * minute + 3000);
    expect(await addresses()).toEqual([]);
    expect(problems[0]).toContain('refused to give it more time');
  });

  test('that cannot be written down is not given; one that was given goes on, and ends in time', async () => {
    const daemon = await start();
    rmSync(join(dir, 'leases'), { recursive: true });
    await expect(daemon.acquire(request, signal)).rejects.toMatchObject({ code: 'ENOENT' });
    expect(server.holders()).toEqual([]);
    mkdirSync(join(dir, 'leases'));
    await daemon.acquire(request, signal);
    rmSync(join(dir, 'leases'), { recursive: true });
    await pass(5 * minute + 1000);
    expect(problems).toEqual([expect.stringContaining('write the lease of lan/c1/eth0: ENOENT')]);
    await pass(5 * minute);
    expect(server.heard.filter((words) => words === 'REQUEST 10.9.0.5 to me')).toHaveLength(2);
    server.rules.isSilent = true;
    await pass(11 * minute);
    expect(await addresses()).toEqual([]);
  });

  test('of a container that is gone is forgotten', async () => {
    const daemon = await start();
    await daemon.acquire(request, signal);
    await netlink.removeNetns(netns);
    await pass(6 * minute);
    expect([files(), problems]).toEqual([0, []]);
    await daemon.release(attachment, signal);
  });
});

describe('the next daemon', () => {
  test('renews what the one before obtained, when it is due', async () => {
    const first = await start();
    await first.acquire(request, signal);
    await first[Symbol.asyncDispose]();
    server.heard.length = 0;
    clock.stop(6 * minute);
    const second = await start();
    await pass(1000);
    expect(server.heard).toEqual(['REQUEST 10.9.0.5 to me']);
    await second.retain('lan', [{ containerID: 'c1', ifname: 'eth0' }], signal);
    await second.retain('other', [], signal);
    expect(files()).toBe(1);
    await second.retain('lan', [], signal);
    expect(server.heard.at(-1)).toBe('RELEASE 10.9.0.5 to me');
    expect(files()).toBe(0);
  });

  test('leaves alone what is no lease', async () => {
    await (await start()).acquire(request, signal);
    writeFileSync(join(dir, 'leases/x.json'), '{"version":1,"request":{}}');
    const daemon = await start();
    expect(problems).toEqual([expect.stringContaining('x.json is no lease')]);
    expect(await daemon.leaseOf(attachment, signal)).toBeDefined();
  });
});

test('who gives up is let go at once; meanwhile another call for the same is told to come again', async () => {
  server.rules.isSilent = true;
  const daemon = await start();
  const given = new AbortController();
  const first = daemon.acquire(request, given.signal);
  await expect(daemon.acquire(request, signal)).rejects.toMatchObject({ detail: { cniCode: 11 } });
  given.abort(new Error('given up'));
  await expect(first).rejects.toThrow('given up');
  server.rules.isSilent = false;
  expect(files()).toBe(0);
  await daemon.acquire(request, signal);
});

test('over a socket it says the same, and errors by their codes', async () => {
  const daemon = await start();
  const path = join(dir, 'sock');
  const listening = serveDaemon(daemon);
  await once(listening.listen(path), 'listening');
  const far = connectToDaemon(path);
  await far.ping(signal);
  const lease = await far.acquire(request, signal);
  expect(lease).toEqual(await daemon.leaseOf(attachment, signal));
  expect(await far.leaseOf(attachment, signal)).toEqual(lease);
  await expect(far.acquire({ ...request, containerId: 'c2', ifname: 'eth9' }, signal)).rejects.toThrow(
    'no eth9',
  );
  await far.retain('lan', [], signal);
  expect(await far.leaseOf(attachment, signal)).toBeUndefined();
  listening.close();
  await once(listening, 'close');
  await expect(far.ping(signal)).rejects.toMatchObject({ detail: { cniCode: 11 } });
});
