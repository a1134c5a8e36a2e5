/** What containers do to their volumes while the agent makes, refreshes and binds them: nothing outside is ever touched. */
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Volume } from '#api/generated/objects.ts';
import { ensureInside } from '#native/fs/open-inside.ts';
import { makeNode } from '#native/sys/file.ts';
import { noClaims } from './claims/no-claims.fixture.ts';
import { createFakeMounter } from './mounter.fake.ts';
import { createPodVolumes } from './pod-volumes.ts';
import { bindSubPath, readInside } from './sub-path.ts';
import type { Mounter } from './volume.ts';

const isRoot = process.getuid?.() === 0;
let root: string;
let outside: string;

beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), 'walk-writes-'));
  outside = path.join(root, 'outside');
  mkdirSync(outside, { mode: 0o700 });
  writeFileSync(path.join(outside, 'secret'), 'of the host', { mode: 0o600 });
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

/** Owner and mode of everything outside. */
const hostFacts = (): readonly string[] =>
  ['.', ...readdirSync(outside)].map((name) => {
    const { mode, uid, gid } = statSync(path.join(outside, name));
    return `${name} ${uid}:${gid} ${(mode & 0o7777).toString(8)}`;
  });

const request = (volume: Volume) => ({
  pod: {
    metadata: { uid: 'u', namespace: 'ns', name: 'p' },
    spec: { containers: [], volumes: [volume], securityContext: { fsGroup: 2000 } },
  },
  downward: { field: () => 'value', resource: () => '1' },
  now: 0,
  signal: new AbortController().signal,
});

/** Swaps `d` for a link to the directory of the host and back, until it is told to stop. */
const swap = `
const { mkdirSync, renameSync, rmSync, symlinkSync } = require('node:fs');
const { parentPort, receiveMessageOnPort, workerData } = require('node:worker_threads');
const at = (name) => workerData.volume + '/' + name;
mkdirSync(at('d/in'), { recursive: true });
symlinkSync(workerData.outside, at('l'));
parentPort.postMessage('ready');
let turns = 0;
/** In between, the agent may have made a directory there. */
function put(name) {
  for (;;) {
    try {
      return renameSync(at(name), at('d'));
    } catch {
      try { rmSync(at('d'), { recursive: true, force: true }); } catch { /* It makes more. */ }
    }
  }
}
for (; receiveMessageOnPort(parentPort) === undefined; turns++) {
  renameSync(at('d'), at('x'));
  put('l');
  renameSync(at('d'), at('l'));
  put('x');
}
parentPort.postMessage(turns);
`;

async function swapping(volume: string, run: () => Promise<void> | void): Promise<number> {
  const worker = new Worker(swap, { eval: true, workerData: { volume, outside } });
  await once(worker, 'message');
  await run();
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  worker.postMessage('stop');
  const [turns] = await once(worker, 'message');
  await worker.terminate();
  return turns;
}

describe('emptyDir', () => {
  test.skipIf(!isRoot)('is given to the fsGroup once, before any container has it (needs root)', async () => {
    const volumes = createPodVolumes({
      directory: path.join(root, 'pods'),
      memoryDirectory: path.join(root, 'memory'),
      mounter: createFakeMounter(),
      objects: () => ({
        ...noClaims,
        configMap: async () => undefined,
        secret: async () => undefined,
        serviceAccountToken: async () => ({ token: '', refreshAtMs: 0 }),
      }),
    });
    const volume: Volume = { name: 'v', emptyDir: {} };
    const { byName } = await volumes.mount(request(volume));
    const directory = byName.get('v')?.path ?? '';
    expect(statSync(directory)).toMatchObject({ uid: 0, gid: 2000 });
    // What a container may do: a link at the place of a directory, and whatever it likes to its root.
    symlinkSync(outside, path.join(directory, 'd'));
    symlinkSync(path.join(outside, 'secret'), path.join(directory, 'f'));
    chownSync(directory, 0, 0);
    chmodSync(directory, 0o700);
    const before = hostFacts();
    await volumes.mount(request(volume));
    expect(hostFacts()).toEqual(before);
    expect(statSync(directory)).toMatchObject({ uid: 0, gid: 0, mode: 0o40700 });
    await volumes.remove('u');
    expect(hostFacts()).toEqual(before);
    expect(readFileSync(path.join(outside, 'secret'), 'utf8')).toBe('of the host');
  });

  test('is made beside its place: what was cut off is done again', async () => {
    const volumes = createPodVolumes({
      directory: path.join(root, 'pods'),
      memoryDirectory: path.join(root, 'memory'),
      mounter: createFakeMounter(),
      objects: () => ({
        ...noClaims,
        configMap: async () => undefined,
        secret: async () => undefined,
        serviceAccountToken: async () => ({ token: '', refreshAtMs: 0 }),
      }),
    });
    mkdirSync(path.join(root, 'pods/u/volumes/emptyDir/.v'), { recursive: true, mode: 0o700 });
    const pod = { metadata: { uid: 'u' }, spec: { containers: [], volumes: [{ name: 'v', emptyDir: {} }] } };
    await volumes.mount({ ...request({ name: 'v' }), pod });
    expect(readdirSync(path.join(root, 'pods/u/volumes/emptyDir'))).toEqual(['v']);
    expect(statSync(path.join(root, 'pods/u/volumes/emptyDir/v')).mode & 0o7777).toBe(0o777);
  });
});

