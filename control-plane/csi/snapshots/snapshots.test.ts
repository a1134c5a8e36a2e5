import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { createRecordedLog } from '#base/recorded-log.fixture.ts';
import { events, persistentVolumeClaims, persistentVolumes, secrets } from '#api/schema/kind-ref.ts';
import { createFakeApiClient, type FakeApiClient } from '#client/client.fake.ts';
import type { Controller } from '#client/controller.ts';
import { createInformers, type Informers } from '#client/informers.ts';
import { startToyDriver, type ToyDriver, type ToyDriverOptions } from '#proto/csi/toy-driver.fixture.ts';
import { refusal } from '#proto/status.ts';
import { connectDriver, type ControllerDriver } from '#control-plane/csi/controller-driver.ts';
import { startCsiController } from '#control-plane/csi/start-csi-controller.ts';
import {
  volumeSnapshotClasses,
  volumeSnapshotContents,
  volumeSnapshots,
  type VolumeSnapshot,
  type VolumeSnapshotContent,
} from './snapshot-kinds.ts';
import { planContent } from './take-snapshots.ts';

const name = 'toy.csi.example.com';
let root: string;
let client: FakeApiClient;
let informers: Informers;
let toy: ToyDriver;
let driver: ControllerDriver;
let controllers: readonly Controller[] = [];
let fault: NonNullable<ToyDriverOptions['fault']>;

beforeEach(async () => {
  root = mkdtempSync(path.join(tmpdir(), 'snap-'));
  client = createFakeApiClient(systemClock);
  fault = () => undefined;
  toy = await startToyDriver({
    ...{ socket: path.join(root, 's'), state: path.join(root, 'state') },
    fault: (call, when, request) => fault(call, when, request),
  });
  const volume = { name: 'vol', capacity_range: { required_bytes: 1 << 20, limit_bytes: 0 }, parameters: {} };
  toy.create({ ...volume, volume_content_source: null });
  client.seed(persistentVolumes, {
    metadata: { name: 'pv' },
    spec: { volumeMode: 'Filesystem', csi: { driver: name, volumeHandle: 'vol-vol' } },
  });
  client.seed(persistentVolumeClaims, {
    metadata: { namespace: 'ns', name: 'data', uid: 'data' },
    spec: { volumeName: 'pv' },
    status: { phase: 'Bound' },
  });
  client.seed(secrets, { metadata: { namespace: 'x', name: 'key' }, data: { a: 'Yg==' } });
  client.seed(volumeSnapshotClasses, classOf('Delete'));
  driver = await connectDriver(path.join(root, 's'));
  informers = createInformers({ client, clock: systemClock });
  controllers = startCsiController({
    ...{ driver, client, informers, clock: systemClock, namespace: 'x', logger: createRecordedLog().log },
  });
});
afterEach(async () => {
  for (const one of controllers.toReversed()) await one[Symbol.asyncDispose]();
  await informers[Symbol.asyncDispose]();
  driver[Symbol.dispose]();
  await toy[Symbol.asyncDispose]();
  rmSync(root, { recursive: true, force: true });
});

const classOf = (deletionPolicy: 'Delete' | 'Retain') => ({
  metadata: { name: 'fast', annotations: { 'snapshot.storage.kubernetes.io/is-default-class': 'true' } },
  ...{ driver: name, deletionPolicy },
  parameters: {
    tier: 'cold',
    'csi.storage.k8s.io/snapshotter-secret-name': 'key',
    'csi.storage.k8s.io/snapshotter-secret-namespace': 'x',
  },
});
const where = { namespace: 'ns', name: 'shot' };
const take = (
  source: VolumeSnapshot['spec']['source'] = { persistentVolumeClaimName: 'data' },
): VolumeSnapshot => client.seed(volumeSnapshots, { metadata: { ...where, uid: 'u1' }, spec: { source } });
const shot = (): Promise<VolumeSnapshot> => client.get(volumeSnapshots, where);
const content = (of = 'snapcontent-u1'): Promise<VolumeSnapshotContent> =>
  client.get(volumeSnapshotContents, { name: of });
const ready = (): Promise<void> => expect.poll(async () => (await shot()).status?.readyToUse).toBe(true);
const gone = (): Promise<void> => expect.poll(() => shot().catch(() => 'gone')).toBe('gone');
const told = async (): Promise<readonly string[]> =>
  (await client.list(events, {})).items.map(({ reason, message }) => `${reason ?? ''}: ${message ?? ''}`);
const finalizersOfClaim = async (): Promise<readonly string[]> =>
  (await client.get(persistentVolumeClaims, { namespace: 'ns', name: 'data' })).metadata?.finalizers ?? [];

