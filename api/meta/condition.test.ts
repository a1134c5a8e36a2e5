import { describe, expect, it } from 'vitest';
import { isConditionTrue, withCondition, withoutCondition, type AnyCondition } from './condition.ts';
import { deployments } from '#api/schema/kind-ref.ts';
import { controllerRef, isControlledBy, ownerReference } from './owner.ts';

describe('withCondition()', () => {
  const ready: AnyCondition = { type: 'Ready', status: 'True', lastTransitionTime: '1970-01-01T00:00:01Z' };
  const other: AnyCondition = { type: 'Other', status: 'False', lastTransitionTime: '1970-01-01T00:00:02Z' };

  it('appends a new type, with the time', () => {
    expect(withCondition([other], { type: 'Ready', status: 'True' }, 5000)).toEqual([
      other,
      { type: 'Ready', status: 'True', lastTransitionTime: '1970-01-01T00:00:05Z' },
    ]);
  });

  it('keeps place and time while the status is the same', () => {
    expect(withCondition([ready, other], { type: 'Ready', status: 'True', reason: 'r' }, 5000)).toEqual([
      { ...ready, reason: 'r' },
      other,
    ]);
  });

  it('takes the time when the status changes', () => {
    const [changed] = withCondition([ready], { type: 'Ready', status: 'False' }, 5000);
    expect(changed?.lastTransitionTime).toBe('1970-01-01T00:00:05Z');
  });

  it('can be asked and undone', () => {
    expect([isConditionTrue([ready], 'Ready'), isConditionTrue(undefined, 'Ready')]).toEqual([true, false]);
    expect(withoutCondition([ready, other], 'Ready')).toEqual([other]);
  });
});

describe('owners', () => {
  const owner = { metadata: { name: 'd', uid: 'u1' } };
  const owned = { metadata: { ownerReferences: [ownerReference(owner, deployments)] } };

  it('control what refers to them so', () => {
    expect(controllerRef(owned)).toEqual({
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      name: 'd',
      uid: 'u1',
      controller: true,
      blockOwnerDeletion: true,
    });
    expect([isControlledBy(owned, 'u1'), isControlledBy(owned, 'u2'), isControlledBy({}, undefined)]).toEqual(
      [true, false, false],
    );
  });
});
