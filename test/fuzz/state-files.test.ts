/** Files that an agent reads at its start, damaged at any byte: the others are read all the same, and nothing throws that nobody expects. */
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { integer } from 'fast-check';
import { afterAll, beforeAll, expect } from 'vitest';

import { createResultCache, type CachedAttachment } from '#agent/network/result-cache.ts';
import {
  readImageRecords,
  repairImageRecords,
  writeImageRecords,
  type StoredImage,
} from '#agent/runtime/images/image-records.ts';
import {
  readPods,
  writeContainer,
  writeSandbox,
  type ContainerDocument,
  type SandboxDocument,
} from '#agent/runtime/pod-state.ts';
import { sandboxConfig } from '#agent/runtime/runtime.conformance.ts';
import { parseNetworkConfigList } from '#api/cni/network-config.ts';
import { parseIp } from '#base/ip.ts';
import { parseResult } from '#api/cni/result.ts';
import { createDiskStore } from '#cni-plugins/host-local/disk-store.ts';
import { decodeExits } from '#native/launch/protocol.ts';
import { damageFile, randomFrom, type Random } from './damage.ts';
import { fuzz } from './fuzz.ts';

let root = '';
beforeAll(() => {
  root = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'podwright-fuzz-'));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** A copy of what `make` made once, to be damaged. */
function fresh(name: string, make: (directory: string) => void): string {
  const [whole, copy] = [join(root, `${name}-whole`), join(root, name)];
  if (!existsSync(whole)) {
    mkdirSync(whole);
    make(whole);
  }
  rmSync(copy, { recursive: true, force: true });
  cpSync(whole, copy, { recursive: true });
  return copy;
}

const one = <T>(random: Random, from: readonly T[]): T => {
  const found = from[random(from.length)];
  if (found === undefined) throw new RangeError('nothing to choose from');
  return found;
};

const uids = ['u1', 'u2', 'u3'] as const;
const sandboxOf = (uid: string): SandboxDocument => ({
  version: 1,
  phase: 'ready',
  config: sandboxConfig(uid),
  createdAtMs: 1,
  ips: ['10.0.0.2'],
});
const containerOf = (uid: string): ContainerDocument => ({
  version: 1,
  id: `c-${uid}`,
  name: 'main',
  attempt: 0,
  image: 'busybox',
  imageId: 'sha256:1',
  diffIds: ['sha256:2'],
  createdAtMs: 2,
  logPath: undefined,
  tty: false,
  stdin: false,
  stopSignal: 15,
  termination: undefined,
  cgroup: `kubepods/${uid}`,
  exec: {
    env: [],
    cwd: '/',
    user: { uid: 0, gid: 0, groups: [] },
    security: {},
  } as unknown as ContainerDocument['exec'],
  sandboxAttempt: 0,
  state: { state: 'created' },
});

fuzz('documents of pods', {
  arbitrary: integer(),
  seconds: 2,
  check: async (seed) => {
    const random = randomFrom(seed);
    const directory = fresh('pods', (made) => {
      for (const uid of uids) {
        void writeSandbox(`${made}/${uid}`, sandboxOf(uid));
        void writeContainer(`${made}/${uid}`, containerOf(uid));
      }
    });
    const uid = one(random, uids);
    const what = damageFile(
      `${directory}/${uid}/${one(random, ['sandbox.json', `containers/c-${uid}.json`])}`,
      random,
      16,
    );
    const { pods, unreadable } = await readPods(directory);
    for (const other of uids.filter((each) => each !== uid)) {
      const found = pods.find(({ sandbox }) => sandbox.config.uid === other);
      expect(found, what).toMatchObject({ sandbox: sandboxOf(other), damage: undefined });
      expect(found?.containers, what).toHaveLength(1);
    }
    for (const error of unreadable) expect(error.message).toBe(`read state of pod ${uid}`);
  },
});

const imageOf = (id: string): StoredImage => ({
  id: `sha256:${id}`,
  names: [`docker.io/library/${id}:1`],
  digests: [],
  sizeBytes: 1000,
  createdAtMs: 0,
  user: '',
  layerIds: ['sha256:a', 'sha256:b'],
  manifests: [],
});

