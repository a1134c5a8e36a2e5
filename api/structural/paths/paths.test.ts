import { describe, expect, test } from 'vitest';
import { renderFieldError } from '#api/errors/field-error.ts';
import { customColumns } from './columns.ts';
import { findByPath } from './find.ts';
import { parseJsonPath } from './json-path.ts';
import { scaleErrors, scaleOf, scalePathsOf, withScale } from './scale.ts';
import { selectableCustomFields } from './selectable.ts';

const conditions = [
  { type: 'Ready', status: 'True', at: 3 },
  { type: 'Synced', status: 'False', at: 5 },
];
const object = {
  metadata: { name: 't1', creationTimestamp: '2026-11-30T00:00:00Z', labels: { 'a.b/c': 'v' } },
  spec: { s: 'a', n: 3, f: 1.5, b: true, d: '2020-02-28T00:00:00Z', l: ['x', 'y'], m: { 'k.x': 'v' } },
  status: { conditions, nested: { s: 'deep' } },
};
const now = Date.parse('2026-11-30T00:01:00Z');

describe('findByPath()', () => {
  test.each<readonly [string, readonly unknown[]]>([
    ['.spec.s', ['a']],
    ['spec.s', ['a']],
    ['.spec.zz', []],
    ['.spec.l', [['x', 'y']]],
    ['.spec.l[0]', ['x']],
    ['.spec.l[-1]', ['y']],
    ['.spec.l[7]', []],
    ['.spec.l[*]', ['x', 'y']],
    ['.spec.l[0:1]', ['x']],
    ['.spec.l[::2]', ['x']],
    ['.spec.l[1,0]', ['y', 'x']],
    [String.raw`.spec.m.k\.x`, ['v']],
    [".spec.m['k.x']", ['v']],
    [String.raw`.metadata.labels.a\.b/c`, ['v']],
    ['.status.conditions[?(@.type=="Ready")].status', ['True']],
    [".status.conditions[?(@.type == 'Synced')].status", ['False']],
    ['.status.conditions[?(@.at>4)].type', ['Synced']],
    ['.status.conditions[?(@.at<=3)].type', ['Ready']],
    ['.status.conditions[?(@.nope)].type', []],
    ['.status.conditions[?(@.at)].type', ['Ready', 'Synced']],
    ['.status.conditions[?(@.type!="Ready")].type', ['Synced']],
    ['.status.conditions[*].type', ['Ready', 'Synced']],
    ['..s', ['a', 'deep']],
    ['.spec.*', Object.values(object.spec)],
    ['.', [object]],
  ])('%s', (path, want) => {
    expect(findByPath(parseJsonPath(path), object)).toEqual(want);
  });

  test.each(['.a[', '.a[b', '.a[?(x)]', '.a[?x]', '.a[1:2:0]', '.a..b[', '.a[q]', `.${'a'.repeat(5000)}`])(
    'refuses %s',
    (path) => {
      expect(() => parseJsonPath(path)).toThrow(/read JSON path/);
    },
  );

  test('ends, however often a path asks for everything below', () => {
    let nested: unknown = 1;
    for (let level = 0; level < 200; level++) nested = { a: nested, b: [level] };
    const found = findByPath(parseJsonPath('..*..*..*..*'), { nested });
    expect(found).toEqual([]);
  });
});

test('customColumns() gives the cells of kube-apiserver 1.36.2', () => {
  const column = (name: string, type: string, jsonPath: string): object => ({ name, type, jsonPath });
  const { columns, cells } = customColumns([
    { ...column('S', 'string', '.spec.s'), description: 'the s' },
    { ...column('N', 'integer', '.spec.n'), format: 'int32' },
    column('F', 'number', '.spec.f'),
    column('B', 'boolean', '.spec.b'),
    column('D', 'date', '.spec.d'),
    column('L', 'string', '.spec.l'),
    column('L0', 'string', '.spec.l[0]'),
    column('LA', 'string', '.spec.l[*]'),
    column('M', 'string', '.spec.m'),
    column('MK', 'string', String.raw`.spec.m.k\.x`),
    { ...column('Wide', 'string', '.metadata.name'), priority: 1 },
    column('Bad', 'integer', '.spec.s'),
    column('Age', 'date', '.metadata.creationTimestamp'),
    column('Odd', 'string', '.a['),
  ]);
  expect(cells(object, now)).toEqual([
    't1',
    'a',
    3,
    1.5,
    true,
    '6y277d',
    '["x","y"]',
    'x',
    'x',
    '{"k.x":"v"}',
    'v',
    't1',
    null,
    '60s',
    null,
  ]);
  expect(columns.slice(1, 3)).toEqual([
    { name: 'S', type: 'string', format: '', description: 'the s', priority: 0 },
    {
      name: 'N',
      type: 'integer',
      format: 'int32',
      description: 'Custom resource definition column (in JSONPath format): .spec.n',
      priority: 0,
    },
  ]);
  expect(cells({ metadata: { name: 't2' } }, now).slice(0, 3)).toEqual(['t2', null, null]);
  expect(customColumns([]).columns.map(({ name }) => name)).toEqual(['Name', 'Age']);
  expect(customColumns(undefined).cells(object, now)).toEqual(['t1', '60s']);
});

test('selectableCustomFields() reads texts, numbers and flags; what is not there is empty', () => {
  const fields = selectableCustomFields(['.spec.s', '.spec.n', '.spec.b'].map((jsonPath) => ({ jsonPath })));
  expect(fields.map(({ label, valueOf }) => [label, valueOf(object), valueOf({})])).toEqual([
    ['spec.s', 'a', ''],
    ['spec.n', '3', ''],
    ['spec.b', 'true', ''],
  ]);
});

test('scaleOf() and withScale() go by the paths of the definition', () => {
  const scale = {
    specReplicasPath: '.spec.n',
    statusReplicasPath: '.status.r',
    labelSelectorPath: '.status.sel',
  };
  const paths = scalePathsOf({ scale });
  if (paths === undefined) throw new Error('no scale');
  expect(scaleOf(paths, object)).toEqual({ replicas: 3, statusReplicas: 0, selector: undefined });
  expect(scaleOf(paths, { status: { r: 2, sel: 'a=b' } })).toEqual({
    replicas: undefined,
    statusReplicas: 2,
    selector: 'a=b',
  });
  expect(withScale(paths, { spec: { s: 'a' } }, 5)).toEqual({ spec: { s: 'a', n: 5 } });
  const errors = scaleErrors(paths, { spec: { n: -2 } });
  expect(errors.map((error) => `${error.field}: ${renderFieldError(error)}`)).toEqual([
    '.spec.n: Invalid value: -2: should be a non-negative integer',
  ]);
  expect(scalePathsOf({ status: {} })).toBeUndefined();
});
