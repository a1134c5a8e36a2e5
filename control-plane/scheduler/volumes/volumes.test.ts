import { describe, expect, it } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { untilTurnsEnd } from '#base/quiet.fixture.ts';
import type {
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  PersistentVolumeSpec,
  Pod,
  StorageClass,
  Volume,
} from '#api/generated/objects.ts';
import * as kinds from '#api/schema/kind-ref.ts';
import { localProvisioner, volumesDirectoryAnnotation } from '#api/volume/local-volumes.ts';
import { createFakeApiClient } from '#client/client.fake.ts';
import { createInformers } from '#client/informers.ts';
import { createVolumeBinder } from './bind-volumes.ts';
import type { VolumeLookUp } from './look-up.ts';
import { claimsFor, planVolumes } from './plan-volumes.ts';

const claimOf = (
  name: string,
  rest: Partial<PersistentVolumeClaim> = {},
  size = '1Gi',
): PersistentVolumeClaim => ({
  metadata: { namespace: 'n', name, uid: `uid-${name}` },
  spec: { storageClassName: 'w', accessModes: ['ReadWriteOnce'], resources: { requests: { storage: size } } },
  status: { phase: 'Pending' },
  ...rest,
});
const boundTo = (name: string, volumeName: string): PersistentVolumeClaim =>
  claimOf(name, {
    metadata: {
      namespace: 'n',
      name,
      uid: `uid-${name}`,
      annotations: { 'pv.kubernetes.io/bind-completed': 'yes' },
    },
    spec: { volumeName },
    status: { phase: 'Bound' },
  });
const volumeOf = (
  name: string,
  spec: Partial<PersistentVolumeSpec> = {},
  size = '1Gi',
): PersistentVolume => ({
  metadata: { name },
  spec: { storageClassName: 'w', accessModes: ['ReadWriteOnce'], capacity: { storage: size }, ...spec },
  status: { phase: 'Available' },
});
const at = (node: string): PersistentVolumeSpec => ({
  nodeAffinity: {
    required: { nodeSelectorTerms: [{ matchExpressions: [{ key: 'h', operator: 'In', values: [node] }] }] },
  },
});
const classOf = (rest: Partial<StorageClass> = {}): StorageClass => ({
  metadata: { name: 'w' },
  provisioner: 'kubernetes.io/no-provisioner',
  volumeBindingMode: 'WaitForFirstConsumer',
  ...rest,
});
const node: Node = { metadata: { name: 'x', labels: { h: 'x', zone: 'z1' } } };
const makes: Node = {
  metadata: { ...node.metadata, annotations: { [volumesDirectoryAnnotation]: '/v' } },
};

interface Given {
  readonly claims: readonly PersistentVolumeClaim[];
  readonly volumes?: readonly PersistentVolume[];
  readonly storageClass?: StorageClass | undefined;
  readonly node?: Node;
  readonly more?: Partial<VolumeLookUp>;
  /** Of the pod; those of all claims without. */
  readonly uses?: readonly Volume[];
}

function run({ claims, volumes = [], storageClass = classOf(), uses, more, ...rest }: Given): unknown {
  const look: VolumeLookUp = {
    claim: (key) => claims.find(({ metadata }) => `n/${metadata?.name ?? ''}` === key),
    volume: (name) => volumes.find(({ metadata }) => metadata?.name === name),
    storageClass: (name) => (name === 'w' ? storageClass : undefined),
    offered: () => volumes,
    isTaken: () => false,
    chosenNode: () => undefined,
    usedOn: () => [],
    ...more,
  };
  const pod: Pod = {
    metadata: { namespace: 'n', name: 'p', uid: 'pod' },
    spec: {
      containers: [],
      volumes:
        uses ??
        claims.map(({ metadata }) => ({
          name: 'v',
          persistentVolumeClaim: { claimName: metadata?.name ?? '' },
        })),
    },
  };
  const found = claimsFor(pod, look);
  if (typeof found === 'string') return found;
  const plan = planVolumes(found, rest.node ?? node, look);
  if ('reasons' in plan) return plan.reasons.join();
  const nameOf = ({ metadata }: PersistentVolumeClaim | PersistentVolume): string => metadata?.name ?? '';
  return {
    bind: plan.bind.map(({ claim, volume }) => `${nameOf(claim)}=${nameOf(volume)}`),
    provision: plan.provision.map(nameOf),
  };
}

const nothing = { bind: [], provision: [] };
const noVolume = "node(s) didn't find available persistent volumes to bind";
const selected = { annotations: { 'volume.kubernetes.io/selected-node': 'y' } };

