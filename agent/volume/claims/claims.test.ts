import {
  chmodSync,
  existsSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import type {
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  PersistentVolumeSpec,
  PodSpec,
  Volume,
} from '#api/generated/objects.ts';
import { localProvisioner, localVolumeFinalizer, volumeNodeLabel } from '#api/volume/local-volumes.ts';
import { createFakeMounter, type FakeMounter } from '#agent/volume/mounter.fake.ts';
import { readVolumeStats } from '#agent/kubelet/stats/volume-stats.ts';
import { createPodVolumes, type PodVolumes } from '#agent/volume/pod-volumes.ts';
import { failedClaim, grownClaim, growthOf } from './expansion.ts';
import { planKeeping } from './keep-local-volumes.ts';
import { createLocalVolumes, type LocalVolumes } from './local-volumes.ts';
import { readRecords } from './records.ts';

const isRoot = process.getuid?.() === 0;
const claimUid = '11111111-2222-3333-4444-555555555555';
const name = `pvc-${claimUid}`;
let root: string;
let pods: string;
let mounter: FakeMounter;
let local: LocalVolumes;
let volumes: PodVolumes;
let claims: Map<string, PersistentVolumeClaim>;
let stored: Map<string, PersistentVolume>;
let seen: Node | undefined;
let nodeAsked: number;
const node: Node = { metadata: { name: 'n1', labels: { 'kubernetes.io/hostname': 'n1' } } };

beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), 'claims-'));
  [seen, nodeAsked] = [undefined, 0];
  claims = new Map([['ns/c', claim()]]);
  stored = new Map([[name, made()]]);
  local = createLocalVolumes({ directory: path.join(root, 'volumes'), nodeName: 'n1' });
  pods = path.join(root, 'pods');
  mounter = createFakeMounter();
  volumes = createPodVolumes({
    directory: pods,
    memoryDirectory: path.join(root, 'memory'),
    mounter,
    objects: () => ({
      configMap: async () => undefined,
      secret: async () => undefined,
      serviceAccountToken: async () => ({ token: '', refreshAtMs: 0 }),
      claim: async (namespace, one) => claims.get(`${namespace}/${one}`),
      persistentVolume: async (one) => stored.get(one),
      node: async () => {
        nodeAsked++;
        return node;
      },
      seenNode: () => seen,
      podsUsing: async (uid) =>
        (await readRecords(pods))
          .filter((record) => record.claimUid === uid)
          .map(({ podUid, path: where }) => ({ podUid, hasIt: where !== undefined })),
      noteMounted: async () => false,
      tellClaim: async (told) => told,
      localVolumes: local,
    }),
  });
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function claim(rest: Partial<PersistentVolumeClaim> = {}): PersistentVolumeClaim {
  return {
    metadata: {
      namespace: 'ns',
      name: 'c',
      uid: claimUid,
      annotations: { 'pv.kubernetes.io/bind-completed': 'yes' },
    },
    spec: { accessModes: ['ReadWriteOnce'], volumeName: name },
    status: { phase: 'Bound' },
    ...rest,
  };
}

function made(spec: Partial<PersistentVolumeSpec> = {}, metadata: object = {}): PersistentVolume {
  return {
    metadata: {
      name,
      uid: 'pv-uid',
      labels: { [volumeNodeLabel]: 'n1' },
      annotations: { 'pv.kubernetes.io/provisioned-by': localProvisioner },
      finalizers: [localVolumeFinalizer],
      ...metadata,
    },
    spec: {
      capacity: { storage: '1Gi' },
      accessModes: ['ReadWriteOnce'],
      persistentVolumeReclaimPolicy: 'Delete',
      claimRef: { namespace: 'ns', name: 'c', uid: claimUid },
      local: { path: path.join(root, 'volumes', name, 'data') },
      ...spec,
    },
  };
}