fuzz('images.json and its copy', {
  arbitrary: integer(),
  seconds: 2,
  check: async (seed) => {
    const random = randomFrom(seed);
    const directory = join(root, 'images');
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(directory);
    const path = join(directory, 'images.json');
    const images = ['one', 'two', 'three'].map(imageOf);
    await writeImageRecords(path, images);
    const [first, second] = random(2) === 0 ? [path, `${path}.copy`] : [`${path}.copy`, path];
    const isBoth = random(3) === 0;
    const what = [damageFile(first, random, 64), isBoth ? damageFile(second, random, 64) : ''].join('; ');
    const found = await readImageRecords(path);
    if (!isBoth) expect(found.images, what).toEqual(images);
    expect([images, []], what).toContainEqual(found.images);
    if (found.damage === undefined) return;
    await repairImageRecords(path, found.images);
    expect(await readImageRecords(path)).toEqual({ images: found.images, damage: undefined });
  },
});

const conflist = '{"cniVersion":"1.1.0","name":"net","plugins":[{"type":"bridge"}]}';
const attachmentOf = (containerId: string): CachedAttachment => ({
  list: parseNetworkConfigList(conflist),
  containerId,
  ifname: 'eth0',
  netns: '/run/netns/x',
  args: { K8S_POD_NAME: 'p' },
  capabilityArgs: { portMappings: [{ hostPort: 80, containerPort: 80, protocol: 'tcp' }] },
  result: parseResult({ cniVersion: '1.1.0', ips: [{ address: '10.0.0.2/32' }] }),
});

fuzz('cached results of CNI', {
  arbitrary: integer(),
  seconds: 2,
  check: async (seed) => {
    const random = randomFrom(seed);
    const directory = join(root, 'cni');
    rmSync(directory, { recursive: true, force: true });
    const cache = createResultCache(directory);
    for (const id of ['a', 'b', 'c']) await cache.save(attachmentOf(id), conflist);
    const name = one(random, readdirSync(join(directory, 'results')));
    const what = damageFile(join(directory, 'results', name), random, 16);
    const found = new Map((await cache.list()).map((each) => [each.containerId, each]));
    for (const id of ['a', 'b', 'c']) {
      if (name.includes(`-${id}-`)) await cache.load('net', id, 'eth0');
      else expect(found.get(id), what).toEqual(attachmentOf(id));
    }
  },
});

fuzz('leases of host-local', {
  arbitrary: integer(),
  seconds: 2,
  check: async (seed) => {
    const random = randomFrom(seed);
    const directory = join(root, 'leases');
    rmSync(directory, { recursive: true, force: true });
    const store = createDiskStore(directory);
    const signal = AbortSignal.timeout(150_000);
    const owner = (id: string) => ({ containerID: id, ifname: 'eth0' });
    const ipOf = (text: string) => parseIp(text) ?? expect.fail(text);
    const addresses = ['10.0.0.2', '10.0.0.3', '10.0.0.4'];
    await store.withLock('net', signal, async (leases) => {
      for (const [at, text] of addresses.entries()) await leases.reserve(ipOf(text), owner(`c${at}`), 0);
    });
    const name = one(random, [...addresses, 'last_reserved_ip.0', 'lock']);
    const what = damageFile(join(directory, 'net', name), random, 16);
    await store.withLock('net', signal, async (leases) => {
      await leases.lastReserved(0);
      for (const [at, text] of addresses.entries()) {
        if (text !== name) expect(await leases.ownedBy(owner(`c${at}`)), what).toContainEqual(ipOf(text));
      }
      expect(await leases.reserve(ipOf('10.0.0.9'), owner('new'), 0), what).toBe(true);
      // What nobody owns by now is collected, as at the start of an agent.
      await leases.retain(({ containerID }) => containerID === 'new');
      expect(await leases.list()).toEqual([ipOf('10.0.0.9')]);
    });
  },
});

fuzz('exits of containers', {
  arbitrary: integer(),
  seconds: 2,
  check: (seed) => {
    const random = randomFrom(seed);
    const path = join(root, 'exits');
    writeFileSync(path, Buffer.from(Array.from({ length: 400 }, () => random(256))));
    damageFile(path, random, 100);
    const exits = existsSync(path) ? decodeExits(readFileSync(path)) : [];
    for (const { code, finishedAtMs } of exits) {
      expect(code).toBeGreaterThanOrEqual(0);
      expect(() => new Date(finishedAtMs).toISOString()).not.toThrow();
    }
  },
});
