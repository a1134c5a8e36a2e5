import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { csiDrivers, csiNodes, nodes, volumeAttachments } from '#api/schema/kind-ref.ts';
import type {
  CSIDriver,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  Volume,
} from '#api/generated/objects.ts';
import { attachedName, attachmentName } from '#api/volume/attachment.ts';
import { createFakeApiClient, type FakeApiClient } from '#client/client.fake.ts';
import { createInformers, type Informers } from '#client/informers.ts';
import { startToyDriver, type ToyDriver, type ToyDriverOptions } from '#proto/csi/toy-driver.fixture.ts';
import { refusal } from '#proto/status.ts';
import { noClaims } from '#agent/volume/claims/no-claims.fixture.ts';
import { createFakeMounter, type FakeMounter } from '#agent/volume/mounter.fake.ts';
import { VolumeCounts } from '#agent/volume/counts/volume-counts.ts';
import { createPodVolumes, type PodVolumes } from '#agent/volume/pod-volumes.ts';
import { createCsi, type Csi } from './start-csi.ts';

const name = 'toy.csi.example.com';
const handle = 'vol-one';
const [claimUid, one, two] = ['1111', '2222', '3333'].map(
  (part) => `${part}1111-2222-4333-8444-555555555555`,
) as [string, string, string];
let root: string;
let client: FakeApiClient;
let informers: Informers;
let driver: ToyDriver;
let csi: Csi;
let volumes: PodVolumes;
let mounter: FakeMounter;
let claim: PersistentVolumeClaim;
let volume: PersistentVolume;
/** The pod's fsGroup. */
let group: number | undefined;
/** What the driver, or the machine, does to a call. */
let fault: NonNullable<ToyDriverOptions['fault']>;

const registration = (): Parameters<Csi['drivers']['register']>[0] => ({
  ...{ name, endpoint: path.join(root, 'csi.sock'), identity: '1' },
});

beforeEach(async () => {
  root = mkdtempSync(path.join(tmpdir(), 'csi-'));
  client = createFakeApiClient(systemClock);
  client.seed(nodes, { metadata: { name: 'n1', uid: 'node-uid' }, status: {} });
  claim = {
    metadata: {
      namespace: 'ns',
      name: 'c',
      uid: claimUid,
      annotations: { 'pv.kubernetes.io/bind-completed': 'yes' },
    },
    spec: { accessModes: ['ReadWriteOnce'], volumeName: 'pv1' },
    status: { phase: 'Bound', capacity: { storage: '1Mi' } },
  };
  volume = {
    metadata: { name: 'pv1', uid: 'pv-uid' },
    spec: {
      accessModes: ['ReadWriteOnce'],
      capacity: { storage: '1Mi' },
      claimRef: { namespace: 'ns', name: 'c', uid: claimUid },
      mountOptions: ['noatime'],
      csi: { driver: name, volumeHandle: handle, fsType: 'ext4', volumeAttributes: { a: 'b' } },
    },
  };
  fault = () => undefined;
  group = undefined;
  driver = await startDriver({});
});
afterEach(async () => {
  await csi[Symbol.asyncDispose]();
  await informers[Symbol.asyncDispose]();
  await driver[Symbol.asyncDispose]();
  rmSync(root, { recursive: true, force: true });
});

const startDriver = (change: Partial<ToyDriverOptions>): Promise<ToyDriver> =>
  startToyDriver({
    socket: path.join(root, 'csi.sock'),
    state: path.join(root, 'state'),
    topology: { 'example.com/zone': 'z1' },
    volumesMax: 7,
    fault: (call, when, request) => fault(call, when, request),
    ...change,
  });
const restartDriver = async (change: Partial<ToyDriverOptions>): Promise<void> => {
  await driver[Symbol.asyncDispose]();
  driver = await startDriver(change);
};
const begin = async (object: Partial<CSIDriver['spec']> = {}): Promise<void> => {
  client.seed(csiDrivers, {
    metadata: { name },
    spec: { attachRequired: false, volumeLifecycleModes: ['Persistent', 'Ephemeral'], ...object },
  });
  await nextLife();
};