describe('what a pod’s claims ask of a node', () => {
  const rows: readonly (readonly [string, Given, unknown])[] = [
    [
      'a claim that is not there',
      { claims: [], uses: [{ name: 'v', persistentVolumeClaim: { claimName: 'c' } }] },
      'persistentvolumeclaim "c" not found',
    ],
    [
      'one that is to be made',
      { claims: [], uses: [{ name: 'v', ephemeral: {} }] },
      'waiting for ephemeral volume controller to create the persistentvolumeclaim "p-v"',
    ],
    [
      'somebody’s in place of one that is to be made',
      { claims: [claimOf('p-v')], uses: [{ name: 'v', ephemeral: {} }] },
      'PVC n/p-v was not created for pod n/p (pod is not owner)',
    ],
    [
      'one that lost its volume',
      { claims: [claimOf('c', { spec: { volumeName: 'v' }, status: { phase: 'Lost' } })] },
      'persistentvolumeclaim "c" bound to non-existent persistentvolume "v"',
    ],
    [
      'one that goes',
      { claims: [claimOf('c', { metadata: { name: 'c', deletionTimestamp: 'now' } })] },
      'persistentvolumeclaim "c" is being deleted',
    ],
    [
      'one that waits for no pod',
      { claims: [claimOf('c')], storageClass: classOf({ volumeBindingMode: 'Immediate' }) },
      'pod has unbound immediate PersistentVolumeClaims',
    ],
    [
      'one that names a volume',
      { claims: [claimOf('c', { spec: { storageClassName: 'w', volumeName: 'v' } })] },
      'pod has unbound immediate PersistentVolumeClaims',
    ],
    ['bound, here', { claims: [boundTo('c', 'v')], volumes: [volumeOf('v', at('x'))] }, nothing],
    [
      'bound, elsewhere',
      { claims: [boundTo('c', 'v')], volumes: [volumeOf('v', at('y'))] },
      'node(s) had volume node affinity conflict',
    ],
    [
      'bound to nothing',
      { claims: [boundTo('c', 'v')] },
      'node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)',
    ],
    [
      'a volume that is here',
      { claims: [claimOf('c')], volumes: [volumeOf('a', at('y')), volumeOf('b', at('x'))] },
      { bind: ['c=b'], provision: [] },
    ],
    ['none that is here', { claims: [claimOf('c')], volumes: [volumeOf('a', at('y'))] }, noVolume],
    [
      'the smaller claim first, each the smallest that is enough',
      {
        claims: [claimOf('l', {}, '2Gi'), claimOf('s')],
        volumes: [volumeOf('three', {}, '3Gi'), volumeOf('two', {}, '2Gi')],
      },
      { bind: ['s=two', 'l=three'], provision: [] },
    ],
    [
      'the smaller claim what there is, and the larger what is made',
      {
        claims: [claimOf('l', {}, '2Gi'), claimOf('s')],
        volumes: [volumeOf('two', {}, '2Gi')],
        storageClass: classOf({ provisioner: 'p' }),
      },
      { bind: ['s=two'], provision: ['l'] },
    ],
    ['no volume twice', { claims: [claimOf('a'), claimOf('b')], volumes: [volumeOf('one')] }, noVolume],
    [
      'none that is another’s',
      { claims: [claimOf('c')], volumes: [volumeOf('one')], more: { isTaken: () => true } },
      noVolume,
    ],
    [
      'a class that makes',
      { claims: [claimOf('c')], storageClass: classOf({ provisioner: 'p' }) },
      { bind: [], provision: ['c'] },
    ],
    [
      'ours, on a node that makes none',
      { claims: [claimOf('c')], storageClass: classOf({ provisioner: localProvisioner }) },
      noVolume,
    ],
    [
      'ours, on a node that does',
      { claims: [claimOf('c')], storageClass: classOf({ provisioner: localProvisioner }), node: makes },
      { bind: [], provision: ['c'] },
    ],
    [
      'bound, elsewhere, and none for another',
      { claims: [boundTo('c', 'v'), claimOf('d')], volumes: [volumeOf('v', at('y'))] },
      `node(s) had volume node affinity conflict,${noVolume}`,
    ],
    [
      'bound, here, and none for another',
      {
        claims: [boundTo('c', 'v'), claimOf('d')],
        volumes: [volumeOf('v', at('x'))],
        more: { offered: () => [] },
      },
      noVolume,
    ],
    [
      'bound to nothing, and none for another',
      { claims: [boundTo('c', 'v'), claimOf('d')] },
      `node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s),${noVolume}`,
    ],
    [
      'a class of other places',
      {
        claims: [claimOf('c')],
        storageClass: classOf({
          provisioner: 'p',
          allowedTopologies: [{ matchLabelExpressions: [{ key: 'zone', values: ['z2'] }] }],
        }),
      },
      noVolume,
    ],
    [
      'another node was chosen',
      {
        claims: [claimOf('c', { metadata: { namespace: 'n', name: 'c', ...selected } })],
        storageClass: classOf({ provisioner: 'p' }),
      },
      noVolume,
    ],
    [
      'another node was just chosen',
      {
        claims: [claimOf('c')],
        storageClass: classOf({ provisioner: 'p' }),
        more: { chosenNode: () => 'y' },
      },
      noVolume,
    ],
  ];
  it.each(rows)('%s', (_name, given, want) => expect(run(given)).toEqual(want));
});

it('a pod waits ten minutes for a volume that is made for it, and no longer; what it took is free again', async () => {
  const clock = createFakeClock(0);
  const client = createFakeApiClient(clock);
  await using informers = createInformers({ client, clock });
  client.seed(kinds.nodes, node);
  client.seed(kinds.storageClasses, classOf({ provisioner: 'p' }));
  client.seed(kinds.persistentVolumeClaims, claimOf('c'));
  const pod = client.seed<Pod>(kinds.pods, {
    metadata: { namespace: 'n', name: 'p' },
    spec: { containers: [], volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'c' } }] },
  });
  informers.for(kinds.nodes);
  informers.for(kinds.pods);
  const binder = createVolumeBinder({ informers, client, clock, usedOn: () => [] });
  await informers.synced();
  const reservation = binder.reserve(pod, 'x');
  expect(binder.look.chosenNode('n/c')).toBe('x');
  const bound = expect(reservation?.bind(new AbortController().signal)).rejects.toThrow('not done in 600 s');
  await untilTurnsEnd();
  clock.advance(600_000);
  await bound;
  reservation?.[Symbol.dispose]();
  expect(binder.look.chosenNode('n/c')).toBeUndefined();
  expect(client.all(kinds.persistentVolumeClaims)[0]?.metadata?.annotations).toEqual({
    'volume.kubernetes.io/selected-node': 'x',
  });
});
