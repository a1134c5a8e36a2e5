import { describe, expect, it } from 'vitest';
import { at } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { exampleTerms } from './example.fixture.ts';
import { managerOf } from './manager-name.ts';
import { manageUpdate, withoutNewTimes, withReadableOwners } from './manage.ts';
import { ownerCountMax, ownersOrNone, readOwners, updateOwnerCountMax } from './owner.ts';

const entry = {
  manager: 'm',
  operation: 'Update',
  apiVersion: 'v1',
  fieldsType: 'FieldsV1',
  fieldsV1: { 'f:a': {} },
};
const typed = { apiVersion: 'v1', kind: 'Example' };

describe('readOwners()', () => {
  it.each([
    [{ ...entry, operation: 'Foo' }, 'operation must be `Apply` or `Update`'],
    [{ ...entry, apiVersion: '' }, 'apiVersion must not be empty'],
    [{ ...entry, fieldsType: '' }, 'missing fieldsType in managed fields entry 0'],
    [{ ...entry, fieldsType: 'X' }, 'invalid fieldsType "X" in managed fields entry 0'],
    [{ ...entry, fieldsV1: { data: {} } }, 'missing colon: data'],
    [null, 'operation must be'],
  ])('refuses %j', (bad, message) => {
    expect(() => readOwners([bad])).toThrow(message);
    expect(ownersOrNone([bad]).size).toBe(0);
  });

  it('takes so many entries, and no more', () => {
    const many = (count: number): readonly unknown[] =>
      Array.from({ length: count }, (_item, index) => ({ ...entry, manager: `m${index}` }));
    expect(readOwners(many(ownerCountMax)).size).toBe(ownerCountMax);
    expect(() => readOwners(many(ownerCountMax + 1))).toThrow('too many managed fields entries');
  });
});

describe('manageUpdate()', () => {
  const write = (live: JsonObject | undefined, next: object, manager: string, second: number): JsonObject =>
    manageUpdate(
      exampleTerms,
      { live, next: { ...typed, metadata: { name: 'e' }, ...next } },
      { manager, subresource: '', nowMs: second * 1000 },
    );
  const managers = (object: JsonObject): unknown =>
    (at(object, 'metadata.managedFields') as readonly JsonObject[]).map(({ manager, time }) => [
      manager,
      time,
    ]);

  it('keeps the newest of those who update, and one entry for all before', () => {
    let object = write(undefined, { m: { x0: '0' } }, 'u0', 0);
    for (let index = 1; index < 13; index++) {
      const m = { ...(object['m'] as object), [`x${index}`]: '' };
      object = write(object, { m }, `u${String(index).padStart(2, '0')}`, index);
    }
    const entries = managers(object) as readonly (readonly [string, string])[];
    expect(entries).toHaveLength(updateOwnerCountMax);
    expect(entries[0]).toEqual(['ancient-changes', '1970-01-01T00:00:03Z']);
    expect(entries[1]?.[0]).toBe('u04');
  });

  it('gives an entry a new time only where something changed, and an object none for a time alone', () => {
    const made = write(undefined, { a: 1 }, 'ann', 0);
    const same = write(made, { a: 1 }, 'ann', 5);
    expect(managers(same)).toEqual([['ann', '1970-01-01T00:00:00Z']]);
    const changed = write(made, { a: 2 }, 'ann', 5);
    expect(managers(changed)).toEqual([['ann', '1970-01-01T00:00:05Z']]);
    const later = { ...changed, a: 1 };
    expect(withoutNewTimes(made, later)).toEqual(made);
    expect(withoutNewTimes(made, changed)).toBe(changed);
  });

  it('calls who has no name unknown', () => {
    expect(managers(write(undefined, { a: 1 }, '', 0))).toEqual([['unknown', '1970-01-01T00:00:00Z']]);
  });
});

describe('withReadableOwners()', () => {
  const owned = { metadata: { name: 'e', managedFields: [entry] } };

  it('takes what admission made of owners, and what it made unreadable as it was', () => {
    const other = { metadata: { name: 'e', managedFields: [{ ...entry, manager: 'hook' }] }, a: 1 };
    expect(withReadableOwners(other, owned)).toEqual({ object: other, fault: undefined });
    const bad = { metadata: { name: 'e', managedFields: [{ ...entry, fieldsType: '' }] }, a: 1 };
    expect(withReadableOwners(bad, owned)).toEqual({
      object: { ...owned, a: 1 },
      fault: 'missing fieldsType in managed fields entry 0',
    });
    expect(withReadableOwners({ metadata: { name: 'e' } }, owned)).toEqual({
      object: { metadata: { name: 'e' } },
      fault: undefined,
    });
  });
});

describe('managerOf()', () => {
  it.each([
    ['', 'kubectl/v1.36.2 (linux/amd64)', 'kubectl'],
    ['', 'a b/c/d', 'a b'],
    ['', undefined, ''],
    ['mine', 'kubectl/v1', 'mine'],
    ['', Buffer.from('ümlaut/1').toString('latin1'), 'ümlaut'],
    ['', 'ümlaut/1', '\ufffdmlaut'],
    ['', 'a\u0007b/1', 'ab'],
    ['', 'x'.repeat(200), 'x'.repeat(128)],
  ])('of %j and %j is %j', (fieldManager, userAgent, want) => {
    expect(managerOf(fieldManager, userAgent)).toBe(want);
  });
});
