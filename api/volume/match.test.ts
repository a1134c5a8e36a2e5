import { describe, expect, it } from 'vitest';
import type {
  PersistentVolume,
  PersistentVolumeClaim,
  PersistentVolumeClaimSpec,
  PersistentVolumeSpec,
} from '#api/generated/objects.ts';
import { claimKeysOfPod, defaultClassOf, foreignClaim, isBoundTo } from './claim.ts';
import { findVolume, mismatch } from './match.ts';

const claimOf = (spec: Partial<PersistentVolumeClaimSpec> = {}): PersistentVolumeClaim => ({
  metadata: { namespace: 'n', name: 'c', uid: 'u' },
  spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '2Gi' } }, ...spec },
});
const volumeOf = (
  name: string,
  spec: Partial<PersistentVolumeSpec> = {},
  rest: Partial<PersistentVolume> = {},
): PersistentVolume => ({
  metadata: { name },
  spec: { accessModes: ['ReadWriteOnce'], capacity: { storage: '4Gi' }, ...spec },
  status: { phase: 'Available' },
  ...rest,
});
const onNode = (value: string): PersistentVolumeSpec => ({
  nodeAffinity: {
    required: { nodeSelectorTerms: [{ matchExpressions: [{ key: 'h', operator: 'In', values: [value] }] }] },
  },
});
const node = { metadata: { name: 'x', labels: { h: 'x' } } };
const ref = (uid?: string) => ({
  claimRef: { namespace: 'n', name: 'c', ...(uid === undefined ? {} : { uid }) },
});

describe('findVolume()', () => {
  type Row = readonly [
    name: string,
    volumes: readonly PersistentVolume[],
    want: string | undefined,
    claim?: PersistentVolumeClaim,
    options?: Parameters<typeof findVolume>[2],
  ];
  const rows: readonly Row[] = [
    ['none', [], undefined],
    [
      'the smallest that is large enough',
      [
        volumeOf('a', { capacity: { storage: '9Gi' } }),
        volumeOf('b'),
        volumeOf('s', { capacity: { storage: '1Gi' } }),
      ],
      'b',
    ],
    ['the first by name of equals', [volumeOf('b'), volumeOf('a')], 'a'],
    [
      'fewer modes before smaller',
      [
        volumeOf('many', { accessModes: ['ReadWriteOnce', 'ReadWriteMany'], capacity: { storage: '2Gi' } }),
        volumeOf('few'),
      ],
      'few',
    ],
    ['not of other modes', [volumeOf('a', { accessModes: ['ReadOnlyMany'] })], undefined],
    ['not of another class', [volumeOf('a', { storageClassName: 'k' })], undefined],
    ['of the class', [volumeOf('a', { storageClassName: 'k' })], 'a', claimOf({ storageClassName: 'k' })],
    ['not of another volumeMode', [volumeOf('a', { volumeMode: 'Block' })], undefined],
    ['not of other attributes', [volumeOf('a', { volumeAttributesClassName: 'k' })], undefined],
    ['not one that is not Available yet', [volumeOf('a', {}, { status: { phase: 'Pending' } })], undefined],
    [
      'not one that goes',
      [volumeOf('a', {}, { metadata: { name: 'a', deletionTimestamp: 'now' } })],
      undefined,
    ],
    ['not one of another claim', [volumeOf('a', { claimRef: { namespace: 'n', name: 'other' } })], undefined],
    ['not one of a claim of the name that was before', [volumeOf('a', ref('before'))], undefined],
    ['not one that is taken', [volumeOf('a')], undefined, claimOf(), { isTaken: () => true }],
    [
      'by labels',
      [volumeOf('a'), volumeOf('b', {}, { metadata: { name: 'b', labels: { k: 'v' } } })],
      'b',
      claimOf({ selector: { matchLabels: { k: 'v' } } }),
    ],
    [
      'the one that names it, before better ones',
      [volumeOf('a'), volumeOf('z', { ...ref(), capacity: { storage: '8Gi' } })],
      'z',
    ],
    [
      'not the one that names it, where it is too small',
      [volumeOf('z', { ...ref(), capacity: { storage: '1Gi' } })],
      undefined,
    ],
    [
      'not the one that names it, where it has not the modes',
      [volumeOf('z', { ...ref(), accessModes: ['ReadOnlyMany'] })],
      undefined,
    ],
    [
      'not the one that names it, where it has other attributes',
      [volumeOf('z', { ...ref(), volumeAttributesClassName: 'k' })],
      undefined,
    ],
    [
      'the one that names it, whatever its class and labels',
      [volumeOf('z', { ...ref(), storageClassName: 'k' })],
      'z',
      claimOf({ selector: { matchLabels: { k: 'v' } } }),
    ],
    [
      'only the one that names it, where it waits',
      [volumeOf('a')],
      undefined,
      claimOf(),
      { onlyNamed: true },
    ],
    ['of the node', [volumeOf('a', onNode('y')), volumeOf('b', onNode('x'))], 'b', claimOf(), { node }],
    [
      'nothing else, where the one that names it is elsewhere',
      [volumeOf('a', { ...onNode('y'), ...ref() }), volumeOf('b')],
      undefined,
      claimOf(),
      { node },
    ],
  ];
  it.each(rows.map((row) => [row[0], row] as const))(
    '%s',
    (_name, [, volumes, want, claim = claimOf(), options = {}]) => {
      for (const order of [volumes, volumes.toReversed()])
        expect(findVolume(claim, order, options)?.metadata?.name).toBe(want);
    },
  );
});

it.each([
  ['fits', {}, undefined],
  ['size', { capacity: { storage: '1Gi' } }, 'requested PV is too small'],
  ['attributes', { volumeAttributesClassName: 'k' }, 'volumeAttributesClassName does not match'],
  ['class', { storageClassName: 'k' }, 'storageClassName does not match'],
  ['mode', { volumeMode: 'Block' as const }, 'incompatible volumeMode'],
  ['modes', { accessModes: [] }, 'incompatible accessMode'],
])('mismatch(): %s', (_name, spec, want) => {
  expect(mismatch(volumeOf('a', spec), claimOf())).toBe(want);
});

it('isBoundTo() goes by name, and by the uid where one is said', () => {
  expect([ref(), ref('u'), ref('v'), {}].map((spec) => isBoundTo(volumeOf('a', spec), claimOf()))).toEqual([
    ...[true, true, false, false],
  ]);
});

it('defaultClassOf() is the youngest, then the first by name', () => {
  const isDefault = { 'storageclass.kubernetes.io/is-default-class': 'true' };
  const made = (name: string, creationTimestamp: string, annotations = isDefault) => ({
    metadata: { name, creationTimestamp, annotations },
    provisioner: 'p',
  });
  const [old, b, a] = [made('o', '2025'), made('b', '2026'), made('a', '2026')];
  expect(defaultClassOf([old, b, a])).toBe(a);
  expect(defaultClassOf([{ provisioner: 'p' }])).toBeUndefined();
});

it('claims of a pod are those that it names, and those made for it, which are its own', () => {
  const pod = {
    metadata: { namespace: 'n', name: 'p', uid: 'pu' },
    spec: {
      containers: [],
      volumes: [
        { name: 'a', persistentVolumeClaim: { claimName: 'c' } },
        { name: 'e', ephemeral: {} },
        { name: 'x' },
      ],
    },
  };
  expect(claimKeysOfPod(pod)).toEqual(['n/c', 'n/p-e']);
  expect(foreignClaim(pod, claimOf())).toBe('PVC n/c was not created for pod n/p (pod is not owner)');
});
