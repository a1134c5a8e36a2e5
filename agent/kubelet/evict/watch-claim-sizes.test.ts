import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { readVolumeStats, within } from '#agent/kubelet/stats/volume-stats.ts';
import { writeRecord } from '#agent/volume/claims/records.ts';
import { lookAtSizes } from './watch-claim-sizes.ts';
import { usedBelow } from './used-below.ts';

const kib = 1024;
let root: string;
let told: string[];
beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), 'sizes-'));
  told = [];
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const pods = (): string => path.join(root, 'pods');
const files = (): string => path.join(root, 'data');
const use = async (podUid: string, sizeBytes?: number): Promise<void> => {
  const directory = path.join(pods(), podUid, 'volumes', 'persistentVolumeClaim', 'v');
  mkdirSync(directory, { recursive: true });
  mkdirSync(files(), { recursive: true });
  const names = { claim: 'ns/c', claimUid: 'claim-uid', volume: 'pvc-1', volumeUid: 'pv-uid' };
  await writeRecord(directory, {
    ...names,
    path: files(),
    ...(sizeBytes === undefined ? {} : { sizeBytes }),
  });
};
const write = (amount: number): void => writeFileSync(path.join(files(), 'f'), Buffer.alloc(amount * kib, 1));
const look = (before: readonly string[] = []): Promise<ReadonlySet<string>> =>
  lookAtSizes(
    {
      podsDirectory: pods(),
      pods: () => ['u1', 'u2', 'u3'].map((uid) => ({ metadata: { namespace: 'ns', name: uid, uid } })),
      events: {
        record: ({ kind, object }, _type, reason, message) =>
          void told.push(`${kind.kind} ${object.metadata?.name ?? ''}: ${reason}: ${message}`),
      },
    },
    new Set(before),
  );

it('a claim and its pods are told once that its volume is too large, and again when it has been small', async () => {
  await use('u1', 64 * kib);
  await use('u2', 64 * kib);
  write(32);
  expect([...(await look())]).toEqual([]);
  write(128);
  const over = [...(await look())];
  const words =
    'VolumeSizeExceeded: Usage of the volume of claim ns/c exceeds its size 64Ki, which nothing enforces on this node: remove files, or let the claim ask for more';
  expect(told).toEqual([`PersistentVolumeClaim c: ${words}`, `Pod u1: ${words}`, `Pod u2: ${words}`]);
  expect([...(await look(over))]).toEqual(over);
  expect(told.length).toBe(3);
  await use('u1', 256 * kib); // It was let grow.
  await use('u2', 256 * kib);
  expect([...(await look(over))]).toEqual([]);
});

it('a volume that others size is not looked at', async () => {
  await use('u1');
  write(128);
  expect([...(await look())]).toEqual([]);
});

it('a volume that becomes full says so in its stats', async () => {
  await use('u1', 64 * kib);
  write(48);
  const told = await readVolumeStats(pods(), {
    usedBelow: (directory) => usedBelow(directory, Infinity),
    clock: createFakeClock(),
  });
  const { fileSystem, used } = told.get('u1')?.[0] ?? expect.unreachable();
  expect(fileSystem.capacityBytes).toBe(64 * kib);
  expect(fileSystem.availableBytes).toBe(64 * kib - used.bytes);
});

it('within() ends at the size, at nothing, and at what the disk has', () => {
  const disk = { capacityBytes: 1000, availableBytes: 100, inodes: 9, inodesFree: 8 };
  const of = (bytes: number, size: number): readonly number[] => {
    const { capacityBytes, availableBytes } = within(disk, { bytes, inodes: 1 }, size);
    return [capacityBytes, availableBytes];
  };
  expect([of(10, 50), of(60, 50), of(10, 500), of(10, 5000), of(10, 0)]).toEqual([
    ...[
      [50, 40],
      [50, 0],
    ],
    ...[
      [500, 100],
      [1000, 100],
      [1000, 100],
    ],
  ]);
});
