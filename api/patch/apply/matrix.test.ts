import { describe, expect, it } from 'vitest';
import { isPodwrightError } from '#base/errors.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { exampleTerms } from './example.fixture.ts';
import { pathsOf } from './field-set.ts';
import { manageApply, manageUpdate, withOwners } from './manage.ts';
import { readOwners } from './owner.ts';
import { formatPath } from './path-element.ts';

/** A way of merging: what one applies, what another has there instead, which fields that is a conflict over, and what both make together. */
interface Row {
  readonly name: string;
  readonly base: JsonObject;
  readonly other: JsonObject;
  readonly conflicts: readonly string[];
  /** Of base and other, where nobody is forced to anything; undefined where they are at odds. */
  readonly both?: JsonObject;
  /** What is left when the one who applied both gives up all but the base of the other. */
  readonly forced: JsonObject;
}

const rows: readonly Row[] = [
  { name: 'a scalar', base: { a: 1 }, other: { a: 2 }, conflicts: ['.a'], forced: { a: 2 } },
  { name: 'a text', base: { b: 'x' }, other: { b: '' }, conflicts: ['.b'], forced: { b: '' } },
  { name: 'null for a scalar', base: { a: 1 }, other: { a: null }, conflicts: ['.a'], forced: { a: null } },
  {
    name: 'a field of a struct',
    base: { n: { x: '1' } },
    other: { n: { x: '2' } },
    conflicts: ['.n.x'],
    forced: { n: { x: '2' } },
  },
  {
    name: 'another field of a struct',
    base: { n: { x: '1' } },
    other: { n: { y: '2' } },
    conflicts: [],
    both: { n: { x: '1', y: '2' } },
    forced: { n: { y: '2' } },
  },
  {
    name: 'a member of a map',
    base: { m: { x: '1', y: '1' } },
    other: { m: { x: '2' } },
    conflicts: ['.m.x'],
    forced: { m: { x: '2' } },
  },
  {
    name: 'another member of a map',
    base: { m: { x: '1' } },
    other: { m: { y: '2' } },
    conflicts: [],
    both: { m: { x: '1', y: '2' } },
    forced: { m: { y: '2' } },
  },
  {
    name: 'a map that is a whole',
    base: { w: { x: '1' } },
    other: { w: { y: '2' } },
    conflicts: ['.w'],
    forced: { w: { y: '2' } },
  },
  {
    name: 'a list that is a whole',
    base: { l: ['1'] },
    other: { l: ['1', '2'] },
    conflicts: ['.l'],
    forced: { l: ['1', '2'] },
  },
  {
    name: 'another item of a set',
    base: { s: ['1', '2'] },
    other: { s: ['3', '1'] },
    conflicts: [],
    both: { s: ['3', '1', '2'] },
    forced: { s: ['3', '1'] },
  },
  {
    name: 'a field of an item',
    base: { k: [{ name: 'p', v: '1' }] },
    other: { k: [{ name: 'p', v: '2' }] },
    conflicts: ['.k[name="p"].v'],
    forced: { k: [{ name: 'p', v: '2' }] },
  },
  {
    name: 'another field of an item',
    base: { k: [{ name: 'p', v: '1' }] },
    other: { k: [{ name: 'p', u: '2' }] },
    conflicts: [],
    both: { k: [{ name: 'p', v: '1', u: '2' }] },
    forced: { k: [{ name: 'p', u: '2' }] },
  },
  {
    name: 'another item',
    base: { k: [{ name: 'p', v: '1' }] },
    other: { k: [{ name: 'q', v: '2' }] },
    conflicts: [],
    both: {
      k: [
        { name: 'p', v: '1' },
        { name: 'q', v: '2' },
      ],
    },
    forced: { k: [{ name: 'q', v: '2' }] },
  },
];

const typed = { apiVersion: 'v1', kind: 'Example', metadata: { name: 'e' } };

function apply(live: JsonObject, config: JsonObject, manager: string, isForced = false): JsonObject {
  const writer = { manager, subresource: '', nowMs: 0 };
  const { object, owners } = manageApply(
    exampleTerms,
    { live, config: { ...typed, ...config }, isForced },
    writer,
  );
  return withOwners(object ?? live, owners);
}

/** The fields of the conflict that it is; [] for none. */
function conflictsOf(act: () => unknown): readonly unknown[] {
  try {
    act();
    return [];
  } catch (error) {
    if (!isPodwrightError(error, 'E_API')) throw error;
    const status = error.detail['status'] as { details: { causes: readonly { field: string }[] } };
    return status.details.causes.map(({ field }) => field);
  }
}

function contents(object: JsonObject): JsonObject {
  const { apiVersion: _version, kind: _kind, metadata: _metadata, ...rest } = object;
  return rest;
}

function fieldsOf(object: JsonObject, manager: string): readonly string[] {
  const owners = readOwners((object['metadata'] as JsonObject)['managedFields']);
  return [...owners.values()]
    .filter((owner) => owner.manager === manager)
    .flatMap(({ fields }) => pathsOf(fields).map(formatPath))
    .toSorted();
}

describe.each(rows)('two who apply $name', ({ base, other, conflicts, both, forced }) => {
  const first = apply(typed, base, 'ann');

  it('share what is equal, and what one gives up stays while the other has it', () => {
    const shared = apply(first, base, 'bob');
    expect(contents(shared)).toEqual(contents(first));
    expect(fieldsOf(shared, 'bob')).toEqual(fieldsOf(shared, 'ann'));
    const left = apply(shared, {}, 'ann');
    expect(contents(left)).toEqual(contents(first));
    expect(fieldsOf(left, 'ann')).toEqual([]);
    expect(contents(apply(left, {}, 'bob'))).toEqual({});
  });

  it('are at odds over what the other would change, and nothing else', () => {
    expect(conflictsOf(() => apply(first, other, 'bob'))).toEqual(conflicts);
    if (both !== undefined) expect(contents(apply(first, other, 'bob'))).toEqual(both);
  });

  it('lose what is taken by force, and then what they drop', () => {
    const taken = apply(first, other, 'bob', true);
    for (const field of conflicts) {
      expect(fieldsOf(taken, 'bob')).toContain(field);
      expect(fieldsOf(taken, 'ann')).not.toContain(field);
    }
    expect(contents(apply(taken, {}, 'ann'))).toEqual(forced);
  });

  it('change and remove what is theirs alone', () => {
    const changed = apply(first, other, 'ann');
    expect(contents(changed)).toEqual(forced);
    expect(contents(apply(changed, {}, 'ann'))).toEqual({});
    expect(apply(changed, other, 'ann')).toEqual(changed);
  });

  it('lose to who updates, and are told who it was', () => {
    const next = { ...typed, ...other };
    const updated = manageUpdate(
      exampleTerms,
      { live: first, next },
      { manager: 'dan', subresource: '', nowMs: 0 },
    );
    for (const field of conflicts) expect(fieldsOf(updated, 'dan')).toContain(field);
    const found = conflictsOf(() => apply(updated, base, 'ann'));
    expect(found).toEqual(conflicts);
    if (conflicts.length > 0)
      expect(() => apply(updated, base, 'ann')).toThrow('conflict with "dan" using v1');
  });
});
