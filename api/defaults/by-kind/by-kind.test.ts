/** What kubernetes 1.36 sets by default, function by function of its pkg/apis/GROUP/VERSION/defaults.go: an object before and after. */
import { describe, expect, it } from 'vitest';
import { rulesOf } from '#api/kinds/rules-of.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { findKindByName, kinds, optionalKinds, type Kind } from '#api/schema/kinds.ts';
import { decodeObject } from '#api/wire/decode.ts';
import { isObject, listOf } from '#api/wire/json.ts';
import { applyDefaults } from '#api/defaults/defaults.ts';
import { coreRows, serviceRows } from './core.fixture.ts';
import { otherRows } from './others.fixture.ts';
import { podRows, templateRows } from './pods.fixture.ts';
import type { DefaultRow } from './row.fixture.ts';
import { appsRows, batchRows } from './workloads.fixture.ts';

const all = [
  ...podRows,
  ...templateRows,
  ...serviceRows,
  ...coreRows,
  ...appsRows,
  ...batchRows,
  ...otherRows,
];
const rows = all.map((row, index) => ({ ...row, name: `${index} ${row.of}, ${row.by}` }));

describe('applyDefaults()', () => {
  it.each(rows)('$name', (row) => {
    const made = defaulted(row);
    const found = Object.fromEntries(Object.keys(row.want).map((path) => [path, valueAt(made, path)]));
    // Of structs Go writes what is not given, too, where it may not be left out.
    expect(found).toMatchObject(row.want);
  });

  it('is asked by the rows for every kind that has some', () => {
    const asked = new Set(rows.map(({ of }) => `${kindNamed(of).group}/${kindNamed(of).kind}`));
    const own = [...kinds, ...optionalKinds].filter((kind) => {
      const { defaults, podSpec, completeDefaults } = rulesOf(kind);
      return defaults !== undefined || podSpec !== undefined || completeDefaults !== undefined;
    });
    const missing = own.map(({ group, kind }) => `${group}/${kind}`).filter((key) => !asked.has(key));
    // As the pods of others have it.
    expect([...new Set(missing)]).toEqual(['/PodTemplate']);
  });
});

function kindNamed(name: string): Kind {
  const [apiVersion = '', kind = ''] = name.split(' ');
  return findKindByName(apiVersion, kind) ?? expect.unreachable(name);
}

function defaulted({ of, given }: DefaultRow): JsonObject {
  const kind = kindNamed(of);
  const [apiVersion = '', name = ''] = of.split(' ');
  return applyDefaults(kind, decodeObject(kind, { apiVersion, kind: name, ...given }).object);
}

/** `spec.containers.0.image` */
function valueAt(object: JsonObject, path: string): unknown {
  return path.split('.').reduce<unknown>((value, step) => {
    if (Array.isArray(value)) return listOf(value)[Number(step)];
    return isObject(value) ? value[step] : undefined;
  }, object);
}
