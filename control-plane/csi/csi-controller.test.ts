import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { untilQuiet } from '#base/quiet.fixture.ts';
import { createRecordedLog } from '#base/recorded-log.fixture.ts';
import {
  csiDrivers,
  csiNodes,
  csiStorageCapacities,
  events,
  nodes,
  persistentVolumeClaims,
  persistentVolumes,
  storageClasses,
  volumeAttachments,
  volumeAttributesClasses,
} from '#api/schema/kind-ref.ts';
import type {
  PersistentVolume,
  PersistentVolumeClaim,
  PersistentVolumeClaimSpec,
} from '#api/generated/objects.ts';
import { createFakeApiClient, type FakeApiClient } from '#client/client.fake.ts';
import type { Controller } from '#client/controller.ts';
import { createInformers, type Informers } from '#client/informers.ts';
import { startToyDriver, type ToyDriver, type ToyDriverOptions } from '#proto/csi/toy-driver.fixture.ts';
import { refusal } from '#proto/status.ts';
import { connectDriver, type ControllerDriver } from './controller-driver.ts';
import { startCsiController } from './start-csi-controller.ts';

const name = 'toy.csi.example.com';
let root: string;
let client: FakeApiClient;
let informers: Informers;
let toy: ToyDriver;
let driver: ControllerDriver;
let controllers: readonly Controller[] = [];
let lines: ReturnType<typeof createRecordedLog>['lines'];
let fault: NonNullable<ToyDriverOptions['fault']>;

beforeEach(async () => {
  root = mkdtempSync(path.join(tmpdir(), 'csi-'));
  client = createFakeApiClient(systemClock);
  fault = () => undefined;
  toy = await startToyDriver({
    ...{ socket: path.join(root, 's'), state: path.join(root, 'state'), topology: { zone: 'z1' } },
    fault: (call, when, request) => fault(call, when, request),
  });
  client.seed(nodes, { metadata: { name: 'n1', labels: { zone: 'z1' } } });
  client.seed(csiNodes, {
    metadata: { name: 'n1' },
    spec: { drivers: [{ name, nodeID: 'id-1', topologyKeys: ['zone'] }] },
  });
  client.seed(csiDrivers, { metadata: { name }, spec: { storageCapacity: true } });
  client.seed(storageClasses, {
    ...{
      metadata: { name: 'c' },
      provisioner: name,
      reclaimPolicy: 'Delete',
      volumeBindingMode: 'WaitForFirstConsumer',
    },
    parameters: {
      tier: 'fast',
      'csi.storage.k8s.io/fstype': 'xfs',
      'csi.storage.k8s.io/node-stage-secret-name': '${pvc.name}-s',
      'csi.storage.k8s.io/node-stage-secret-namespace': 'x',
    },
  });
  driver = await connectDriver(path.join(root, 's'));
  informers = createInformers({ client, clock: systemClock });
  const recorded = createRecordedLog();
  lines = recorded.lines;
  controllers = startCsiController({
    ...{ driver, client, informers, clock: systemClock, namespace: 'kube-system', logger: recorded.log },
  });
});
afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') console.error(lines.filter(({ level }) => level !== 'info'));
  for (const one of controllers.toReversed()) await one[Symbol.asyncDispose]();
  await informers[Symbol.asyncDispose]();
  driver[Symbol.dispose]();
  await toy[Symbol.asyncDispose]();
  rmSync(root, { recursive: true, force: true });
});

const claimOf = (
  uid: string,
  spec: PersistentVolumeClaimSpec = {},
  rest: Partial<PersistentVolumeClaim> = {},
): PersistentVolumeClaim => ({
  metadata: {
    ...{ name: uid, namespace: 'ns', uid },
    annotations: {
      'volume.kubernetes.io/storage-provisioner': name,
      'volume.kubernetes.io/selected-node': 'n1',
    },
  },
  spec: {
    accessModes: ['ReadWriteOnce'],
    storageClassName: 'c',
    resources: { requests: { storage: '1Mi' } },
    ...spec,
  },
  ...rest,
});
const made = async (uid: string): Promise<PersistentVolume> =>
  expect
    .poll(() => client.get(persistentVolumes, { name: `pvc-${uid}` }).catch(() => undefined))
    .toBeDefined()
    .then(() => client.get(persistentVolumes, { name: `pvc-${uid}` }));
