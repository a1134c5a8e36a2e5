import { describe, expect, it } from 'vitest';
import type { PersistentVolumeClaim } from '#api/generated/objects.ts';
import { modifiedStatus, planModify, unfitAttributes, type ModifyNews } from './plan-modify.ts';

type State = 'Pending' | 'InProgress' | 'Infeasible';

/** `wanted current [state target]` */
function claimOf(text: string): PersistentVolumeClaim {
  const [wanted, current, state, target] = text.split(' ').map((word) => (word === '-' ? undefined : word));
  const modifyVolumeStatus =
    state === undefined ? undefined : { status: state as State, targetVolumeAttributesClassName: target };
  return {
    spec: { volumeAttributesClassName: wanted },
    status: { currentVolumeAttributesClassName: current, modifyVolumeStatus },
  };
}

describe('planModify()', () => {
  it.each([
    ['nothing asked for', '- -', undefined, 'none'],
    ['nothing asked for any more of what it has', '- a', undefined, 'none'],
    ['what it has', 'a a', undefined, 'none'],
    ['the first', 'a -', undefined, 'ask a'],
    ['another', 'b a', undefined, 'ask b'],
    ['one that was not there', 'b a Pending b', undefined, 'ask b'],
    ['another than the one that was not there', 'c a Pending b', undefined, 'ask c'],
    ['back from one that was not there', 'a a Pending b', undefined, 'forget'],
    ['none instead of one that was not there', '- - Pending b', undefined, 'forget'],
    ['one that may have begun', 'b a InProgress b', undefined, 'go on with b'],
    ['another, while one may have begun', 'c a InProgress b', undefined, 'go on with b'],
    ['back, while one may have begun', 'a a InProgress b', undefined, 'go on with b'],
    ['none, while one may have begun', '- - InProgress b', undefined, 'go on with b'],
    ['another after one that was refused', 'c a InProgress b', 'b', 'ask c'],
    ['back after one that was refused', 'a a InProgress b', 'b', 'ask a'],
    ['the same after it was refused', 'b a InProgress b', 'b', 'go on with b'],
    ['none after one that was refused', '- - InProgress b', 'b', 'go on with b'],
    ['another after an infeasible one', 'c a Infeasible b', 'b', 'ask c'],
    ['back after an infeasible one', 'a a Infeasible b', 'b', 'ask a'],
    ['an infeasible one still', 'b a Infeasible b', 'b', 'ask b'],
    ['none after an infeasible one', '- - Infeasible b', undefined, 'none'],
  ])('%s', (_name, given, failed, want) => {
    const step = planModify(claimOf(given), failed);
    const got = step.kind === 'ask' ? `${step.isBegun ? 'go on with' : 'ask'} ${step.target}` : step.kind;
    expect(got).toBe(want);
  });
});

describe('modifiedStatus()', () => {
  const other = { type: 'Resizing', status: 'True' };
  it('tells of a class from its beginning by a failure to its end, and leaves other conditions', () => {
    let status = { phase: 'Bound' as const, conditions: [other] } as PersistentVolumeClaim['status'];
    const seen = (news: ModifyNews): unknown => {
      status = modifiedStatus(status, news, 0);
      const {
        modifyVolumeStatus: state,
        conditions = [],
        currentVolumeAttributesClassName: current,
      } = status;
      return [
        state === undefined ? '' : `${state.status} ${state.targetVolumeAttributesClassName ?? ''}`,
        current,
        ...conditions.map(({ type, message = '' }) => `${type} ${message}`.trim()),
      ];
    };
    expect(seen({ kind: 'pending', target: 'a' })).toEqual(['Pending a', undefined, 'Resizing']);
    const begun = 'ModifyingVolume ModifyVolume operation in progress.';
    expect(seen({ kind: 'begun', target: 'a' })).toEqual(['InProgress a', undefined, 'Resizing', begun]);
    const failed = { kind: 'failed', target: 'a', error: 'E' } as const;
    const words = 'ModifyVolume failed with error: E. Waiting for retry.';
    const failing = `ModifyVolumeError ${words}`;
    expect(seen({ ...failed, isInfeasible: false })).toEqual([
      ...['InProgress a', undefined, 'Resizing', begun, failing],
    ]);
    expect(seen({ ...failed, isInfeasible: true })).toEqual([
      ...['Infeasible a', undefined, 'Resizing', `ModifyingVolume ${words}`, failing],
    ]);
    expect(seen({ kind: 'begun', target: 'b' })).toEqual(['InProgress b', undefined, 'Resizing', begun]);
    expect(seen({ kind: 'done', target: 'b' })).toEqual(['', 'b', 'Resizing']);
    expect(seen({ kind: 'pending', target: 'c' })).toEqual(['Pending c', 'b', 'Resizing']);
    expect(seen({ kind: 'forgotten' })).toEqual(['', 'b', 'Resizing']);
  });
});

describe('unfitAttributes()', () => {
  const can = { name: 'd', capabilities: new Set(['MODIFY_VOLUME']) };
  it.each([
    ['its own', can, 'd', undefined],
    ['of another', can, 'x', 'VAC a referenced in PVC is for driver x which does not match driver name d'],
    [
      'of a driver that cannot',
      { ...can, capabilities: new Set<string>() },
      'd',
      'driver d does not modify volumes (MODIFY_VOLUME)',
    ],
  ])('%s', (_name, driver, driverName, want) => {
    expect(unfitAttributes(driver, { metadata: { name: 'a' }, driverName })).toBe(want);
  });
});