describe('bindSubPath()', () => {
  const target = (): string => path.join(root, 'sub/c/0');
  const volume = (): string => path.join(root, 'v');

  test('never binds, makes or reads anything outside while a directory is swapped for a link', async () => {
    mkdirSync(volume(), { mode: 0o777 });
    const host = statSync(outside);
    const seen = { bound: 0, refused: 0 };
    const mounter: Mounter = {
      ...createFakeMounter(),
      bind: (source) => {
        const { ino, dev } = statSync(source);
        expect([dev, ino]).not.toEqual([host.dev, host.ino]);
        seen.bound++;
      },
    };
    const turns = await swapping(volume(), async () => {
      const start = performance.now();
      const isLongEnough = (ms: number): boolean => performance.now() - start > ms;
      // A second and a half, or on a busy machine until there was something to see.
      for (let round = 0; !isLongEnough(1500) || (seen.bound < 20 && !isLongEnough(20_000)); round++) {
        const subPath = ['d', 'd/in', `d/new${round % 5}/deep`][round % 3] ?? 'd';
        try {
          await bindSubPath({ root: volume(), subPath, target: target(), mounter });
        } catch (error) {
          expect(String(error)).toMatch(/leads out of the volume|ENOENT|without end/);
          seen.refused++;
        }
        expect(await readInside(volume(), 'd/secret', 100).catch(() => undefined)).toBeUndefined();
        await sleep(0);
      }
    });
    expect(turns).toBeGreaterThan(0);
    expect(seen.bound).toBeGreaterThan(0);
    expect(readdirSync(outside)).toEqual(['secret']);
  });

  test.skipIf(!isRoot)('opens no device and waits for no FIFO (needs root)', async () => {
    mkdirSync(volume());
    makeNode(path.join(volume(), 'pipe'), { type: 'p', major: 0, minor: 0, mode: 0o600 });
    makeNode(path.join(volume(), 'device'), { type: 'c', major: 10, minor: 130, mode: 0o600 }); // watchdog
    const bound: string[] = [];
    const mounter: Mounter = { ...createFakeMounter(), bind: (source) => void bound.push(source) };
    for (const subPath of ['pipe', 'device']) {
      expect(await bindSubPath({ root: volume(), subPath, target: target(), mounter })).toMatchObject({
        isFile: true,
      });
      await expect(readInside(volume(), subPath, 10)).rejects.toThrow('not a file');
    }
    expect(bound.length).toBe(2);
  });

  test('makes nothing through a link that leads nowhere', async () => {
    mkdirSync(volume());
    symlinkSync(path.join(outside, 'made'), path.join(volume(), 'd'));
    symlinkSync('nowhere', path.join(volume(), 'e'));
    const mounter = createFakeMounter();
    for (const subPath of ['d', 'd/x', 'e', 'e/x']) {
      await expect(bindSubPath({ root: volume(), subPath, target: target(), mounter })).rejects.toThrow(
        /leads out|ENOENT|EEXIST/,
      );
    }
    expect([readdirSync(outside), existsSync(path.join(volume(), 'nowhere'))]).toEqual([['secret'], false]);
  });

  test('never empties what is still mounted at its target', async () => {
    mkdirSync(path.join(volume(), 'd'), { recursive: true });
    mkdirSync(target(), { recursive: true });
    writeFileSync(path.join(target(), 'content of a volume'), '');
    const mounter: Mounter = { ...createFakeMounter(), unmount: () => false };
    await expect(bindSubPath({ root: volume(), subPath: 'd', target: target(), mounter })).rejects.toThrow(
      'ENOTEMPTY',
    );
    expect(readdirSync(target())).toEqual(['content of a volume']);
  });

  test('makes a path as deep as paths may be', () => {
    mkdirSync(volume());
    using made = ensureInside(volume(), Array.from({ length: 500 }, () => 'd').join('/'), 0o755);

    expect(made.type).toBe('directory');
  });
});