/** A volume of somebody's making, with the fields that say what it is. */
const given = (spec: Partial<PersistentVolumeSpec>): PersistentVolume => ({
  metadata: { name, uid: 'pv-uid' },
  spec: { claimRef: { namespace: 'ns', name: 'c', uid: claimUid }, ...spec },
});
const data = (): string => path.join(root, 'volumes', name, 'data');
const use: Volume = { name: 'v', persistentVolumeClaim: { claimName: 'c' } };
const mount = async (uid = 'u1', spec: Partial<PodSpec> = {}): Promise<string | undefined> => {
  const { byName } = await volumes.mount({
    pod: { metadata: { uid, namespace: 'ns', name: 'p' }, spec: { containers: [], volumes: [use], ...spec } },
    downward: { field: () => '', resource: () => '' },
    now: 0,
    signal: new AbortController().signal,
  });
  return byName.get('v')?.path;
};

describe('a record that was cut by the end of the machine', () => {
  it('is written anew as the pod is mounted again, and hinders no other', async () => {
    stored.set(name, made());
    await mount();
    writeFileSync(path.join(pods, 'u1/volumes/persistentVolumeClaim/v/claim.json'), '');
    expect(await readRecords(pods)).toEqual([]);
    expect(await mount()).toBe(data());
    expect(await readRecords(pods)).toMatchObject([{ podUid: 'u1', path: data() }]);
  });
});

describe('a share of an NFS server', () => {
  const share = (rest: Partial<PersistentVolumeSpec> = {}): PersistentVolume =>
    given({ nfs: { server: 'nas', path: '/a' }, mountOptions: ['nfsvers=4.1', 'hard'], ...rest });

  it('is mounted beside the record of the claim, with its options, and unmounted with the pod', async () => {
    stored.set(name, share());
    const target = await mount();
    expect([...mounter.mounts]).toEqual([[target, 'nfs nas:/a nfsvers=4.1,hard,rw']]);
    expect(await readRecords(pods)).toMatchObject([{ path: target, isRemote: true }]);
    expect([
      ...(await readVolumeStats(pods, {
        usedBelow: async () => ({ bytes: 0, inodes: 0 }),
        clock: createFakeClock(),
      })),
    ]).toEqual([]);
    await volumes.remove('u1');
    expect([...mounter.mounts]).toEqual([]);
  });

  it('is no block device', async () => {
    stored.set(name, share({ volumeMode: 'Block' }));
    await expect(mount()).rejects.toThrow('NFS has no volumeMode Block');
  });
});

