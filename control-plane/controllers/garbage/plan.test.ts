import { expect, it } from 'vitest';
import type { KubeObject } from '#api/meta/object.ts';
import { planGarbage, type GarbageAction, type OwnerState } from './plan.ts';

const reference = (uid: string) => ({
  apiVersion: 'v1',
  kind: 'K',
  name: uid,
  uid,
  blockOwnerDeletion: true,
});
const dependent: KubeObject = {
  metadata: { name: 'd', ownerReferences: [reference('x')] },
};

const waiting = { deletionTimestamp: 't', finalizers: ['foregroundDeletion'] };

const rows: readonly {
  readonly name: string;
  readonly metadata?: KubeObject['metadata'];
  readonly owners?: readonly OwnerState[];
  readonly dependents?: readonly KubeObject[];
  readonly want: GarbageAction;
}[] = [
  { name: 'leaves an object without owners', want: { kind: 'none' } },
  { name: 'leaves an owned object', owners: ['present'], want: { kind: 'none' } },
  {
    name: 'deletes what lost its owner',
    owners: ['absent'],
    want: { kind: 'delete', propagationPolicy: 'Background' },
  },
  {
    name: 'deletes what lost all owners',
    owners: ['absent', 'absent'],
    want: { kind: 'delete', propagationPolicy: 'Background' },
  },
  {
    name: 'drops one of two owners',
    owners: ['present', 'absent'],
    want: { kind: 'dropOwners', uids: new Set(['1']) },
  },
  { name: 'decides nothing on an unknown kind', owners: ['absent', 'unknown'], want: { kind: 'none' } },
  {
    name: 'deletes for a waiting owner',
    owners: ['waiting'],
    want: { kind: 'delete', propagationPolicy: 'Background' },
  },
  {
    name: 'deletes for a waiting owner, dependents first',
    owners: ['waiting'],
    dependents: [dependent],
    want: { kind: 'delete', propagationPolicy: 'Foreground' },
  },
  {
    name: 'deletes for a waiting owner, dependents first, though it would orphan its own',
    metadata: { finalizers: ['orphan'] },
    owners: ['waiting'],
    dependents: [dependent],
    want: { kind: 'delete', propagationPolicy: 'Foreground' },
  },
  {
    name: 'orphans its own when nobody waits',
    metadata: { finalizers: ['orphan'] },
    owners: ['absent'],
    dependents: [dependent],
    want: { kind: 'delete', propagationPolicy: 'Orphan' },
  },
  {
    name: 'lets its dependents go first when nobody waits, if it is to',
    metadata: { finalizers: ['foregroundDeletion'] },
    owners: ['absent'],
    want: { kind: 'delete', propagationPolicy: 'Foreground' },
  },
  {
    name: 'keeps what has another owner than the waiting one',
    owners: ['waiting', 'present'],
    want: { kind: 'dropOwners', uids: new Set(['0']) },
  },
  {
    name: 'stops holding the owners of what closes a circle',
    owners: ['waiting'],
    dependents: [{ metadata: { ...dependent.metadata, ...waiting } }],
    want: { kind: 'delete', propagationPolicy: 'Foreground', unblocksOwners: true },
  },
  {
    name: 'leaves what is going already',
    metadata: { deletionTimestamp: 't' },
    owners: ['absent'],
    want: { kind: 'none' },
  },
  {
    name: 'orphans its dependents',
    metadata: { deletionTimestamp: 't', finalizers: ['orphan'] },
    dependents: [dependent],
    want: { kind: 'orphanDependents' },
  },
  {
    name: 'waits for dependents that block',
    metadata: waiting,
    dependents: [dependent],
    want: { kind: 'awaitDependents' },
  },
  {
    name: 'goes when none blocks',
    metadata: waiting,
    want: { kind: 'release' },
  },
];

it.each(rows)('planGarbage() $name', ({ metadata = {}, owners = [], dependents = [], want }) => {
  const states = owners.map((state, index) => ({ reference: reference(String(index)), state }));
  expect(
    planGarbage({
      object: { metadata: { uid: 'x', ...metadata } },
      owners: states,
      dependents: () => dependents,
    }),
  ).toEqual(want);
});

it('planGarbage() asks for no more dependents than it takes to know that one holds its owner', () => {
  let asked = 0;
  const dependents = function* () {
    for (; asked < 10_000;) {
      asked += 1;
      yield dependent;
    }
  };
  const object = { metadata: { uid: 'x', ...waiting } };
  expect(planGarbage({ object, owners: [], dependents })).toEqual({ kind: 'awaitDependents' });
  expect(asked).toBe(1);
});
