import { expect, it } from 'vitest';
import type { Pod, Volume } from '#api/generated/objects.ts';
import { haveDiskConflict } from './disk-conflicts.ts';

const gce = (pdName: string, readOnly = false): Partial<Volume> => ({
  gcePersistentDisk: { pdName, readOnly },
});
const aws = (volumeID: string, readOnly = false): Partial<Volume> => ({
  awsElasticBlockStore: { volumeID, readOnly },
});
const iscsi = (iqn: string, readOnly = false): Partial<Volume> => ({
  iscsi: { targetPortal: '192.0.2.1:3260', iqn, lun: 0, readOnly },
});
const rbd = (monitors: readonly string[], change: Partial<Volume['rbd']> = {}): Partial<Volume> => ({
  rbd: { monitors, image: 'i', ...change },
});
const podWith = (volumes: readonly Partial<Volume>[]): Pod => ({
  spec: { containers: [], volumes: volumes.map((volume, index) => ({ name: `v${index}`, ...volume })) },
});

it.each<{
  readonly name: string;
  readonly one: readonly Partial<Volume>[];
  readonly other: readonly Partial<Volume>[];
  readonly want: boolean;
}>([
  { name: 'the same disk', one: [gce('d')], other: [gce('d')], want: true },
  { name: 'one only reads', one: [gce('d', true)], other: [gce('d')], want: true },
  { name: 'both only read', one: [gce('d', true)], other: [gce('d', true)], want: false },
  { name: 'another disk', one: [gce('d')], other: [gce('e')], want: false },
  { name: 'another kind of its name', one: [gce('d')], other: [aws('d')], want: false },
  {
    name: 'AWS attaches once, though both only read',
    one: [aws('d', true)],
    other: [aws('d', true)],
    want: true,
  },
  { name: 'a target of iSCSI', one: [iscsi('d', true)], other: [iscsi('d')], want: true },
  {
    name: 'a target of iSCSI that both only read',
    one: [iscsi('d', true)],
    other: [iscsi('d', true)],
    want: false,
  },
  { name: 'an image, by a monitor', one: [rbd(['a', 'b'])], other: [rbd(['b', 'c'])], want: true },
  { name: 'an image of another cluster', one: [rbd(['a'])], other: [rbd(['b'])], want: false },
  { name: 'an image of another pool', one: [rbd(['a'])], other: [rbd(['a'], { pool: 'p' })], want: false },
  { name: 'one of several', one: [aws('c'), gce('d')], other: [iscsi('d'), gce('d')], want: true },
  { name: 'a pod without', one: [], other: [gce('d')], want: false },
])('$name: $want', ({ one, other, want }) => {
  expect(haveDiskConflict(podWith(one), podWith(other))).toBe(want);
  expect(haveDiskConflict(podWith(other), podWith(one))).toBe(want);
});
