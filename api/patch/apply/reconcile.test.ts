import { describe, expect, it } from 'vitest';
import { atomOf, deduced } from './atom.ts';
import { exampleTerms, exampleType } from './example.fixture.ts';
import { manageApply, withOwners } from './manage.ts';
import { reconcileSet } from './reconcile.ts';

describe('reconcileSet()', () => {
  const atom = atomOf(exampleType);

  it.each([
    // What became a whole is owned as one (structured-merge-diff issue 170, kubernetes issue 110495).
    [{ 'f:w': { '.': {}, 'f:x': {} } }, { 'f:w': {} }],
    [{ 'f:l': { 'k:{"name":"a"}': { '.': {}, 'f:name': {} } } }, { 'f:l': {} }],
    // What was one stays so where it merges now, and so does what is fine.
    [{ 'f:m': {} }, { 'f:m': {} }],
    [
      { 'f:k': { 'k:{"name":"a"}': { '.': {}, 'f:v': {} } } },
      { 'f:k': { 'k:{"name":"a"}': { '.': {}, 'f:v': {} } } },
    ],
    // Of fields that no schema knows nothing is said.
    [{ 'f:gone': { 'f:x': {} } }, { 'f:gone': { 'f:x': {} } }],
  ])('makes of %j %j', (set, want) => {
    expect(reconcileSet(atom, set)).toEqual(want);
  });

  it('leaves what has no schema', () => {
    const set = { 'f:x': { 'f:y': {} } };
    expect(reconcileSet(deduced, set)).toBe(set);
  });

  it('lets a manager whose map became a whole apply it again without a conflict with itself', () => {
    const entry = {
      ...{ manager: 'ann', operation: 'Apply', apiVersion: 'v1', fieldsType: 'FieldsV1' },
      fieldsV1: { 'f:w': { 'f:x': {} } },
    };
    const typed = { apiVersion: 'v1', kind: 'Example', metadata: { name: 'e' } };
    const live = { ...typed, metadata: { name: 'e', managedFields: [entry] }, w: { x: '1' } };
    const config = { ...typed, w: { x: '2', y: '3' } };
    const writer = { manager: 'ann', subresource: '', nowMs: 0 };
    const { object, owners } = manageApply(exampleTerms, { live, config, isForced: false }, writer);
    expect(withOwners(object ?? live, owners)).toMatchObject({
      w: { x: '2', y: '3' },
      metadata: { managedFields: [{ manager: 'ann', fieldsV1: { 'f:w': {} } }] },
    });
  });
});