/** Another agent, with what is on the disk and nothing else. */
const nextLife = async (counts?: VolumeCounts): Promise<void> => {
  informers = createInformers({ client, clock: systemClock, logger: silentLogger });
  mounter = createFakeMounter();
  const podsDirectory = path.join(root, 'pods');
  csi = createCsi({
    ...{ informers, nodeName: 'n1', kubeletDirectory: path.join(root, 'kubelet'), podsDirectory, mounter },
    ...{ clock: systemClock, logger: silentLogger, bootId: 'boot', onReleased: () => undefined },
  });
  csi.startWhen(Promise.resolve());
  await csi.drivers.register(registration());
  volumes = createPodVolumes({
    directory: podsDirectory,
    memoryDirectory: path.join(root, 'memory'),
    mounter,
    unmountPod: csi.volumes.unmountPod,
    onForced: csi.volumes.unstageSoon,
    counts,
    objects: () => ({
      ...noClaims,
      csi: csi.volumes,
      configMap: async () => undefined,
      secret: async (namespace, secret) => ({
        data: {
          key: Buffer.from('s3cret').toString('base64'),
          of: Buffer.from(`${namespace}/${secret}`).toString('base64'),
        },
      }),
      serviceAccountToken: async ({ audience }) => ({
        token: `token of ${audience ?? ''}`,
        expirationTimestamp: 'later',
        refreshAtMs: 5,
      }),
      claim: async () => claim,
      tellClaim: async (told) => (claim = told),
      persistentVolume: async () => volume,
    }),
  });
};
const podOf = (uid: string, source: object): Pod => ({
  metadata: { uid, namespace: 'ns', name: `p-${uid[0] ?? ''}` },
  spec: {
    ...{ containers: [], serviceAccountName: 'sa' },
    ...(group === undefined ? {} : { securityContext: { fsGroup: group } }),
    volumes: [{ name: 'v', ...source } satisfies Volume],
  },
});
const ofClaim = { persistentVolumeClaim: { claimName: 'c' } };
const mount = async (uid: string = one, source: object = ofClaim): ReturnType<PodVolumes['mount']> =>
  volumes.mount({
    pod: podOf(uid, source),
    downward: { field: () => '', resource: () => '' },
    now: 0,
    signal: new AbortController().signal,
  });
const asked = (): readonly string[] =>
  driver.calls.map(({ call }) => call).filter((call) => !/Get(Info|Cap)/.test(call));
const lastOf = (call: string): unknown => driver.calls.findLast((each) => each.call === call)?.request;
const target = (uid: string): string =>
  path.join(root, 'kubelet/pods', uid, 'volumes/kubernetes.io~csi/pv1/mount');
const has = (): void => void (driver.state.volumes[handle] ?? makeVolume());
function makeVolume(): void {
  // As the controller of the driver would.
  const request = { name: 'one', capacity_range: null, parameters: {}, volume_content_source: null };
  driver.create(request);
}
const leftOf = (): readonly string[] =>
  ['kubelet', 'pods'].flatMap((below) =>
    existsSync(path.join(root, below))
      ? readdirSync(path.join(root, below), { recursive: true, withFileTypes: true })
          .filter((entry) => !entry.isDirectory() || entry.name === 'mount' || entry.name === 'globalmount')
          .map((entry) => path.join(entry.parentPath, entry.name))
      : [],
  );

