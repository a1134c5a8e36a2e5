import { isPodwrightError } from '#base/errors.ts';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { JsonObject } from '#api/meta/object.ts';
import { objectOf } from '#api/wire/json.ts';
import { builtInTypes } from '#api/schema/built-in-types.ts';
import type { TypeRef } from '#api/schema/type-source.ts';
import { applyStrategicPatch } from './strategic-patch.ts';

const pod = { schema: builtInTypes, typeName: 'core.v1.Pod' };
const deployment = { schema: builtInTypes, typeName: 'apps.v1.Deployment' };

interface Case {
  readonly name: string;
  readonly kind?: TypeRef;
  readonly base: JsonObject;
  readonly patch: JsonObject;
  readonly want: JsonObject;
}

const a = { name: 'a', image: 'i:1', env: [{ name: 'X', value: '1' }] };
const b = { name: 'b', image: 'j:1' };
const containers = (list: readonly JsonObject[], more: JsonObject = {}): JsonObject => ({
  spec: { containers: list, ...more },
});

const cases: readonly Case[] = [
  { name: 'nothing', base: containers([a]), patch: {}, want: containers([a]) },
  {
    name: 'a list with a merge key merges by it',
    base: containers([a, b]),
    patch: containers([{ name: 'b', image: 'j:2' }]),
    want: containers([a, { name: 'b', image: 'j:2' }]),
  },
  {
    name: 'a new item comes before what the patch does not name',
    base: containers([a]),
    patch: containers([{ name: 'c', image: 'k' }]),
    want: containers([{ name: 'c', image: 'k' }, a]),
  },
  {
    name: 'lists in lists merge, too',
    base: containers([a]),
    patch: containers([{ name: 'a', env: [{ name: 'Y', value: '2' }] }]),
    want: containers([{ ...a, env: [{ name: 'Y', value: '2' }, ...a.env] }]),
  },
  {
    name: 'a list without merge key is replaced',
    base: containers([{ ...a, args: ['x', 'y'] }]),
    patch: containers([{ name: 'a', args: ['z'] }]),
    want: containers([{ ...a, args: ['z'] }]),
  },
  {
    name: 'null deletes a field',
    base: containers([a], { nodeName: 'n' }),
    patch: { spec: { nodeName: null } },
    want: containers([a]),
  },
  {
    name: '$patch: delete takes an item out',
    base: containers([a, b]),
    patch: containers([{ name: 'a', $patch: 'delete' }]),
    want: containers([b]),
  },
  {
    name: '$patch: delete of an item that is not there',
    base: containers([b]),
    patch: containers([{ name: 'a', $patch: 'delete' }]),
    want: containers([b]),
  },
  {
    name: '$patch: replace of an object',
    base: { metadata: { labels: { x: '1', y: '2' } } },
    patch: { metadata: { labels: { $patch: 'replace', z: '3' } } },
    want: { metadata: { labels: { z: '3' } } },
  },
  {
    name: '$patch: replace in a list replaces the list',
    base: containers([a, b]),
    patch: containers([{ $patch: 'replace' }, { name: 'c' }]),
    want: containers([{ name: 'c' }]),
  },
  {
    name: '$patch: replace of one item replaces the list, and takes nothing of the item',
    base: containers([a, b]),
    patch: containers([{ name: 'a', $patch: 'replace', image: 'z' }]),
    want: containers([]),
  },
  {
    name: '$retainKeys drops the other members of a union',
    kind: deployment,
    base: { spec: { strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1 } } } },
    patch: { spec: { strategy: { $retainKeys: ['type'], type: 'Recreate' } } },
    want: { spec: { strategy: { type: 'Recreate' } } },
  },
  {
    name: 'volumes keep only the source that is retained',
    base: { spec: { volumes: [{ name: 'v', emptyDir: {} }] } },
    patch: {
      spec: { volumes: [{ $retainKeys: ['name', 'hostPath'], name: 'v', hostPath: { path: '/x' } }] },
    },
    want: { spec: { volumes: [{ name: 'v', hostPath: { path: '/x' } }] } },
  },
  {
    name: '$setElementOrder puts items in order',
    base: containers([a, b]),
    patch: {
      spec: {
        '$setElementOrder/containers': [{ name: 'c' }, { name: 'b' }, { name: 'a' }],
        containers: [{ name: 'c' }],
      },
    },
    want: containers([{ name: 'c' }, b, a]),
  },
  {
    name: '$setElementOrder leaves what it does not name before what it stood before',
    base: containers([a, { name: 'server' }, b]),
    patch: { spec: { '$setElementOrder/containers': [{ name: 'b' }, { name: 'a' }] } },
    want: containers([{ name: 'server' }, b, a]),
  },
  {
    name: 'primitive lists merge as sets',
    base: { metadata: { finalizers: ['x/a', 'x/b'] } },
    patch: { metadata: { finalizers: ['x/b', 'x/c'] } },
    want: { metadata: { finalizers: ['x/a', 'x/b', 'x/c'] } },
  },
  {
    name: '$deleteFromPrimitiveList takes out of them',
    base: { metadata: { finalizers: ['x/a', 'x/b'] } },
    patch: { metadata: { '$deleteFromPrimitiveList/finalizers': ['x/a'] } },
    want: { metadata: { finalizers: ['x/b'] } },
  },
  {
    name: 'map keys come and go',
    base: { metadata: { labels: { x: '1', y: '2' } } },
    patch: { metadata: { labels: { x: null, z: '3' } } },
    want: { metadata: { labels: { y: '2', z: '3' } } },
  },
  {
    name: 'conditions merge by type',
    base: { status: { conditions: [{ type: 'Ready', status: 'False', reason: 'r' }] } },
    patch: {
      status: {
        '$setElementOrder/conditions': [{ type: 'Ready' }, { type: 'Initialized' }],
        conditions: [
          { type: 'Ready', status: 'True' },
          { type: 'Initialized', status: 'True' },
        ],
      },
    },
    want: {
      status: {
        conditions: [
          { type: 'Ready', status: 'True', reason: 'r' },
          { type: 'Initialized', status: 'True' },
        ],
      },
    },
  },
  {
    name: 'ports merge by their number',
    base: containers([{ ...a, ports: [{ containerPort: 80, protocol: 'TCP' }] }]),
    patch: containers([{ name: 'a', ports: [{ containerPort: 80, name: 'http' }, { containerPort: 81 }] }]),
    want: containers([
      { ...a, ports: [{ containerPort: 80, protocol: 'TCP', name: 'http' }, { containerPort: 81 }] },
    ]),
  },
  {
    name: 'what is set anew carries no directives and no nulls',
    base: {},
    patch: {
      spec: {
        $retainKeys: ['containers'],
        '$setElementOrder/containers': [{ name: 'a' }],
        containers: [{ name: 'a', image: null }],
      },
    },
    want: { spec: { containers: [{ name: 'a' }] } },
  },
];