describe('snapshots', () => {
  it('are taken by the default class, say so, and go with what was taken', async () => {
    take();
    await ready();
    expect((await shot()).status).toEqual({
      boundVolumeSnapshotContentName: 'snapcontent-u1',
      ...{ creationTime: '2023-11-14T22:13:20Z', readyToUse: true, restoreSize: '1Mi' },
    });
    expect((await shot()).spec.volumeSnapshotClassName).toBe('fast');
    expect(await content()).toMatchObject({
      metadata: { annotations: { 'snapshot.storage.kubernetes.io/deletion-secret-name': 'key' } },
      spec: {
        ...{ driver: name, deletionPolicy: 'Delete', sourceVolumeMode: 'Filesystem' },
        source: { volumeHandle: 'vol-vol' },
        volumeSnapshotRef: { kind: 'VolumeSnapshot', namespace: 'ns', name: 'shot', uid: 'u1' },
      },
      status: {
        snapshotHandle: 'snap-snapshot-u1',
        creationTime: 1_700_000_000_000_000_000,
        restoreSize: 1 << 20,
      },
    });
    expect(toy.calls.find(({ call }) => call === 'CreateSnapshot')?.request).toMatchObject({
      ...{
        name: 'snapshot-u1',
        source_volume_id: 'vol-vol',
        parameters: { tier: 'cold' },
        secrets: { a: 'b' },
      },
    });
    await expect.poll(finalizersOfClaim).toEqual([]);
    await expect
      .poll(told)
      .toEqual(
        expect.arrayContaining([
          'CreatingSnapshot: Waiting for a snapshot ns/shot to be created by the CSI driver.',
          'SnapshotCreated: Snapshot ns/shot was successfully created by the CSI driver.',
          'SnapshotReady: Snapshot ns/shot is ready to use.',
        ]),
      );
    await client.delete(volumeSnapshots, where);
    await gone();
    expect(toy.state.snapshots).toEqual({});
    expect(await content().catch(() => 'gone')).toBe('gone');
  });

  it('that are kept leave their content, which a new one is bound to', async () => {
    await client.update(volumeSnapshotClasses, classOf('Retain'));
    take();
    await ready();
    await client.delete(volumeSnapshots, where);
    await gone();
    expect(toy.state.snapshots).toHaveProperty('snap-snapshot-u1');
    const given = {
      deletionPolicy: 'Retain',
      driver: name,
      source: { snapshotHandle: 'snap-snapshot-u1' },
    } as const;
    client.seed(volumeSnapshotContents, {
      metadata: { name: 'given' },
      spec: { ...given, volumeSnapshotRef: where },
    });
    take({ volumeSnapshotContentName: 'given' });
    await ready();
    expect((await content('given')).spec.volumeSnapshotRef.uid).toBe('u1');
    expect((await shot()).status).toMatchObject({
      boundVolumeSnapshotContentName: 'given',
      restoreSize: '1Mi',
    });
  });

  it('say why they are not taken, once, and are taken when that is over', async () => {
    let isRefused = true;
    fault = (call, when) => {
      if (call === 'CreateSnapshot' && when === 'before' && isRefused) throw refusal('INTERNAL', 'no way');
    };
    take();
    const message =
      'Failed to create snapshot: failed to take snapshot of the volume vol-vol: "rpc error: code = Internal desc = no way"';
    await expect.poll(async () => (await shot()).status?.error?.message).toBe(message);
    expect(await finalizersOfClaim()).toEqual(['snapshot.storage.kubernetes.io/pvc-as-source-protection']);
    isRefused = false;
    await ready();
    expect((await shot()).status?.error).toBeUndefined();
    expect((await told()).filter((one) => one === `SnapshotCreationFailed: ${message}`)).toHaveLength(1);
  });

  it('that are deleted while nobody knows whether they were taken leave nothing', async () => {
    fault = (call, when) => {
      if (call === 'CreateSnapshot' && when === 'after') throw refusal('DEADLINE_EXCEEDED', 'late');
    };
    take();
    await expect.poll(() => toy.state.snapshots).toHaveProperty('snap-snapshot-u1');
    await client.delete(volumeSnapshots, where);
    fault = () => undefined;
    await gone();
    expect(toy.state.snapshots).toEqual({});
    expect(await finalizersOfClaim()).toEqual([]);
  });

  it.each([
    [
      'of a claim that is not there',
      { persistentVolumeClaimName: 'none' },
      'Failed to set default snapshot class with error failed to retrieve PVC none from the lister',
    ],
    [
      'of nothing',
      {},
      'Exactly one of PersistentVolumeClaimName and VolumeSnapshotContentName should be specified',
    ],
    [
      'with a content that is not there',
      { volumeSnapshotContentName: 'none' },
      'VolumeSnapshotContent is missing',
    ],
  ])('%s say so', async (_what, source, message) => {
    take(source);
    await expect.poll(async () => (await shot()).status?.error?.message).toContain(message);
    await client.delete(volumeSnapshots, where);
    await gone();
  });

  it('of a content that is another’s are not bound', async () => {
    client.seed(volumeSnapshotContents, {
      metadata: { name: 'taken' },
      spec: {
        ...{ deletionPolicy: 'Delete', driver: name, source: { snapshotHandle: 'h' } },
        volumeSnapshotRef: { namespace: 'other', name: 'shot', uid: 'u9' },
      },
    });
    take({ volumeSnapshotContentName: 'taken' });
    await expect
      .poll(async () => (await shot()).status?.error?.message)
      .toBe('VolumeSnapshotContent [taken] is bound to a different snapshot');
    await client.delete(volumeSnapshots, where);
    await gone();
    expect((await content('taken')).metadata?.deletionTimestamp).toBeUndefined();
  });

  it('wait for a claim that is being made of them before they go', async () => {
    take();
    await ready();
    const claim = { namespace: 'ns', name: 'restored' };
    const dataSource = { apiGroup: 'snapshot.storage.k8s.io', kind: 'VolumeSnapshot', name: 'shot' };
    client.seed(persistentVolumeClaims, {
      metadata: claim,
      spec: { dataSource },
      status: { phase: 'Pending' },
    });
    await expect.poll(() => informers.for(persistentVolumeClaims).get('ns/restored')).toBeDefined();
    await client.delete(volumeSnapshots, where);
    await expect.poll(told).toContain('SnapshotDeletePending: Snapshot is being used to restore a PVC');
    expect(toy.state.snapshots).toHaveProperty('snap-snapshot-u1');
    await client.delete(persistentVolumeClaims, claim);
    await gone();
  });
});