describe('a driver', () => {
  it('is told of on CSINode and Node, and no longer when it is gone', async () => {
    await begin();
    expect((await client.get(csiNodes, { name: 'n1' })).spec.drivers).toEqual([
      { name, nodeID: 'toy-node', topologyKeys: ['example.com/zone'], allocatable: { count: 7 } },
    ]);
    const { metadata } = await client.get(nodes, { name: 'n1' });
    expect(metadata?.labels).toMatchObject({ 'example.com/zone': 'z1' });
    expect(metadata?.annotations).toMatchObject({
      'csi.volume.kubernetes.io/nodeid': `{"${name}":"toy-node"}`,
    });
    await csi.drivers.remove({ name, identity: 'another' });
    await csi.drivers.remove({ name, identity: '1' });
    expect((await client.get(csiNodes, { name: 'n1' })).spec.drivers).toBeNull();
    await expect(mount()).rejects.toThrow(
      `driver name ${name} not found in the list of registered CSI drivers`,
    );
  });
});

describe('a record that cannot be read', () => {
  it('keeps neither the node nor other pods waiting, and what is at the place of its pod goes without its driver', async () => {
    await begin();
    has();
    await mount();
    const record = path.join(root, 'pods', one, 'volumes/persistentVolumeClaim/v/csi.json');
    writeFileSync(record, '');
    const counts = new VolumeCounts(systemClock);
    await nextLife(counts);
    await volumes.recall();
    expect(counts.reconstructed).toEqual({ tries: 1, failures: 1 });
    expect(await csi.volumes.volumesInUse()).toEqual([]);
    mounter.tmpfs(target(one), { sizeBytes: 1, mode: 0 });
    await volumes.remove(one);
    expect(counts.forceCleaned).toEqual({ tries: 1, failures: 0 });
    expect([mounter.mounts.size, existsSync(target(one)), await volumes.uids()]).toEqual([0, false, []]);
    await expect.poll(() => asked().at(-1)).toBe('NodeUnstageVolume');
    await expect.poll(() => leftOf()).toEqual([]);
  });

  it.each([
    { whose: 'another volume', isShared: false },
    { whose: 'the same volume', isShared: true },
  ])('of a running pod with $whose keeps that staged alone', async ({ isShared }) => {
    await begin();
    has();
    await mount();
    await mount(two, isShared ? ofClaim : { csi: { driver: name } });
    const field = isShared ? 'persistentVolumeClaim' : 'csi';
    writeFileSync(path.join(root, 'pods', two, `volumes/${field}/v/csi.json`), '');
    await volumes.remove(one);
    expect(asked().includes('NodeUnstageVolume')).toBe(!isShared);
  });

  it('of what is staged keeps it from no pod, and is undone by what its last pod has written', async () => {
    await begin();
    has();
    await mount();
    const drivers = path.join(root, 'kubelet/plugins/kubernetes.io/csi', name);
    const record = path.join(drivers, readdirSync(drivers)[0] ?? '', 'staged.json');
    writeFileSync(record, '');
    await mount(two);
    writeFileSync(record, '');
    await volumes.remove(one);
    await volumes.remove(two);
    expect(asked().at(-1)).toBe('NodeUnstageVolume');
    expect(leftOf()).toEqual([]);
  });
});