/** Lists by the names of their items; `order` is the directive, `-x` deletes. */
const orders: readonly {
  readonly live: string;
  readonly patch?: string;
  readonly order?: string;
  readonly want: string;
}[] = [
  { live: '', patch: 'a b', want: 'a b' },
  { live: 'a', patch: 'b', want: 'b a' },
  { live: 'a b', patch: 'c', want: 'c a b' },
  { live: 'a b', patch: 'b', want: 'a b' },
  { live: 'a b', patch: 'b a', want: 'b a' },
  { live: 'a b c', patch: 'c a', want: 'b c a' },
  { live: 'a b c', patch: 'a c', want: 'a b c' },
  { live: 'a x b', patch: 'a new b', want: 'a new x b' },
  { live: 'a x b', patch: 'new b', want: 'new a x b' },
  { live: 'a x b', patch: 'b new', want: 'a x b new' },
  { live: 'x y', patch: 'c d', want: 'c d x y' },
  { live: 'a b c', patch: '-b', want: 'a c' },
  { live: 'a b c', patch: '-b d', want: 'd a c' },
  { live: 'a b c', patch: '-a c', want: 'b c' },
  { live: 'a b', order: 'b a', want: 'b a' },
  { live: 'a b c', order: 'c a', want: 'b c a' },
  { live: 'a b c', order: 'a c', want: 'a b c' },
  { live: 'a b', patch: 'c', order: 'a b c', want: 'a b c' },
  { live: 'a b', patch: 'c', order: 'c a b', want: 'c a b' },
  { live: 'a b', patch: 'c', order: 'a c b', want: 'a c b' },
  { live: 'a s b', patch: 'c', order: 'a c b', want: 'a c s b' },
  { live: 's a', patch: 'c', order: 'a c', want: 's a c' },
  { live: 'a s', patch: 'c', order: 'a c', want: 'a c s' },
  { live: 'a s', patch: 'c', order: 'c a', want: 'c a s' },
  { live: 'a s t b', patch: 'a b', order: 'a b', want: 'a s t b' },
  { live: 'a b c', patch: '-b d', order: 'a d c', want: 'a d c' },
  { live: 'a b c', patch: '-a', order: 'c b', want: 'c b' },
  { live: '', patch: 'b a', order: 'b a', want: 'b a' },
  { live: 'a', patch: 'b', order: 'b', want: 'b a' },
];

