import { describe, expect, it } from 'vitest';
import type {
  CSIDriver,
  CSINode,
  CSIStorageCapacity,
  PersistentVolumeClaim,
  Pod,
  StorageClass,
} from '#api/generated/objects.ts';
import { nodeInfo, type NodeInfo } from '#control-plane/scheduler/snapshot.ts';
import { hasCapacity } from '#control-plane/scheduler/volumes/capacity.ts';
import type { VolumeLookUp } from '#control-plane/scheduler/volumes/look-up.ts';
import { volumeLimitsFilter } from './volume-limits.ts';

/** Claims a, b, c have volumes of driver d with handles of their names; `new` is to be made by it. */
const look: VolumeLookUp = {
  claim: (key): PersistentVolumeClaim | undefined => {
    const name = key.slice('n/'.length);
    return name === 'new'
      ? { spec: { storageClassName: 'w' } }
      : { spec: { storageClassName: 'w', volumeName: name } };
  },
  volume: (name) =>
    name === '' || name === 'unknown' ? undefined : { spec: { csi: { driver: 'd', volumeHandle: name } } },
  storageClass: () => ({ provisioner: 'd' }),
  ...{ offered: () => [], isTaken: () => false, chosenNode: () => undefined, usedOn: () => [] },
};
const podOf = (name: string, ...claims: readonly string[]): Pod => ({
  metadata: { namespace: 'n', name },
  spec: {
    containers: [],
    volumes: claims.map((claimName) => ({ name: claimName, persistentVolumeClaim: { claimName } })),
  },
});
const nodeWith = (...pods: readonly Pod[]): NodeInfo =>
  nodeInfo({ metadata: { name: 'x' } }, new Map(pods.map((pod) => [`n/${pod.metadata?.name ?? ''}`, pod])));
const limited = (count: number | undefined): CSINode => ({
  spec: { drivers: [{ name: 'd', nodeID: 'i', ...(count === undefined ? {} : { allocatable: { count } }) }] },
});

interface Row {
  readonly name: string;
  readonly pod: Pod;
  readonly on: NodeInfo;
  readonly said: CSINode | undefined;
  /** Volumes that are attached to the node. */
  readonly attached?: readonly string[];
  /** By whom; 'd' if not said. */
  readonly attacher?: string;
  readonly driver?: Partial<CSIDriver['spec']>;
  readonly want: readonly string[];
}

const full = ['node(s) exceed max volume count'];
const rows: readonly Row[] = [
  { name: 'room is left', pod: podOf('p', 'b'), on: nodeWith(podOf('q', 'a')), said: limited(2), want: [] },
  {
    name: 'no room is left',
    pod: podOf('p', 'b'),
    on: nodeWith(podOf('q', 'a')),
    said: limited(1),
    want: full,
  },
  { name: 'two for one place', pod: podOf('p', 'a', 'b'), on: nodeWith(), said: limited(1), want: full },
  {
    name: 'it is there already',
    pod: podOf('p', 'a'),
    on: nodeWith(podOf('q', 'a')),
    said: limited(1),
    want: [],
  },
  {
    name: 'one that is to be made',
    pod: podOf('p', 'new'),
    on: nodeWith(podOf('q', 'a')),
    said: limited(1),
    want: full,
  },
  {
    ...{ name: 'what no pod uses is attached', pod: podOf('p', 'b'), on: nodeWith(), said: limited(1) },
    attached: ['gone'],
    want: full,
  },
  {
    ...{ name: 'a pod uses what is attached', pod: podOf('p', 'b'), on: nodeWith(podOf('q', 'a')) },
    ...{ said: limited(2), attached: ['a'], want: [] },
  },
  {
    ...{ name: 'its own is attached already', pod: podOf('p', 'b'), on: nodeWith(podOf('q', 'a')) },
    ...{ said: limited(2), attached: ['a', 'b'], want: [] },
  },
  {
    ...{ name: 'its own is what made it too many', pod: podOf('p', 'b'), on: nodeWith(), said: limited(1) },
    ...{ attached: ['b', 'gone'], want: [] },
  },
  {
    ...{ name: 'another driver attached it', pod: podOf('p', 'b'), on: nodeWith(), said: limited(1) },
    ...{ attached: ['gone'], attacher: 'e', want: [] },
  },
  {
    ...{ name: 'what is attached is no volume any more', pod: podOf('p', 'b'), on: nodeWith() },
    ...{ said: limited(1), attached: ['unknown'], want: [] },
  },
  {
    ...{ name: 'its volume is not known', pod: podOf('p', 'unknown'), on: nodeWith(podOf('q', 'a')) },
    ...{ said: limited(1), want: full },
  },
  {
    name: 'no limit',
    pod: podOf('p', 'b'),
    on: nodeWith(podOf('q', 'a')),
    said: limited(undefined),
    want: [],
  },
  { name: 'a node without the driver', pod: podOf('p', 'b'), on: nodeWith(), said: undefined, want: [] },
  {
    ...{ name: 'a driver that must be there', pod: podOf('p', 'b'), on: nodeWith(), said: undefined },
    driver: { preventPodSchedulingIfMissing: true },
    want: ['d CSI driver is not installed on the node'],
  },
];

describe('how many volumes a node can have', () => {
  it.each(rows)('$name', ({ pod, on, said, attached = [], attacher = 'd', driver = {}, want }) => {
    const volumes: VolumeLookUp = {
      ...look,
      csiNode: () => said,
      csiDriver: () => ({ spec: driver }),
      attachments: (nodeName) =>
        attached.map((name) => ({ spec: { attacher, nodeName, source: { persistentVolumeName: name } } })),
    };
    const filter = volumeLimitsFilter.filter({
      pod,
      snapshot: { nodes: [on], services: () => [], volumes, namespaceLabels: () => ({}) },
    });
    expect(filter?.(on)).toEqual(want);
  });
});

describe('what a driver has left', () => {
  const claim: PersistentVolumeClaim = { spec: { resources: { requests: { storage: '2Gi' } } } };
  const node = { metadata: { labels: { zone: 'z1' } } };
  const storageClass: StorageClass = { metadata: { name: 'w' }, provisioner: 'd' };
  const left = (rest: Partial<CSIStorageCapacity>): CSIStorageCapacity => ({
    ...{ storageClassName: 'w', capacity: '4Gi', nodeTopology: { matchLabels: { zone: 'z1' } }, ...rest },
  });
  it.each<readonly [string, readonly CSIStorageCapacity[], boolean]>([
    ['enough', [left({})], true],
    ['too little', [left({ capacity: '1Gi' })], false],
    ['no volume so large', [left({ maximumVolumeSize: '1Gi' })], false],
    ['elsewhere', [left({ nodeTopology: { matchLabels: { zone: 'z2' } } })], false],
    ['nowhere', [left({ nodeTopology: undefined })], false],
    ['nothing said', [], false],
  ])('%s', (_name, capacities, want) => {
    const says = { csiDriver: () => ({ spec: { storageCapacity: true } }), capacities: () => capacities };
    expect(hasCapacity(claim, { node, storageClass }, says)).toBe(want);
    expect(hasCapacity(claim, { node, storageClass }, { ...says, csiDriver: () => undefined })).toBe(true);
  });
});