describe('a volume of a claim', () => {
  it('is staged once, published for each pod, and unstaged after the last', async () => {
    await begin();
    has();
    const { byName } = await mount();
    expect(byName.get('v')?.path).toBe(target(one));
    await mount();
    await mount(two);
    expect(lastOf('NodeStageVolume')).toMatchObject({
      volume_context: { a: 'b' },
      volume_capability: {
        mount: { fs_type: 'ext4', mount_flags: ['noatime'] },
        access_mode: { mode: 'SINGLE_NODE_WRITER' },
      },
    });
    await volumes.remove(one);
    expect(asked()).toEqual([
      'NodeStageVolume',
      'NodePublishVolume',
      'NodePublishVolume',
      'NodeUnpublishVolume',
    ]);
    await volumes.remove(two);
    expect(asked().slice(4)).toEqual(['NodeUnpublishVolume', 'NodeUnstageVolume']);
    expect(leftOf()).toEqual([]);
    expect(driver.violations).toEqual([]);
  });

  it('leaves nothing when the agent is killed before or after any call, and the pod is gone or comes again', async () => {
    const calls = [
      'NodeStageVolume',
      'NodePublishVolume',
      'NodeUnpublishVolume',
      'NodeUnstageVolume',
    ] as const;
    await begin();
    has();
    for (const call of calls)
      for (const when of ['before', 'after'] as const)
        for (const comesAgain of [true, false]) {
          const where = `${when} ${call}, ${comesAgain ? 'comes again' : 'is gone'}`;
          fault = (one, at) => {
            if (one === call && at === when) throw refusal('UNAVAILABLE', 'killed');
          };
          await mount().catch(() => undefined);
          if (call.startsWith('NodeUn')) await volumes.remove(one).catch(() => undefined);
          fault = () => undefined;
          await csi[Symbol.asyncDispose]();
          await informers[Symbol.asyncDispose]();
          await nextLife();
          if (comesAgain && !call.startsWith('NodeUn'))
            expect((await mount()).byName.get('v')?.path, where).toBe(target(one));
          await volumes.remove(one);
          expect({ where, left: leftOf(), state: [driver.state.staged, driver.state.published] }).toEqual({
            where,
            left: [],
            state: [{}, {}],
          });
        }
    expect(driver.violations).toEqual([]);
  });

  it('waits until it is attached, and says before that it is in use', async () => {
    await begin({ attachRequired: true });
    has();
    const mounting = mount();
    await expect
      .poll(async () => (await client.get(nodes, { name: 'n1' })).status?.volumesInUse)
      .toEqual([attachedName({ driver: name, volumeHandle: handle })]);
    expect(asked()).toEqual([]);
    client.seed(volumeAttachments, {
      metadata: { name: attachmentName({ driver: name, volumeHandle: handle }, 'n1') },
      spec: { attacher: name, nodeName: 'n1', source: { persistentVolumeName: 'pv1' } },
      status: { attached: true, attachmentMetadata: { device: '/dev/x' } },
    });
    const volumesAttached = [{ name: attachedName({ driver: name, volumeHandle: handle }), devicePath: '' }];
    await client.patch(
      nodes,
      { name: 'n1' },
      { kind: 'merge', body: { status: { volumesAttached } }, subresource: 'status' },
    );
    await mounting;
    expect(lastOf('NodePublishVolume')).toMatchObject({ publish_context: { device: '/dev/x' } });
    expect(await csi.volumes.volumesInUse()).toEqual([attachedName({ driver: name, volumeHandle: handle })]);
    await volumes.remove(one);
    expect(await csi.volumes.volumesInUse()).toEqual([]);
  });

  it('is expanded by the driver where its claim was told of less', async () => {
    await begin();
    has();
    await mount();
    volume = { ...volume, spec: { ...volume.spec, capacity: { storage: '4Mi' } } };
    await mount();
    expect(lastOf('NodeExpandVolume')).toMatchObject({
      capacity_range: { required_bytes: 4 << 20 },
      volume_id: handle,
      volume_path: target(one),
      volume_capability: { mount: { fs_type: 'ext4' } },
    });
    await mount(two);
    expect(lastOf('NodeExpandVolume')).toMatchObject({ volume_path: expect.stringMatching(/globalmount$/) });
    expect(claim.status?.allocatedResourceStatuses).toEqual({ storage: 'NodeResizeInProgress' });
  });

  it.each([
    { status: 'OUT_OF_RANGE', state: 'NodeResizeInfeasible', again: 0 },
    { status: 'FAILED_PRECONDITION', state: 'NodeResizeInProgress', again: 1 },
  ] as const)('is given as it is where its driver answers $status', async ({ status, state, again }) => {
    await begin();
    has();
    await mount();
    volume = { ...volume, spec: { ...volume.spec, capacity: { storage: '4Mi' } } };
    const words: string[] = [];
    fault = (call) => {
      if (call !== 'NodeExpandVolume') return;
      words.push(claim.status?.allocatedResourceStatuses?.['storage'] ?? '');
      throw refusal(status, 'no');
    };
    expect((await mount()).byName.get('v')).toMatchObject({
      notGrown: { message: expect.stringMatching(/^NodeExpandVolume failed for volume "pv1": .*no$/) },
    });
    expect(words).toEqual(['NodeResizeInProgress']);
    expect(claim.status).toMatchObject({
      ...{ capacity: { storage: '1Mi' }, allocatedResourceStatuses: { storage: state } },
      conditions: [{ type: 'NodeResizeError', status: 'True' }],
    });
    await mount();
    expect(words).toHaveLength(1); // Not of the pod that has it.
    await volumes.remove(one);
    await mount(two);
    expect(words).toHaveLength(1 + again);
  });

  it('is not given where its driver may still be enlarging it', async () => {
    await begin();
    has();
    await mount();
    volume = { ...volume, spec: { ...volume.spec, capacity: { storage: '4Mi' } } };
    fault = (call) => {
      if (call === 'NodeExpandVolume') throw refusal('UNAVAILABLE', 'later');
    };
    await expect(mount()).rejects.toThrow('later');
    expect(claim.status?.conditions).toBeUndefined();
  });

  it.skipIf(process.getuid?.() !== 0)('is a device where it is a block (needs root: mknod)', async () => {
    volume = { ...volume, spec: { ...volume.spec, volumeMode: 'Block' } };
    await begin();
    has();
    const devices = path.join(root, 'kubelet/plugins/kubernetes.io/csi/volumeDevices');
    const { byName } = await mount();
    expect(byName.get('v')).toMatchObject({
      path: path.join(devices, 'publish/pv1', one),
      device: { major: 7, minor: 4000 },
    });
    expect(lastOf('NodeStageVolume')).toMatchObject({
      staging_target_path: path.join(devices, 'staging/pv1'),
      volume_capability: { block: {} },
    });
    expect(lastOf('NodePublishVolume')).not.toHaveProperty('volume_capability.mount.fs_type');
    volume = { ...volume, spec: { ...volume.spec, capacity: { storage: '4Mi' } } };
    await mount();
    expect(lastOf('NodeExpandVolume')).toMatchObject({
      ...{ volume_path: path.join(devices, 'publish/pv1', one), volume_capability: { block: {} } },
      staging_target_path: path.join(devices, 'staging/pv1'),
    });
    await volumes.remove(one);
    expect(leftOf()).toEqual([]);
    expect(driver.state.published).toEqual({});
  });

  it('is given with its secrets and options to each step', async () => {
    const ref = (step: string): object => ({ name: step, namespace: 'x' });
    const csiSource = volume.spec?.csi;
    const refs = {
      nodeStageSecretRef: ref('stage'),
      nodePublishSecretRef: ref('publish'),
      nodeExpandSecretRef: ref('expand'),
    };
    volume = {
      ...volume,
      spec: { ...volume.spec, csi: { driver: name, volumeHandle: handle, ...csiSource, ...refs } },
    };
    await begin();
    has();
    await mount();
    volume = { ...volume, spec: { ...volume.spec, capacity: { storage: '4Mi' } } };
    await mount();
    for (const [call, step] of [
      ['NodeStageVolume', 'stage'],
      ['NodePublishVolume', 'publish'],
      ['NodeExpandVolume', 'expand'],
    ] as const)
      expect(lastOf(call), call).toMatchObject({ secrets: { key: 's3cret', of: `x/${step}` } });
    for (const call of ['NodeStageVolume', 'NodePublishVolume'])
      expect(lastOf(call)).toMatchObject({ volume_capability: { mount: { mount_flags: ['noatime'] } } });
  });

  it('is given to the pod’s group by a driver that does that itself', async () => {
    await restartDriver({ nodeCan: ['STAGE_UNSTAGE_VOLUME', 'VOLUME_MOUNT_GROUP'] });
    await begin({ fsGroupPolicy: 'File' });
    has();
    group = 2000;
    await mount();
    for (const call of ['NodeStageVolume', 'NodePublishVolume'])
      expect(lastOf(call)).toMatchObject({ volume_capability: { mount: { volume_mount_group: '2000' } } });
    // Nobody walked through it: it is whoever's the driver made it.
    expect(statSync(target(one)).gid).toBe(process.getgid?.());
  });

  it.each([
    ['ReadWriteOnce', 'SINGLE_NODE_MULTI_WRITER'],
    ['ReadWriteOncePod', 'SINGLE_NODE_SINGLE_WRITER'],
  ])('of %s is %s to a driver that tells them apart', async (accessMode, mode) => {
    await restartDriver({ nodeCan: ['STAGE_UNSTAGE_VOLUME', 'SINGLE_NODE_MULTI_WRITER'] });
    volume = { ...volume, spec: { ...volume.spec, accessModes: [accessMode as 'ReadWriteOnce'] } };
    await begin();
    has();
    await mount();
    for (const call of ['NodeStageVolume', 'NodePublishVolume'])
      expect(lastOf(call)).toMatchObject({ volume_capability: { access_mode: { mode } } });
  });

  it('is staged anew where it was to be unstaged and that failed (kubernetes#100182)', async () => {
    await begin();
    has();
    await mount();
    fault = (call, when) => {
      if (call === 'NodeUnstageVolume' && when === 'after') throw refusal('UNAVAILABLE', 'later');
    };
    await expect(volumes.remove(one)).rejects.toThrow('later');
    fault = () => undefined;
    await mount(two);
    expect(asked().slice(-2)).toEqual(['NodeStageVolume', 'NodePublishVolume']);
    expect(driver.violations).toEqual([]);
  });

  it('is not taken for unmounted on the driver’s word', async () => {
    await begin();
    has();
    await mount();
    mounter.tmpfs(target(one), { sizeBytes: 1, mode: 0 });
    await expect(volumes.remove(one)).rejects.toThrow(/something is mounted there/);
    mounter.unmount(target(one));
    await volumes.remove(one);
    expect(leftOf()).toEqual([]);
  });
});