describe('a volume that the node makes', () => {
  it('is made when its pod comes, as open as an emptyDir, and found again by the next', async () => {
    expect(await mount()).toBe(data());
    expect(statSync(data()).mode & 0o7777).toBe(0o777);
    expect(statSync(path.dirname(data())).mode & 0o777).toBe(0o700);
    writeFileSync(path.join(data(), 'kept'), 'x');
    await volumes.remove('u1');
    expect(readFileSync(path.join(data(), 'kept'), 'utf8')).toBe('x');
    expect(await mount('u2')).toBe(data());
    expect(await readRecords(path.join(root, 'pods'))).toEqual([
      {
        claim: 'ns/c',
        claimUid,
        volume: name,
        volumeUid: 'pv-uid',
        path: data(),
        podUid: 'u2',
        name: 'v',
        sizeBytes: 1_073_741_824,
      },
    ]);
  });

  it('is made whole after a cut at any step', async () => {
    await local.ensure(made());
    const mark = path.join(root, 'volumes', name, 'mark.json');
    const making = readFileSync(mark, 'utf8').replace('"made"', '"making"');
    rmSync(path.join(root, 'volumes'), { recursive: true });
    const steps: readonly (() => void)[] = [
      () => mkdirSync(path.dirname(mark), { recursive: true }),
      () => writeFileSync(mark, making),
      () => mkdirSync(path.join(path.dirname(mark), '.data')),
      () => {
        mkdirSync(data());
        chmodSync(data(), 0o777);
      },
    ];
    for (const step of steps) {
      step();
      expect(await local.ensure(made())).toBe(data());
      expect(statSync(data()).mode & 0o777).toBe(0o777);
      await local.remove(made());
      expect(readdirSync(path.join(root, 'volumes'))).toEqual([]);
      mkdirSync(path.dirname(mark), { recursive: true });
      writeFileSync(mark, making);
    }
  });

  it('is removed after a cut at any step, and nothing else is', async () => {
    await local.ensure(made());
    const mark = path.join(root, 'volumes', name, 'mark.json');
    writeFileSync(mark, readFileSync(mark, 'utf8').replace('"made"', '"removing"'));
    await expect(local.ensure(made())).rejects.toThrow('it is being removed');
    rmSync(data(), { recursive: true });
    await local.remove(made());
    await local.remove(made());
    expect(existsSync(path.dirname(data()))).toBe(false);
  });

  it('whose files are gone is not taken for a new one', async () => {
    await mount();
    rmSync(data(), { recursive: true });
    await expect(mount()).rejects.toThrow(/files are gone/);
  });

  it.each([
    ['another volume of the name', (): PersistentVolume => made({}, { uid: 'other' }), /that of pvc-/],
    [
      'another node’s',
      (): PersistentVolume => made({}, { labels: { [volumeNodeLabel]: 'n2' } }),
      /makes its volumes in/,
    ],
    ['another path', (): PersistentVolume => made({ local: { path: '/etc' } }), /makes its volumes in/],
    [
      'a name that leads elsewhere',
      (): PersistentVolume => made({}, { name: '../x' }),
      /makes its volumes in/,
    ],
  ])('is not removed as %s', async (_name, volume, want) => {
    await local.ensure(made());
    await expect(local.remove(volume())).rejects.toThrow(want);
    expect(existsSync(data())).toBe(true);
  });

  it('is not made, nor removed, where files of somebody else are', async () => {
    mkdirSync(path.join(root, 'volumes', name), { recursive: true });
    writeFileSync(path.join(root, 'volumes', name, 'theirs'), '');
    await expect(local.ensure(made())).rejects.toThrow('it has files, and no mark of ours');
    await expect(local.remove(made())).rejects.toThrow('it has files, and no mark of ours');
  });

  it.runIf(isRoot)('is all of the pod’s group, itself last, whatever links lead to', async () => {
    const directory = await local.ensure(made());
    const outside = path.join(root, 'outside');
    writeFileSync(outside, '', { mode: 0o600 });
    mkdirSync(path.join(directory, 'd'));
    writeFileSync(path.join(directory, 'd', 'f'), '', { mode: 0o600 });
    symlinkSync(outside, path.join(directory, 'link'));
    chmodSync(directory, 0o700);
    lchownSync(path.join(directory, 'd', 'f'), 7, 7);
    await mount('u1', { securityContext: { fsGroup: 2000 } });
    const facts = (file: string): unknown => {
      const { uid, gid, mode } = statSync(file);
      return [uid, gid, (mode & 0o7777).toString(8)];
    };
    expect(facts(directory)).toEqual([0, 2000, '2770']);
    expect(facts(path.join(directory, 'd'))).toEqual([0, 2000, '2775']);
    expect(facts(path.join(directory, 'd', 'f'))).toEqual([7, 2000, '660']);
    expect(facts(outside)).toEqual([0, 0, '600']);
  });

  it.runIf(isRoot)(
    'is left as it is by fsGroupChangePolicy OnRootMismatch where itself is the group’s',
    async () => {
      const directory = await local.ensure(made());
      const file = path.join(directory, 'f');
      writeFileSync(file, '', { mode: 0o600 });
      lchownSync(directory, 0, 2000);
      chmodSync(directory, 0o2770);
      await mount('u1', { securityContext: { fsGroup: 2000, fsGroupChangePolicy: 'OnRootMismatch' } });
      expect(statSync(file).gid).toBe(0);
      await mount('u2', { securityContext: { fsGroup: 2000, fsGroupChangePolicy: 'Always' } });
      expect(statSync(file).gid).toBe(2000);
    },
  );
});