const bind = async (uid: string): Promise<void> => {
  const claim = await client.get(persistentVolumeClaims, { namespace: 'ns', name: uid });
  await client.update(persistentVolumeClaims, {
    ...claim,
    spec: { ...claim.spec, volumeName: `pvc-${uid}` },
  });
  const body = { status: { phase: 'Bound', capacity: { storage: '1Mi' } } };
  await client.patch(
    persistentVolumeClaims,
    { namespace: 'ns', name: uid },
    { kind: 'merge', body, subresource: 'status' },
  );
};
const reasons = async (): Promise<readonly string[]> =>
  (await client.list(events, {})).items.map(({ reason }) => reason ?? '');

describe('the work of sidecars', () => {
  it('makes a volume where the pod goes, by the class; enlarges it; and takes it back', async () => {
    client.seed(persistentVolumeClaims, claimOf('u1'));
    const volume = await made('u1');
    expect(volume.spec).toMatchObject({
      capacity: { storage: '1Mi' },
      claimRef: { namespace: 'ns', name: 'u1', uid: 'u1' },
      csi: {
        ...{ driver: name, volumeHandle: 'vol-pvc-u1', fsType: 'xfs', volumeAttributes: { made: 'by-toy' } },
        nodeStageSecretRef: { name: 'u1-s', namespace: 'x' },
      },
      nodeAffinity: {
        required: {
          nodeSelectorTerms: [{ matchExpressions: [{ key: 'zone', operator: 'In', values: ['z1'] }] }],
        },
      },
    });
    expect(toy.calls.find(({ call }) => call === 'CreateVolume')?.request).toMatchObject({
      parameters: { tier: 'fast' },
      accessibility_requirements: { preferred: [{ segments: { zone: 'z1' } }] },
    });
    await bind('u1');
    const claim = await client.get(persistentVolumeClaims, { namespace: 'ns', name: 'u1' });
    await client.update(persistentVolumeClaims, {
      ...claim,
      spec: { ...claim.spec, resources: { requests: { storage: '3Mi' } } },
    });
    await expect
      .poll(async () => (await client.get(persistentVolumes, { name: 'pvc-u1' })).spec?.capacity)
      .toEqual({ storage: '3Mi' });
    expect((await client.get(persistentVolumeClaims, { namespace: 'ns', name: 'u1' })).status).toMatchObject({
      allocatedResources: { storage: '3Mi' },
      allocatedResourceStatuses: { storage: 'NodeResizePending' },
      conditions: [{ type: 'FileSystemResizePending', status: 'True' }],
    });
    const body = { status: { phase: 'Released' } };
    await client.patch(persistentVolumes, { name: 'pvc-u1' }, { kind: 'merge', body, subresource: 'status' });
    await expect.poll(() => toy.state.volumes).toEqual({});
    await expect
      .poll(() => client.get(persistentVolumes, { name: 'pvc-u1' }).catch(() => 'gone'))
      .toBe('gone');
  });

  it('copies the volume of another claim', async () => {
    client.seed(persistentVolumeClaims, claimOf('u1'));
    await made('u1');
    await bind('u1');
    client.seed(
      persistentVolumeClaims,
      claimOf('u2', { dataSource: { kind: 'PersistentVolumeClaim', name: 'u1' } }),
    );
    await made('u2');
    expect(toy.state.volumes['vol-pvc-u2']).toMatchObject({ source: 'vol-pvc-u1' });
  });

  it('gives the node back where there is no room', async () => {
    fault = (call) => {
      if (call === 'CreateVolume') throw refusal('RESOURCE_EXHAUSTED', 'full');
    };
    client.seed(persistentVolumeClaims, claimOf('u1'));
    await expect
      .poll(
        async () =>
          (await client.get(persistentVolumeClaims, { namespace: 'ns', name: 'u1' })).metadata?.annotations,
      )
      .toEqual({ 'volume.kubernetes.io/storage-provisioner': name });
    await expect.poll(reasons).toContain('ProvisioningFailed');
  });

  it('attaches, says why it cannot, and detaches', async () => {
    client.seed(persistentVolumeClaims, claimOf('u1'));
    await made('u1');
    fault = (call) => {
      if (call === 'ControllerPublishVolume') throw refusal('INTERNAL', 'no way');
    };
    const where = { name: 'va' };
    client.seed(volumeAttachments, {
      metadata: where,
      spec: { attacher: name, nodeName: 'n1', source: { persistentVolumeName: 'pvc-u1' } },
    });
    const status = async (): Promise<unknown> => (await client.get(volumeAttachments, where)).status;
    await expect.poll(status).toMatchObject({
      attached: false,
      attachError: { message: expect.stringContaining('rpc error: code = Internal desc = no way') },
    });
    // What is said of it is no reason to try again: that is done only now and then.
    await untilQuiet();
    expect(toy.calls.filter(({ call }) => call === 'ControllerPublishVolume')).toHaveLength(1);
    fault = () => undefined;
    await expect.poll(status).toEqual({ attached: true, attachmentMetadata: { device: '/dev/vol-pvc-u1' } });
    expect(toy.state.attached).toEqual({ 'vol-pvc-u1': ['id-1'] });
    await client.delete(volumeAttachments, where);
    await expect.poll(() => toy.state.attached).toEqual({ 'vol-pvc-u1': [] });
    await expect.poll(() => client.get(volumeAttachments, where).catch(() => 'gone')).toBe('gone');
  });

  it('says what is left, for each class and place', async () => {
    const told = async (): Promise<unknown> => (await client.list(csiStorageCapacities, {})).items;
    await expect
      .poll(told)
      .toMatchObject([
        { storageClassName: 'c', capacity: '1Gi', nodeTopology: { matchLabels: { zone: 'z1' } } },
      ]);
  });

  it('asks a driver that cannot enlarge a volume now only now and then, whatever it says of it on the claim', async () => {
    client.seed(persistentVolumeClaims, claimOf('u1'));
    await made('u1');
    await bind('u1');
    fault = (call) => {
      if (call === 'ControllerExpandVolume') throw refusal('INTERNAL', 'not now');
    };
    const body = { spec: { resources: { requests: { storage: '3Mi' } } } };
    await client.patch(persistentVolumeClaims, { namespace: 'ns', name: 'u1' }, { kind: 'merge', body });
    await expect.poll(reasons).toContain('VolumeResizeFailed');
    await untilQuiet();
    expect(toy.calls.filter(({ call }) => call === 'ControllerExpandVolume')).toHaveLength(1);
    const { status } = await client.get(persistentVolumeClaims, { namespace: 'ns', name: 'u1' });
    expect(status).toMatchObject({
      allocatedResources: { storage: '3Mi' },
      allocatedResourceStatuses: { storage: 'ControllerResizeInProgress' },
      conditions: [{ type: 'Resizing' }, { type: 'ControllerResizeError' }],
    });
  });

  it.each([
    ['a size that is wrong is given up for a smaller one', 'OUT_OF_RANGE', '2Mi'],
    ['a size that may be made is gone on with', 'UNAVAILABLE', '3Mi'],
  ] as const)('%s', async (_name, status, want) => {
    client.seed(persistentVolumeClaims, claimOf('u1'));
    await made('u1');
    await bind('u1');
    fault = (call) => {
      if (call === 'ControllerExpandVolume') throw refusal(status, 'no');
    };
    const ask = (storage: string): Promise<unknown> =>
      client.patch(
        persistentVolumeClaims,
        { namespace: 'ns', name: 'u1' },
        {
          ...{ kind: 'merge', body: { spec: { resources: { requests: { storage } } } } },
        },
      );
    await ask('3Mi');
    await expect.poll(reasons).toContain('VolumeResizeFailed');
    fault = () => undefined;
    await ask('2Mi');
    await expect
      .poll(async () => (await client.get(persistentVolumes, { name: 'pvc-u1' })).spec?.capacity)
      .toEqual({ storage: want });
  });

  describe('with classes of attributes', () => {
    const where = { namespace: 'ns', name: 'u1' };
    const want = (volumeAttributesClassName: string): Promise<unknown> =>
      client.patch(persistentVolumeClaims, where, {
        kind: 'merge',
        body: { spec: { volumeAttributesClassName } },
      });
    const told = async (): Promise<unknown> => {
      const { modifyVolumeStatus: state, ...status } =
        (await client.get(persistentVolumeClaims, where)).status ?? {};
      return [
        status.currentVolumeAttributesClassName ?? '-',
        ...(state === undefined ? [] : [state.status, state.targetVolumeAttributesClassName]),
        ...(status.conditions ?? []).map(({ type }) => type),
      ].join(' ');
    };
    const iops = (): unknown => toy.state.volumes['vol-pvc-u1']?.attributes;
    const seedClass = (of: string, parameters: Record<string, string>, driverName = name): unknown =>
      client.seed(volumeAttributesClasses, { metadata: { name: of }, driverName, parameters });

    it('makes a volume with one, gives it another, and one that comes late', async () => {
      seedClass('slow', { iops: '1' });
      seedClass('fast', { iops: '9' });
      client.seed(persistentVolumeClaims, claimOf('u1', { volumeAttributesClassName: 'slow' }));
      expect((await made('u1')).spec?.volumeAttributesClassName).toBe('slow');
      expect(iops()).toEqual({ iops: '1' });
      await bind('u1');
      await want('fast');
      await expect.poll(told).toBe('fast');
      expect(iops()).toEqual({ iops: '9' });
      expect((await client.get(persistentVolumes, { name: 'pvc-u1' })).spec?.volumeAttributesClassName).toBe(
        'fast',
      );
      await want('late');
      await expect.poll(told).toBe('fast Pending late');
      seedClass('late', { iops: '5' });
      await expect.poll(told).toBe('late');
      const said = ['VolumeModify', 'VolumeModifySuccessful', 'VolumeModifyFailed'];
      await expect.poll(reasons).toEqual(expect.arrayContaining(said));
    });

    it('goes on with one that may have begun, and goes back from one that is wrong', async () => {
      seedClass('slow', { iops: '1' });
      seedClass('fast', { iops: '9' });
      seedClass('wrong', { iops: 'many' });
      client.seed(persistentVolumeClaims, claimOf('u1'));
      await made('u1');
      await bind('u1');
      fault = (call, when) => {
        if (call === 'ControllerModifyVolume' && when === 'after') throw refusal('UNAVAILABLE', 'lost');
      };
      await want('fast');
      await expect.poll(told).toBe('- InProgress fast ModifyingVolume ModifyVolumeError');
      await want('slow');
      fault = () => undefined;
      await expect.poll(told).toBe('slow');
      const asked = toy.calls.filter(({ call }) => call === 'ControllerModifyVolume');
      expect(asked.map(({ request }) => request['mutable_parameters'])).toEqual([
        ...[{ iops: '9' }, { iops: '9' }, { iops: '1' }],
      ]);
      await want('wrong');
      await expect.poll(told).toBe('slow Infeasible wrong ModifyingVolume ModifyVolumeError');
      await untilQuiet();
      expect(toy.calls.filter(({ call }) => call === 'ControllerModifyVolume')).toHaveLength(4);
      await want('slow');
      await expect.poll(told).toBe('slow');
    });

    it('makes no volume with one of another driver', async () => {
      seedClass('theirs', {}, 'other.example.com');
      client.seed(persistentVolumeClaims, claimOf('u1', { volumeAttributesClassName: 'theirs' }));
      await expect.poll(reasons).toContain('ProvisioningFailed');
      expect(toy.state.volumes).toEqual({});
    });
  });
});