describe('what a driver asks of the pod', () => {
  it('is told it: who the pod is, tokens, secrets; and is asked again', async () => {
    await begin({ podInfoOnMount: true, requiresRepublish: true, tokenRequests: [{ audience: 'vault' }] });
    has();
    const source = {
      csi: {
        driver: name,
        fsType: 'xfs',
        readOnly: true,
        volumeAttributes: { size: '1' },
        nodePublishSecretRef: { name: 's' },
      },
    };
    const { refreshAtMs } = await mount(one, source);
    expect(refreshAtMs).toBe(5);
    expect(lastOf('NodePublishVolume')).toMatchObject({
      readonly: true,
      volume_capability: { mount: { fs_type: 'xfs' } },
      secrets: { key: 's3cret', of: 'ns/s' },
      volume_context: {
        size: '1',
        'csi.storage.k8s.io/ephemeral': 'true',
        'csi.storage.k8s.io/pod.name': 'p-2',
        'csi.storage.k8s.io/pod.namespace': 'ns',
        'csi.storage.k8s.io/pod.uid': one,
        'csi.storage.k8s.io/serviceAccount.name': 'sa',
        'csi.storage.k8s.io/serviceAccount.tokens':
          '{"vault":{"token":"token of vault","expirationTimestamp":"later"}}',
      },
    });
    await mount(one, source);
    expect(asked()).toEqual(['NodePublishVolume', 'NodePublishVolume']);
    await volumes.remove(one);
    expect(leftOf()).toEqual([]);
  });

  it('is refused where it does not take volumes that pods write themselves', async () => {
    await begin({ volumeLifecycleModes: ['Persistent'] });
    await expect(mount(one, { csi: { driver: name } })).rejects.toThrow(
      `volume mode "Ephemeral" not supported by driver ${name} (only supports ["Persistent"])`,
    );
  });
});