describe('a claim', () => {
  const going = '2026-01-01T00:00:00Z';
  it.each([
    ['that is not there', () => claims.clear(), /persistentvolumeclaims "c" not found/],
    [
      'that is not bound',
      () => claims.set('ns/c', claim({ status: { phase: 'Pending' } })),
      /PVC ns\/c is not bound/,
    ],
    [
      'that goes',
      () => claims.set('ns/c', claim({ metadata: { ...claim().metadata, deletionTimestamp: going } })),
      /is being deleted/,
    ],
    ['without its volume', () => stored.clear(), /persistentvolumes "pvc-.*" not found/],
    [
      'whose volume is another’s',
      () => stored.set(name, made({ claimRef: { uid: 'x' } })),
      /is bound to another claim/,
    ],
    ['whose volume goes', () => stored.set(name, made({}, { deletionTimestamp: going })), /is being deleted/],
    [
      'whose volume is elsewhere',
      () =>
        stored.set(
          name,
          made({
            nodeAffinity: {
              required: {
                nodeSelectorTerms: [
                  { matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: ['n2'] }] },
                ],
              },
            },
          }),
        ),
      /node affinity does not match this node/,
    ],
    [
      'of a kind that is not there',
      () => stored.set(name, given({ rbd: { image: 'i', monitors: ['m'] } })),
      /kind rbd is not supported by this node/,
    ],
    [
      'with options',
      () => stored.set(name, given({ mountOptions: ['ro'], local: { path: root } })),
      /mountOptions are not supported/,
    ],
    [
      'of a path that is not there',
      () => stored.set(name, given({ local: { path: `${root}/none` } })),
      /does not exist/,
    ],
    [
      'of a device that is none',
      () => stored.set(name, given({ volumeMode: 'Block', local: { path: root } })),
      /is no block device/,
    ],
  ])('%s is told of', async (_name, change, want) => {
    change();
    await expect(mount()).rejects.toThrow(want);
  });

  it('of a directory that somebody made, local or of the host, is that directory', async () => {
    stored.set(name, given({ local: { path: root } }));
    expect(await mount()).toBe(root);
    stored.set(name, given({ hostPath: { path: path.join(root, 'new') } }));
    expect(await mount('u2')).toBe(path.join(root, 'new'));
    await volumes.remove('u1');
    expect(existsSync(root)).toBe(true);
  });

  it.each([
    { name: 'as it should be', labels: { 'kubernetes.io/hostname': 'n1' }, asked: 0 },
    { name: 'without the label', labels: {}, asked: 1 },
  ])('is of a node that was seen $name', async ({ labels, asked }) => {
    seen = { metadata: { name: 'n1', labels } };
    const matchExpressions = [{ key: 'kubernetes.io/hostname', operator: 'In' as const, values: ['n1'] }];
    const nodeAffinity = { required: { nodeSelectorTerms: [{ matchExpressions }] } };
    stored.set(name, made({ nodeAffinity }));
    expect(await mount()).toBe(data());
    expect(nodeAsked).toBe(asked);
  });

  // Looked at, not opened.
  it.runIf(existsSync('/dev/loop0'))(
    'of a block device is its file system, mounted for the pod',
    async () => {
      const device = { local: { path: '/dev/loop0', fsType: 'xfs' }, mountOptions: ['noatime'] };
      const target = path.join(pods, 'u1', 'volumes', 'persistentVolumeClaim', 'v', 'mount');
      stored.set(name, given(device));
      expect([await mount(), await mount()]).toEqual([target, target]);
      expect(mounter.mounts.get(target)).toBe('device /dev/loop0 xfs noatime');
      await volumes.remove('u1');
      expect(mounter.mounts.size).toBe(0);
      stored.set(name, given({ ...device, volumeMode: 'Block' }));
      await expect(mount('u2')).rejects.toThrow(/mountOptions are not supported/);
    },
  );

  it('of ReadWriteOncePod is one pod’s until that has gone', async () => {
    claims.set('ns/c', claim({ spec: { accessModes: ['ReadWriteOncePod'], volumeName: name } }));
    await mount('u2');
    await expect(mount('u1')).rejects.toThrow(/already in use by another pod/);
    await mount('u2');
    await volumes.remove('u2');
    expect(await mount('u1')).toBe(data());
  });
});

describe('planKeeping()', () => {
  const going = { deletionTimestamp: '2026-01-01T00:00:00Z' };
  it.each([
    ['one that stays', {}, {}, 'nothing'],
    ['one that goes', {}, going, 'remove'],
    ['one of policy Retain', { persistentVolumeReclaimPolicy: 'Retain' as const }, going, 'let go'],
    [
      'one that a claim has still',
      {},
      { ...going, finalizers: [localVolumeFinalizer, 'kubernetes.io/pv-protection'] },
      'nothing',
    ],
    ['one that was let go', {}, { ...going, finalizers: ['other'] }, 'nothing'],
  ])('%s', (_name, spec, metadata, want) => {
    expect(planKeeping(made(spec, metadata))).toBe(want);
  });
});