describe('planContent()', () => {
  const held = { finalizers: ['snapshot.storage.kubernetes.io/volumesnapshotcontent-bound-protection'] };
  const marked = (mark: string): object => ({
    annotations: { [`snapshot.storage.kubernetes.io/volumesnapshot-${mark}`]: 'yes' },
  });
  const going = { ...held, deletionTimestamp: '2026-01-01T00:00:00Z' };
  const bound = { volumeSnapshotRef: { uid: 'u' }, driver: name } as const;
  const plan = (metadata: object, spec: object, status: VolumeSnapshotContent['status'] = {}): string =>
    planContent({
      metadata,
      spec: { ...bound, deletionPolicy: 'Delete', source: { volumeHandle: 'v' }, ...spec },
      status,
    });

  it.each<[string, string, object, object, VolumeSnapshotContent['status']?]>([
    ['a new one is taken', 'take', held, {}],
    ['one that is ready stays', 'nothing', held, {}, { readyToUse: true }],
    ['one that was there before is looked at', 'look', held, { source: { snapshotHandle: 'h' } }],
    ['one whose snapshot goes is not taken', 'nothing', { ...held, ...marked('being-deleted') }, {}],
    ['one that is bound goes with its snapshot alone', 'nothing', going, {}, { snapshotHandle: 'h' }],
    ['it is deleted then', 'delete', { ...going, ...marked('being-deleted') }, {}, { snapshotHandle: 'h' }],
    [
      'or let go, where it is kept',
      'let go',
      { ...going, ...marked('being-deleted') },
      { deletionPolicy: 'Retain' },
      { snapshotHandle: 'h' },
    ],
    ['or where nothing was taken', 'let go', { ...going, ...marked('being-deleted') }, {}],
    [
      'one that may have been taken is asked for',
      'take to delete',
      {
        ...going,
        annotations: {
          'snapshot.storage.kubernetes.io/volumesnapshot-being-deleted': 'yes',
          'snapshot.storage.kubernetes.io/volumesnapshot-being-created': 'yes',
        },
      },
      {},
    ],
    [
      'one that nobody was bound to goes alone',
      'let go',
      going,
      { volumeSnapshotRef: {}, source: { snapshotHandle: 'h' } },
    ],
    [
      'what is not held is nobody’s work',
      'nothing',
      { deletionTimestamp: 'x', ...marked('being-deleted') },
      {},
    ],
  ])('%s', (_name, want, metadata, spec, status) => {
    expect(plan(metadata, spec, status)).toBe(want);
  });
});