describe('the order of merged lists', () => {
  const names = (text: string): readonly string[] => text.split(' ').filter(Boolean);
  const item = (name: string): JsonObject =>
    name.startsWith('-') ? { name: name.slice(1), $patch: 'delete' } : { name };

  it.each(orders)('[$live] with [$patch] by [$order]: [$want]', ({ live, patch, order, want }) => {
    const spec = {
      ...(patch === undefined ? {} : { containers: names(patch).map(item) }),
      ...(order === undefined ? {} : { '$setElementOrder/containers': names(order).map(item) }),
    };
    const merged = applyStrategicPatch(pod, containers(names(live).map(item)), { spec });
    expect(merged).toEqual(containers(names(want).map(item)));
  });

  it.each(orders)(
    '[$live] with [$patch] by [$order], of scalars: [$want]',
    ({ live, patch, order, want }) => {
      const gone = names(patch ?? '').flatMap((name) => (name.startsWith('-') ? [name.slice(1)] : []));
      const finalizers = names(patch ?? '').filter((name) => !name.startsWith('-'));
      const metadata = {
        ...(finalizers.length === 0 ? {} : { finalizers }),
        ...(order === undefined ? {} : { '$setElementOrder/finalizers': names(order) }),
        ...(gone.length === 0 ? {} : { '$deleteFromPrimitiveList/finalizers': gone }),
      };
      const merged = applyStrategicPatch(pod, { metadata: { finalizers: names(live) } }, { metadata });
      expect(merged).toEqual({ metadata: { finalizers: names(want) } });
    },
  );

  it.each([
    { patch: 'a b', order: 'b a' },
    { patch: 'c', order: 'a b' },
    { patch: 'a a', order: 'a' },
  ])('[$patch] is refused by [$order]', ({ patch, order }) => {
    const spec = {
      containers: names(patch).map(item),
      '$setElementOrder/containers': names(order).map(item),
    };
    const go = (text: string): string =>
      `[${names(text)
        .map((name) => `map[name:${name}]`)
        .join(' ')}]`;
    const message = `The order in patch list:\n${go(patch)}\n doesn't match $setElementOrder list:\n${go(order)}\n`;
    expect(() => applyStrategicPatch(pod, containers([a, b]), { spec })).toThrow(message);
  });

  it.each(['containers', 'finalizers'])('takes steps as the lists are long: %s', (field) => {
    const count = 20_000;
    const all = Array.from({ length: count }, (_, index) => `n${index}`);
    const [base, patch] = [all, all.toReversed()];
    const list = (of: readonly string[]): JsonObject =>
      field === 'containers' ? containers(of.map(item)) : { metadata: { finalizers: of } };
    const before = process.cpuUsage();
    expect(applyStrategicPatch(pod, list(base), list(patch))).toEqual(list(patch));
    expect(process.cpuUsage(before).user / 1e6).toBeLessThan(5);
  });
});

describe('applyStrategicPatch()', () => {
  it.each(cases)('$name', ({ kind, base, patch, want }) => {
    const before = structuredClone(base);
    expect(applyStrategicPatch(kind ?? pod, base, patch)).toEqual(want);
    expect(base).toEqual(before);
  });

  it('says which merge key an item lacks', () => {
    expect(() => applyStrategicPatch(pod, containers([a]), containers([{ image: 'z' }]))).toThrow(
      'map: map[image:z] does not contain declared merge key: name',
    );
  });

  it('refuses a directive that it does not know', () => {
    expect(() => applyStrategicPatch(pod, {}, { spec: { $patch: 'mix' } })).toThrow(
      'unknown patch type: mix in map: map[$patch:mix]',
    );
    const mixed = containers([{ name: 'a', $patch: 'mix' }]);
    expect(() => applyStrategicPatch(pod, containers([a]), mixed)).toThrow(
      'unknown patch type: mix in map: map[$patch:mix name:a]',
    );
    const merged = containers([{ name: 'a', $patch: 'merge' }]);
    expect(() => applyStrategicPatch(pod, containers([a]), merged)).toThrow(
      'merging lists cannot yet be specified in the patch',
    );
  });

  it('is the same when applied twice, whatever the patch', () => {
    const container = fc.record(
      {
        name: fc.constantFrom('a', 'b', 'c'),
        image: fc.constantFrom('x', null),
        $patch: fc.constant('delete'),
      },
      { requiredKeys: ['name'] },
    );
    const names = fc.shuffledSubarray(['a', 'b', 'c'], { minLength: 3 });
    const patches = fc.record(
      {
        containers: fc.uniqueArray(container, { selector: ({ name }) => name }),
        nodeName: fc.constantFrom('n', null),
      },
      { requiredKeys: [] },
    );
    /** The patch with a directive that has its items in order, as a client computes it. */
    const ordered = (patch: JsonObject, order: readonly string[]): JsonObject => {
      const rank = (one: unknown): number => order.indexOf(String(objectOf(one)['name']));
      const list = patch['containers'];
      return {
        ...patch,
        ...(Array.isArray(list) ? { containers: list.toSorted((x, y) => rank(x) - rank(y)) } : {}),
        '$setElementOrder/containers': order.map((name) => ({ name })),
      };
    };
    fc.assert(
      fc.property(patches, names, fc.boolean(), (patch, order, isOrdered) => {
        const spec = isOrdered ? ordered(patch, order) : patch;
        const once = applyStrategicPatch(pod, containers([a, b]), { spec });
        expect(applyStrategicPatch(pod, once, { spec })).toEqual(once);
      }),
      { numRuns: 300 },
    );
  });

  it('takes any JSON for a patch, or refuses it', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.constantFrom('spec', 'metadata', '$patch', '$retainKeys', 'x'), fc.jsonValue()),
        (patch) => {
          try {
            applyStrategicPatch(pod, containers([a]), patch);
            return true;
          } catch (error) {
            return isPodwrightError(error, 'E_API');
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});