describe('grownClaim()', () => {
  const told = (storage: string): PersistentVolumeClaim =>
    claim({
      status: {
        phase: 'Bound',
        capacity: { storage },
        conditions: [
          { type: 'FileSystemResizePending', status: 'True' },
          { type: 'Other', status: 'True' },
        ],
        allocatedResources: { storage: '1Gi' },
        allocatedResourceStatuses: { storage: 'NodeResizePending' },
      },
    });
  it('says so once the volume is larger', () => {
    expect(grownClaim(told('512Mi'), made())?.status).toEqual({
      phase: 'Bound',
      capacity: { storage: '1Gi' },
      conditions: [{ type: 'Other', status: 'True' }],
      allocatedResources: { storage: '1Gi' },
    });
  });
  it('says nothing of what is known, and of volumes of others', () => {
    const { allocatedResourceStatuses: _state, ...status } = told('1Gi').status ?? {};
    expect([grownClaim(claim({ status }), made()), grownClaim(told('1Mi'), given({}))]).toEqual([
      undefined,
      undefined,
    ]);
  });
  it('ends what is said to be pending of a size that it has', () => {
    expect(grownClaim(told('1Gi'), made())?.status).toEqual({
      ...{ phase: 'Bound', capacity: { storage: '1Gi' } },
      conditions: [{ type: 'Other', status: 'True' }],
      allocatedResources: { storage: '1Gi' },
    });
    const more = { ...told('1Gi').status, allocatedResources: { storage: '2Gi' } };
    expect(grownClaim(claim({ status: more }), made())).toBeUndefined();
  });
});

describe('growthOf()', () => {
  const volume = given({ capacity: { storage: '2Gi' }, csi: { driver: 'd', volumeHandle: 'v' } });
  it.each<[string | undefined, string, number | undefined]>([
    [undefined, '1Gi', 2 ** 31],
    ['NodeResizePending', '1Gi', 2 ** 31],
    ['NodeResizeInProgress', '1Gi', 2 ** 31],
    ['NodeResizeInfeasible', '1Gi', undefined],
    ['ControllerResizeInProgress', '1Gi', undefined],
    ['ControllerResizeInfeasible', '1Gi', undefined],
    ['NodeResizePending', '2Gi', undefined],
  ])('in state %s, of a claim that was told %s', (state, storage, want) => {
    const states = state === undefined ? {} : { allocatedResourceStatuses: { storage: state } };
    expect(growthOf(claim({ status: { capacity: { storage }, ...states } }), volume)).toBe(want);
  });
  it('is nothing of volumes that no driver enlarges', () => {
    expect(growthOf(claim({ status: { capacity: { storage: '1Mi' } } }), made())).toBeUndefined();
  });
});

describe('failedClaim()', () => {
  const volume = given({ capacity: { storage: '2Gi' } });
  const failed = { type: 'NodeResizeError', status: 'True' };
  it.each([
    { name: 'once', isInfeasible: false, asks: '2Gi', before: [], want: 'NodeResizeInProgress' },
    { name: 'again', isInfeasible: false, asks: '2Gi', before: [failed], want: 'NodeResizeInProgress' },
    {
      name: 'of a size that is wrong',
      isInfeasible: true,
      asks: '2Gi',
      before: [],
      want: 'NodeResizeInfeasible',
    },
    {
      name: 'again, of a size that is not asked for any more',
      ...{ isInfeasible: false, asks: '1Gi', before: [failed], want: 'NodeResizeInfeasible' },
    },
  ])('says so, $name', ({ isInfeasible, asks, before, want }) => {
    const { status } = failedClaim(
      claim({
        spec: { resources: { requests: { storage: asks } } },
        status: { conditions: before, allocatedResourceStatuses: { storage: 'NodeResizeInProgress' } },
      }),
      volume,
      { message: 'no', isInfeasible, now: 0 },
    );
    expect(status?.allocatedResourceStatuses).toEqual({ storage: want });
    expect(status?.conditions).toMatchObject([{ ...failed, message: 'failed to expand pvc with no' }]);
  });
});
