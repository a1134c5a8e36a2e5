/** Each row of upstream's syncVolume, reclaimVolume and unbindVolume (pv_controller.go of 1.36). */
import { describe, expect, it } from 'vitest';
import type { PersistentVolume, PersistentVolumeClaim } from '#api/generated/objects.ts';
import { boundByControllerAnnotation, provisionedByAnnotation } from '#api/volume/claim.ts';
import { planVolume, unboundVolume } from './plan-volume.ts';

type Phase = NonNullable<NonNullable<PersistentVolume['status']>['phase']>;
type Policy = NonNullable<PersistentVolume['spec']>['persistentVolumeReclaimPolicy'];

const made = { [provisionedByAnnotation]: 'csi.example.com' };
const ref = { namespace: 'a', name: 'c', uid: 'u' };

function volume(
  phase: Phase,
  policy: Policy,
  annotations: Readonly<Record<string, string>> = {},
  claimRef: NonNullable<PersistentVolume['spec']>['claimRef'] = ref,
): PersistentVolume {
  return {
    metadata: { name: 'v', annotations },
    spec: { persistentVolumeReclaimPolicy: policy, claimRef, hostPath: { path: '/x' } },
    status: { phase, ...(phase === 'Failed' ? { message: 'before' } : {}) },
  };
}

const claim = (volumeName?: string, volumeMode?: 'Block'): PersistentVolumeClaim => ({
  metadata: { name: 'c' },
  spec: { ...(volumeName === undefined ? {} : { volumeName }), ...(volumeMode ? { volumeMode } : {}) },
});

const unnamed: PersistentVolume = { metadata: { name: 'v' }, spec: {}, status: { phase: 'Released' } };
const failing = (reason: string): readonly string[] => ['phase Failed', `event ${reason}`];
const migrated = { 'pv.kubernetes.io/migrated-to': 'csi.example.com' };

describe('planVolume()', () => {
  it.each<[string, PersistentVolume, PersistentVolumeClaim | undefined, readonly string[]]>([
    ['names nobody', unnamed, undefined, ['phase Available']],
    ['is promised by name', volume('Pending', 'Retain', {}, { name: 'c' }), undefined, ['phase Available']],
    ['Failed, promised', volume('Failed', 'Delete', {}, { name: 'c' }), undefined, ['phase Available']],
    ['Available, promised', volume('Available', 'Retain', {}, { name: 'c' }), undefined, []],

    ['lost its claim, Retain', volume('Bound', 'Retain'), undefined, ['phase Released']],
    ['Released, Retain', volume('Released', 'Retain'), undefined, []],
    ['Failed, Retain', volume('Failed', 'Retain'), undefined, []],
    ['lost its claim, made elsewhere', volume('Bound', 'Delete', made), undefined, ['phase Released']],
    ['Released, made elsewhere', volume('Released', 'Delete', made), undefined, []],
    ['Failed, made elsewhere', volume('Failed', 'Delete', made), undefined, []],
    ['Released, Recycle', volume('Released', 'Recycle'), undefined, failing('VolumeFailedRecycle')],
    ['Released, Delete', volume('Released', 'Delete'), undefined, failing('VolumeFailedDelete')],
    ['Released, migrated, Delete', volume('Released', 'Delete', migrated), undefined, []],
    ['Released, migrated, Recycle', volume('Released', 'Recycle', migrated), undefined, []],

    ['its claim has not taken it', volume('Available', 'Retain'), claim(), []],
    [
      'its claim is of another mode',
      volume('Available', 'Retain'),
      claim(undefined, 'Block'),
      ['event VolumeMismatch', 'event VolumeMismatch of c'],
    ],

    ['both name each other', volume('Available', 'Retain'), claim('v'), ['phase Bound']],
    ['both, Released', volume('Released', 'Retain'), claim('v'), ['phase Bound']],
    ['both, Failed', volume('Failed', 'Delete', made), claim('v'), ['phase Bound']],
    ['both, Bound', volume('Bound', 'Retain'), claim('v'), []],

    ['its claim has another, made for it', volume('Bound', 'Delete', made), claim('w'), ['phase Released']],
    ['the same, Released', volume('Released', 'Delete', made), claim('w'), []],
    ['the same, Failed', volume('Failed', 'Delete', made), claim('w'), []],
    [
      'its claim has another, made, Retain',
      volume('Bound', 'Retain', made),
      claim('w'),
      ['unbind', 'phase Available'],
    ],
    ['its claim has another', volume('Bound', 'Delete'), claim('w'), ['unbind', 'phase Available']],
    ['the same, Failed, by hand', volume('Failed', 'Delete'), claim('w'), ['unbind', 'phase Available']],
  ])('%s', (_name, given, itsClaim, want) => {
    const steps = planVolume({ volume: given, claim: itsClaim, hasNode: () => true });
    expect(
      steps.map((step) => {
        if (step.kind === 'phase') return `phase ${step.phase}`;
        if (step.kind !== 'event') return step.kind;
        return `event ${step.reason}${step.about === undefined ? '' : ` of ${step.about.metadata?.name}`}`;
      }),
    ).toEqual(want);
  });
});

describe('unboundVolume()', () => {
  it.each([
    ['bound by the binder: names nobody', { [boundByControllerAnnotation]: 'yes' }, undefined],
    ['meant for the name: keeps that', {}, { namespace: 'a', name: 'c' }],
  ])('%s', (_name, annotations, claimRef) => {
    const next = unboundVolume(volume('Bound', 'Retain', annotations));
    expect(next.spec?.claimRef).toEqual(claimRef);
    expect(next.metadata?.annotations).toEqual({});
  });
});
