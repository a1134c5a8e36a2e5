/** Claims and volumes with scheduler and controllers on a fake API: what a 1.36.2 was seen to do (loops-observed, 4 and 9), and what nodes make. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createFakeClock, type FakeClock } from '#base/clock.ts';
import { untilTurnsEnd } from '#base/quiet.fixture.ts';
import { silentLogger } from '#base/log.ts';
import * as kinds from '#api/schema/kind-ref.ts';
import type {
  PersistentVolume,
  PersistentVolumeClaim,
  PersistentVolumeClaimSpec,
  PersistentVolumeSpec,
  Pod,
  PodSpec,
  StorageClass,
} from '#api/generated/objects.ts';
import { localProvisioner, volumesDirectoryAnnotation } from '#api/volume/local-volumes.ts';
import { createFakeApiClient, type FakeApiClient } from '#client/client.fake.ts';
import { createInformers } from '#client/informers.ts';
import { startScheduler } from '#control-plane/scheduler/scheduler.ts';
import { createRoledClients } from '#control-plane/controllers/roled-clients.fixture.ts';
import { startControllers } from '#control-plane/controllers/start-controllers.ts';

let stack: AsyncDisposableStack;
let clock: FakeClock;
let client: FakeApiClient;

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  clock = createFakeClock(Date.UTC(2026, 0, 1));
  client = createFakeApiClient(clock);
  client.seed(kinds.namespaces, {
    metadata: { name: 'a' },
    spec: { finalizers: ['kubernetes'] },
    status: { phase: 'Active' },
  });
  for (const name of ['n1', 'n2']) seedNode(name);
  const { clients, refused } = createRoledClients(client);
  stack.defer(() => expect(refused).toEqual([]));
  const informers = stack.use(
    createInformers({ client: clients.controllerManager, clock, random: () => 0.5 }),
  );
  const shared = { informers, clock, logger: silentLogger };
  stack.use(startScheduler({ ...shared, client: clients.scheduler }));
  stack.use(startControllers({ ...shared, clientAs: clients.controller, rootCa: { pem: 'PEM' } }));
  await settle(500);
});
afterEach(() => stack.disposeAsync());

function seedNode(name: string): void {
  client.seed(kinds.nodes, {
    metadata: {
      name,
      labels: { 'kubernetes.io/hostname': name },
      annotations: { [volumesDirectoryAnnotation]: `/data/${name}/volumes` },
    },
    status: {
      allocatable: { cpu: '64', memory: '64Gi', pods: '500' },
      conditions: [{ type: 'Ready', status: 'True' }],
    },
  });
}

async function settle(ms = 600): Promise<void> {
  for (let passed = 0; ; passed += 100) {
    await untilTurnsEnd();
    if (passed >= ms) return;
    clock.advance(100);
  }
}

const where = (name: string) => ({ namespace: 'a', name });
const claimNamed = (name: string, spec: Partial<PersistentVolumeClaimSpec> = {}, size = '1Gi') =>
  client.create(kinds.persistentVolumeClaims, {
    metadata: where(name),
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: size } }, ...spec },
  });
const volumeNamed = (name: string, spec: Partial<PersistentVolumeSpec> = {}, size = '2Gi') =>
  client.create(kinds.persistentVolumes, {
    metadata: { name },
    spec: { accessModes: ['ReadWriteOnce'], capacity: { storage: size }, hostPath: { path: '/x' }, ...spec },
  });
const classNamed = (name: string, rest: Partial<StorageClass> = {}) =>
  client.create(kinds.storageClasses, { metadata: { name }, provisioner: localProvisioner, ...rest });
const waiting = { volumeBindingMode: 'WaitForFirstConsumer' } as const;
const podNamed = (name: string, claims: readonly string[], spec: Partial<PodSpec> = {}) =>
  client.create(kinds.pods, {
    metadata: where(name),
    spec: {
      containers: [{ name: 'c', image: 'i' }],
      volumes: claims.map((claimName) => ({ name: claimName, persistentVolumeClaim: { claimName } })),
      ...spec,
    },
  });
const on = (node: string): PersistentVolumeSpec['nodeAffinity'] => ({
  required: {
    nodeSelectorTerms: [
      { matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [node] }] },
    ],
  },
});

const claim = (name: string): Promise<PersistentVolumeClaim> =>
  client.get(kinds.persistentVolumeClaims, where(name));
const volume = (name: string): Promise<PersistentVolume> => client.get(kinds.persistentVolumes, { name });
const pod = (name: string): Promise<Pod> => client.get(kinds.pods, where(name));
const eventsOf = (name: string): readonly string[] =>
  client
    .all(kinds.events)
    .filter(({ involvedObject }) => involvedObject.name === name)
    .map(({ type, reason, message }) => `${type} ${reason}: ${message}`);

describe('claims and volumes that somebody made', () => {
  it('bind: the smallest that fits, with marks of who did it', async () => {
    await volumeNamed('large', {}, '9Gi');
    await volumeNamed('small');
    await volumeNamed('tiny', {}, '1Mi');
    await settle();
    await claimNamed('man');
    await settle();

    expect(await claim('man')).toMatchObject({
      metadata: {
        annotations: {
          'pv.kubernetes.io/bind-completed': 'yes',
          'pv.kubernetes.io/bound-by-controller': 'yes',
        },
      },
      spec: { volumeName: 'small' },
      status: { phase: 'Bound', accessModes: ['ReadWriteOnce'], capacity: { storage: '2Gi' } },
    });
    expect(await volume('small')).toMatchObject({
      metadata: { annotations: { 'pv.kubernetes.io/bound-by-controller': 'yes' } },
      spec: { claimRef: { kind: 'PersistentVolumeClaim', namespace: 'a', name: 'man', apiVersion: 'v1' } },
      status: { phase: 'Bound' },
    });
    expect((await volume('large')).status?.phase).toBe('Available');
  });

  it('bind when the volume comes later, the claim telling why it waits', async () => {
    await claimNamed('early');
    await settle(1200);
    expect(eventsOf('early')).toEqual([
      'Normal FailedBinding: no persistent volumes available for this claim and no storage class is set',
    ]);
    await volumeNamed('late');
    await settle();
    expect((await claim('early')).spec?.volumeName).toBe('late');
  });

  it('bind as both name each other, without a look', async () => {
    await volumeNamed('pvm', { claimRef: { namespace: 'a', name: 'mis' } });
    await claimNamed('mis', { accessModes: ['ReadWriteMany'], volumeName: 'pvm' });
    await settle();
    expect((await claim('mis')).status).toMatchObject({ phase: 'Bound', accessModes: ['ReadWriteOnce'] });
    expect((await claim('mis')).metadata?.annotations).toEqual({ 'pv.kubernetes.io/bind-completed': 'yes' });
    expect((await volume('pvm')).metadata?.annotations).toBeUndefined();
  });

  it.each([
    ['modes', { accessModes: ['ReadWriteMany'] }, '1Gi', 'incompatible accessMode'],
    ['size', {}, '3Gi', 'requested PV is too small'],
    ['cls', { storageClassName: 'other' }, '1Gi', 'storageClassName does not match'],
  ])('a claim that names a volume of other %s waits and says so', async (name, spec, size, cause) => {
    await volumeNamed('pm');
    await claimNamed(name, { volumeName: 'pm', ...spec }, size);
    await settle();
    expect((await claim(name)).status?.phase).toBe('Pending');
    expect(eventsOf(name)).toContain(
      `Warning VolumeMismatch: Cannot bind to requested volume "pm": ${cause}`,
    );
  });

  it('a volume that is another claim’s, one that is not there, and one that went', async () => {
    await volumeNamed('v');
    await claimNamed('first');
    await settle();
    await claimNamed('second', { volumeName: 'v' });
    await claimNamed('novol', { volumeName: 'nowhere' });
    await settle();
    expect(eventsOf('second')).toEqual([
      'Warning FailedBinding: volume "v" already bound to a different claim.',
    ]);
    expect([eventsOf('novol'), (await claim('novol')).status]).toEqual([[], { phase: 'Pending' }]);

    await client.patch(
      kinds.persistentVolumes,
      { name: 'v' },
      { kind: 'merge', body: { metadata: { finalizers: null } } },
    );
    await client.delete(kinds.persistentVolumes, { name: 'v' });
    await settle();
    expect((await claim('first')).status).toEqual({ phase: 'Lost' });
    expect(eventsOf('first')).toContain(
      'Warning ClaimLost: Bound claim has lost its PersistentVolume. Data on the volume is lost!',
    );
  });

  it.each([
    ['Retain', 'Released', undefined],
    ['Delete', 'Failed', 'host_path deleter only supports /tmp/.+ but received provided /x'],
    ['Recycle', 'Failed', 'No recycler plugin found for the volume!'],
  ] as const)('of policy %s are %s when the claim goes', async (policy, phase, message) => {
    await volumeNamed('v', { persistentVolumeReclaimPolicy: policy });
    await claimNamed('c');
    await settle();
    await client.delete(kinds.persistentVolumeClaims, where('c'));
    await settle(1200);
    expect((await volume('v')).status).toMatchObject({
      phase,
      ...(message === undefined ? {} : { message }),
    });
    expect((await volume('v')).spec?.claimRef?.name).toBe('c');
    const told = eventsOf('v');
    expect(told).toEqual(message === undefined ? [] : [expect.stringContaining(message)]);
  });

  it('a released volume whose claimRef somebody takes away is there for the next', async () => {
    await volumeNamed('v');
    await claimNamed('c');
    await settle();
    await client.delete(kinds.persistentVolumeClaims, where('c'));
    await settle();
    await client.patch(
      kinds.persistentVolumes,
      { name: 'v' },
      { kind: 'merge', body: { spec: { claimRef: null } } },
    );
    await claimNamed('next');
    await settle();
    expect((await claim('next')).spec?.volumeName).toBe('v');
  });

  it('no volume is two claims’, however many come at once', async () => {
    for (let index = 0; index < 100; index++) await volumeNamed(`v${index}`);
    const claims = Array.from({ length: 120 }, (_, index) => `c${index}`);
    await Promise.all(claims.map((name) => claimNamed(name)));
    await settle(2000);
    const found = await Promise.all(claims.map(claim));
    const bound = found.filter(({ status }) => status?.phase === 'Bound').map(({ spec }) => spec?.volumeName);
    expect([bound.length, new Set(bound).size]).toEqual([100, 100]);
    for (const one of client.all(kinds.persistentVolumes)) {
      const owner = found.find(({ metadata }) => metadata?.name === one.spec?.claimRef?.name);
      expect(owner?.spec?.volumeName).toBe(one.metadata?.name);
    }
  });
});

describe('classes', () => {
  it('a claim without one gets the default one when there is one', async () => {
    await claimNamed('noclass');
    await claimNamed('none', { storageClassName: '' });
    await settle();
    await classNamed('standard', {
      ...waiting,
      metadata: { name: 'standard', annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } },
    });
    await settle();
    expect((await claim('noclass')).spec?.storageClassName).toBe('standard');
    expect((await claim('none')).spec?.storageClassName).toBe('');
  });

  it('say what claims of them wait for', async () => {
    await classNamed('w', waiting);
    await classNamed('ext', { provisioner: 'csi.example.com' });
    await claimNamed('missing', { storageClassName: 'zz' });
    await claimNamed('waiting', { storageClassName: 'w' });
    await claimNamed('external', { storageClassName: 'ext' });
    await settle(1200);
    expect(eventsOf('missing')).toEqual([
      'Warning ProvisioningFailed: storageclass.storage.k8s.io "zz" not found',
    ]);
    expect(eventsOf('waiting')).toEqual([
      'Normal WaitForFirstConsumer: waiting for first consumer to be created before binding',
    ]);
    expect(eventsOf('external')).toEqual([
      "Normal ExternalProvisioning: Waiting for a volume to be created either by the external provisioner 'csi.example.com' or manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered.",
    ]);
    expect((await claim('external')).metadata?.annotations).toEqual({
      'volume.beta.kubernetes.io/storage-provisioner': 'csi.example.com',
      'volume.kubernetes.io/storage-provisioner': 'csi.example.com',
    });
  });
});

describe('a class whose provisioner is one of the first ones', () => {
  it.each([
    [
      'kubernetes.io/no-provisioner',
      'Warning ProvisioningFailed: no volume plugin matched name: kubernetes.io/no-provisioner',
    ],
    ['kubernetes.io/rbd', 'Warning ProvisioningFailed: no volume plugin matched name: kubernetes.io/rbd'],
    [
      'kubernetes.io/aws-ebs',
      "Normal ExternalProvisioning: Waiting for a volume to be created either by the external provisioner 'ebs.csi.aws.com' or manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered.",
      'ebs.csi.aws.com',
    ],
  ])('%s', async (provisioner, want, told?: string) => {
    await classNamed('old', { provisioner });
    await claimNamed('c', { storageClassName: 'old' });
    await settle();
    expect(eventsOf('c')).toEqual([want]);
    const { annotations } = (await claim('c')).metadata ?? {};
    expect(annotations?.['volume.kubernetes.io/storage-provisioner']).toBe(told);
    expect((await claim('c')).status?.phase).toBe('Pending');
  });
});

describe('pods', () => {
  const messageOf = async (name: string): Promise<string | undefined> =>
    (await pod(name)).status?.conditions?.find(({ type }) => type === 'PodScheduled')?.message;

  it('that use claims say what they wait for', async () => {
    await classNamed('none', { ...waiting, provisioner: 'kubernetes.io/no-provisioner' });
    await claimNamed('pending');
    await claimNamed('waiting', { storageClassName: 'none' });
    await podNamed('use-missing', ['nope']);
    await podNamed('use-pending', ['pending']);
    await podNamed('use-waiting', ['waiting']);
    await settle(1200);
    expect(await messageOf('use-missing')).toBe(
      '0/2 nodes are available: persistentvolumeclaim "nope" not found. not found',
    );
    expect(await messageOf('use-pending')).toBe(
      '0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found',
    );
    expect(await messageOf('use-waiting')).toBe(
      "0/2 nodes are available: 2 node(s) didn't find available persistent volumes to bind. no new claims to deallocate, preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.",
    );
  });

  it('go where a volume is, which is their claim’s then', async () => {
    await classNamed('none', { ...waiting, provisioner: 'kubernetes.io/no-provisioner' });
    await claimNamed('waiting', { storageClassName: 'none' });
    await podNamed('use', ['waiting']);
    await settle();
    await volumeNamed('pvw', { storageClassName: 'none', nodeAffinity: on('n2') });
    await settle(3000);
    expect((await pod('use')).spec?.nodeName).toBe('n2');
    expect((await claim('waiting')).metadata?.annotations).toEqual({
      'pv.kubernetes.io/bind-completed': 'yes',
      'pv.kubernetes.io/bound-by-controller': 'yes',
    });
    // The next one of the claim has no choice.
    await podNamed('elsewhere', ['waiting'], { nodeSelector: { 'kubernetes.io/hostname': 'n1' } });
    await settle(1200);
    expect(await messageOf('elsewhere')).toBe(
      "0/2 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, 1 node(s) had volume node affinity conflict. no new claims to deallocate, preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.",
    );
  });

  it('of ReadWriteOncePod are one at a time', async () => {
    await classNamed('w', waiting);
    await claimNamed('one', { storageClassName: 'w', accessModes: ['ReadWriteOncePod'] });
    await podNamed('first', ['one']);
    await settle(2000);
    await podNamed('second', ['one']);
    await settle(1200);
    expect((await pod('first')).spec?.nodeName).toBeDefined();
    expect(await messageOf('second')).toMatch(
      /2 node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode/,
    );
    await client.delete(kinds.pods, where('first'), { gracePeriodSeconds: 0 });
    await settle(3000);
    expect((await pod('second')).spec?.nodeName).toBeDefined();
  });

  it('have claims made of their ephemeral volumes', async () => {
    await classNamed('w', waiting);
    const template = {
      spec: {
        accessModes: ['ReadWriteOnce'],
        storageClassName: 'w',
        resources: { requests: { storage: '1Gi' } },
      },
    };
    await podNamed('eph', [], { volumes: [{ name: 'v', ephemeral: { volumeClaimTemplate: template } }] });
    await settle(2000);
    const made = await claim('eph-v');
    expect(made.metadata?.ownerReferences).toMatchObject([
      { apiVersion: 'v1', kind: 'Pod', name: 'eph', controller: true, blockOwnerDeletion: true },
    ]);
    expect([(await pod('eph')).spec?.nodeName, made.status?.phase]).toEqual([expect.any(String), 'Bound']);
  });

  it('that name their node themselves have their claim’s volume made there', async () => {
    await classNamed('w', waiting);
    await claimNamed('c', { storageClassName: 'w' });
    await podNamed('pinned', ['c'], { nodeName: 'n2' });
    await settle();
    expect((await volume((await claim('c')).spec?.volumeName ?? '')).spec?.local?.path).toMatch(
      /^\/data\/n2\//,
    );
  });
});

describe('volumes that nodes make', () => {
  const bindOne = async (rest: Partial<StorageClass> = {}): Promise<string> => {
    await classNamed('w', { ...waiting, ...rest });
    await claimNamed('c', { storageClassName: 'w' });
    await podNamed('p', ['c']);
    await settle(2000);
    return (await claim('c')).spec?.volumeName ?? '';
  };

  it('are of the node that the pod goes to, and are said to be', async () => {
    const name = await bindOne();
    const { uid } = (await claim('c')).metadata ?? {};
    const node = (await pod('p')).spec?.nodeName ?? '';
    expect(name).toBe(`pvc-${uid}`);
    expect(await volume(name)).toMatchObject({
      metadata: {
        labels: { 'podwright.io/node': node },
        annotations: { 'pv.kubernetes.io/provisioned-by': localProvisioner },
        finalizers: expect.arrayContaining(['podwright.io/local-volume', 'kubernetes.io/pv-protection']),
      },
      spec: {
        local: { path: `/data/${node}/volumes/${name}/data` },
        nodeAffinity: on(node),
        persistentVolumeReclaimPolicy: 'Delete',
        storageClassName: 'w',
        claimRef: { uid },
      },
      status: { phase: 'Bound' },
    });
    expect(eventsOf('c')).toContain(`Normal ProvisioningSucceeded: Successfully provisioned volume ${name}`);
  });

  it('are deleted with their claim, and stay until their node has removed them', async () => {
    const name = await bindOne();
    await client.delete(kinds.pods, where('p'), { gracePeriodSeconds: 0 });
    await client.delete(kinds.persistentVolumeClaims, where('c'));
    await settle();
    expect(await volume(name)).toMatchObject({
      metadata: { deletionTimestamp: expect.any(String), finalizers: ['podwright.io/local-volume'] },
      status: { phase: 'Released' },
    });
    const node = (await volume(name)).metadata?.labels?.['podwright.io/node'] ?? '';
    await client.delete(kinds.nodes, { name: node });
    await settle();
    expect(client.all(kinds.persistentVolumes)).toEqual([]);
    expect(eventsOf(name)).toEqual([expect.stringMatching(/^Warning VolumeFailedDelete: node n\d is gone/)]);
  });

  it('of policy Retain stay', async () => {
    const name = await bindOne({ reclaimPolicy: 'Retain' });
    await client.delete(kinds.pods, where('p'), { gracePeriodSeconds: 0 });
    await client.delete(kinds.persistentVolumeClaims, where('c'));
    await settle();
    expect((await volume(name)).status?.phase).toBe('Released');
    expect((await volume(name)).metadata?.deletionTimestamp).toBeUndefined();
  });

  it.each([
    ['ReadWriteMany', { accessModes: ['ReadWriteMany'] }, {}, /access mode ReadWriteMany is not supported/],
    ['Block', { volumeMode: 'Block' as const }, {}, /volumeMode Block is not supported/],
    ['parameters', {}, { parameters: { path: '/etc' } }, /parameter "path" of the class is not known/],
    [
      'Immediate',
      {},
      { volumeBindingMode: 'Immediate' as const },
      /must have volumeBindingMode WaitForFirstConsumer/,
    ],
  ])('are refused where they would not be as was asked: %s', async (_name, spec, rest, want) => {
    await classNamed('w', { ...waiting, ...rest });
    await claimNamed('c', { storageClassName: 'w', ...spec });
    await podNamed('p', ['c']);
    await settle(2000);
    expect(eventsOf('c').filter((text) => want.test(text))).not.toEqual([]);
    expect(client.all(kinds.persistentVolumes)).toEqual([]);
  });

  it('are made elsewhere when the chosen node is gone', async () => {
    await classNamed('w', waiting);
    await client.create(kinds.persistentVolumeClaims, {
      metadata: { ...where('c'), annotations: { 'volume.kubernetes.io/selected-node': 'gone' } },
      spec: {
        accessModes: ['ReadWriteOnce'],
        resources: { requests: { storage: '1Gi' } },
        storageClassName: 'w',
      },
    });
    await podNamed('p', ['c']);
    await settle(5000);
    expect((await pod('p')).spec?.nodeName).toMatch(/^n[12]$/);
    expect((await claim('c')).status?.phase).toBe('Bound');
  });

  it('grow: announced first, then the volume, whose node does the rest', async () => {
    const name = await bindOne({ allowVolumeExpansion: true });
    await client.patch(kinds.persistentVolumeClaims, where('c'), {
      kind: 'merge',
      body: { spec: { resources: { requests: { storage: '5Gi' } } } },
    });
    await settle();
    expect((await volume(name)).spec?.capacity).toEqual({ storage: '5Gi' });
    expect((await claim('c')).status).toMatchObject({
      capacity: { storage: '1Gi' },
      allocatedResources: { storage: '5Gi' },
      allocatedResourceStatuses: { storage: 'NodeResizePending' },
      conditions: [{ type: 'FileSystemResizePending', status: 'True' }],
    });
  });
});
