import { chownSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

import { systemClock } from '#base/clock.ts';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';
import { bringDown } from './down.ts';
import { defaultOptions, parseKeptOptions, readKeptOptions } from './options.ts';
import { hasEnded, isAlive, isEnded, parseState, readState, startTicksOf } from './state.ts';

const healthy = {
  pid: 4711,
  startTicks: '123456',
  port: 6443,
  hosts: [{ name: 'node-1', ip: '172.31.255.11', pid: 4712, dataDir: '/var/lib/podwright/node-1' }],
};

describe('parseState()', () => {
  it('takes what up writes, and no path from it', () => {
    expect(parseState(JSON.stringify({ ...healthy, cgroup: '/sys/fs/cgroup', runDir: '/etc' }))).toEqual(
      healthy,
    );
  });

  const [host] = healthy.hosts;
  it('takes hosts of IPv6, as up writes them', () => {
    const state = { ...healthy, hosts: [{ ...host, ip: 'fd00:172:31:255::b' }] };
    expect(parseState(JSON.stringify(state))).toEqual(state);
  });

  it.each<{ readonly name: string; readonly change: object }>([
    ...[-1, 0, 1, 1.5, '4711', null, 2 ** 31].map((pid) => ({ name: `pid ${pid}`, change: { pid } })),
    ...['', 'x', '-1', 5].map((startTicks) => ({ name: `startTicks ${startTicks}`, change: { startTicks } })),
    ...[0, 65_536, '6443'].map((port) => ({ name: `port ${port}`, change: { port } })),
    { name: 'no hosts', change: { hosts: undefined } },
    { name: 'a host with pid 1', change: { hosts: [{ ...host, pid: 1 }] } },
    { name: 'a host without an address', change: { hosts: [{ ...host, ip: '172.31.255.1111' }] } },
    { name: 'a host with another name', change: { hosts: [{ ...host, name: '../x' }] } },
  ])('refuses $name', ({ change }) => {
    expect(typeof parseState(JSON.stringify({ ...healthy, ...change }))).toBe('string');
  });

  it('refuses what is cut off at any byte', () => {
    const text = JSON.stringify(healthy);
    for (let length = 0; length < text.length; length++)
      expect(typeof parseState(text.slice(0, length))).toBe('string');
  });
});

it('isAlive() believes no process that is not podwright up, whatever its start time', () => {
  expect(isAlive({ pid: process.pid, startTicks: startTicksOf(process.pid) ?? '' })).toBe(false);
});

it('hasEnded() is false of this process, and true of its pid with another start', () => {
  const startTicks = startTicksOf(process.pid) ?? '';
  expect([
    hasEnded({ pid: process.pid, startTicks }),
    hasEnded({ pid: process.pid, startTicks: '1' }),
  ]).toEqual([false, true]);
});

it.each([
  ['a process that runs', 'S', 11, '77', false],
  ['one whose first thread has ended, and others not', 'Z', 3, '77', false],
  ['one that waits to be reaped', 'Z', 1, '77', true],
  ['another of the same number', 'S', 1, '78', true],
])('isEnded() of %s', (_name, state, threads, started, want) => {
  const line = `4711 (no) de) ${state} 1 4711 4711 0 -1 4194304 0 0 0 0 0 0 0 0 20 0 ${threads} 0 ${started} 0 0`;
  expect(isEnded(line, '77')).toBe(want);
  expect(isEnded(undefined, '77')).toBe(true);
});

it.each([
  ['{"nodes":2,"port":7443}', { ...defaultOptions, nodes: 2, port: 7443 }],
  [
    '{"nodes":2,"port":7443,"nodeCidrMaskSize":22,"maxPods":400}',
    { ...defaultOptions, nodes: 2, port: 7443, nodeCidrMaskSize: 22, maxPods: 400 },
  ],
  [
    '{"nodes":2,"port":7443,"serverOption":["anonymous-auth=false"]}',
    { ...defaultOptions, nodes: 2, port: 7443, serverOption: ['anonymous-auth=false'] },
  ],
  ['{"nodes":2,"port":7443,"serverOption":["data=/x"]}', undefined],
  ['{"nodes":2,"port":7443,"serverOption":"x"}', undefined],
  ['{"nodes":2,"port":7443,"maxPods":0}', undefined],
  ['{"nodes":0,"port":7443}', undefined],
  ['{"nodes":2}', undefined],
  ['{', undefined],
])('parseKeptOptions(%s)', (text, want) => {
  expect(parseKeptOptions(text)).toEqual(want);
});

describe('readKeptOptions()', () => {
  const directory = scratchDirectory('podwright-options-');

  it('tells of damaged ones, and of none says nothing', async () => {
    const damaged: string[] = [];
    const read = (): Promise<unknown> => readKeptOptions(directory, (path) => void damaged.push(path));
    expect(await read()).toBeUndefined();
    expect(damaged).toEqual([]);
    writeFileSync(join(directory, 'options.json'), 'rubbish');
    expect(await read()).toBeUndefined();
    expect(damaged).toEqual([join(directory, 'options.json')]);
  });
});

describe.skipIf(process.getuid?.() !== 0)('up.json of somebody else (needs root)', () => {
  function openScratch() {
    const scratch = mkdtempSync(join(tmpdir(), 'podwright-state-'));
    const dataDir = join(scratch, 'data');
    mkdirSync(dataDir);
    const victim = join(scratch, 'victim');
    mkdirSync(victim);
    const write = (content: object): void => writeFileSync(join(dataDir, 'up.json'), JSON.stringify(content));
    return {
      dataDir,
      victim,
      write,
      down: () =>
        bringDown(dataDir, {
          purge: false,
          clock: systemClock,
          cgroupRoot: join(scratch, 'cgroup'),
          network: () => {
            throw new Error('nothing of the machine is asked');
          },
        }),
      [Symbol.dispose]: () => rmSync(scratch, { recursive: true }),
    };
  }

  it('is refused: another owner of the file or of its directory, a link', async () => {
    using given = openScratch();

    given.write({ ...healthy, runDir: given.victim });
    chownSync(join(given.dataDir, 'up.json'), 1000, 1000);
    await expect(given.down()).rejects.toThrow(
      /up\.json: it belongs to uid 1000, not to root; it is not podwright's/,
    );
    chownSync(join(given.dataDir, 'up.json'), 0, 0);
    chownSync(given.dataDir, 1000, 1000);
    await expect(given.down()).rejects.toMatchObject({ code: 'E_PERMISSION' });
    chownSync(given.dataDir, 0, 0);
    rmSync(join(given.dataDir, 'up.json'));
    symlinkSync(join(given.victim, 'x'), join(given.dataDir, 'up.json'));
    await expect(given.down()).rejects.toThrow(/symbolic link/);
    expect(existsSync(given.victim)).toBe(true);
  });

  it('that is damaged stays in a directory that is not ours, and nothing is signalled', async () => {
    using given = openScratch();

    given.write({ ...healthy, pid: -1, runDir: given.victim });
    await expect(given.down()).rejects.toThrow(
      /not a directory of podwright up, and its up.json is damaged; name the right one with --data$/,
    );
    await expect(readState(given.dataDir)).rejects.toMatchObject({ code: 'E_INVALID' });
    expect([existsSync(join(given.dataDir, 'up.json')), existsSync(given.victim)]).toEqual([true, true]);
  });
});
