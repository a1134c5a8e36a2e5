import { isPodwrightError } from '#base/errors.ts';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { JsonObject } from '#api/meta/object.ts';
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
    name: 'a new item is appended',
    base: containers([a]),
    patch: containers([{ name: 'c', image: 'k' }]),
    want: containers([a, { name: 'c', image: 'k' }]),
  },
  {
    name: 'lists in lists merge, too',
    base: containers([a]),
    patch: containers([{ name: 'a', env: [{ name: 'Y', value: '2' }] }]),
    want: containers([{ ...a, env: [...a.env, { name: 'Y', value: '2' }] }]),
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
    name: '$patch: replace of one item',
    base: containers([a, b]),
    patch: containers([{ name: 'a', $patch: 'replace', image: 'z' }]),
    want: containers([{ name: 'a', image: 'z' }, b]),
  },
  {
    name: '$patch: merge is the rule anyhow',
    base: containers([a]),
    patch: containers([{ name: 'a', $patch: 'merge', image: 'z' }]),
    want: containers([{ ...a, image: 'z' }]),
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
    name: '$setElementOrder leaves what it does not name where it stood',
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
        containers: [{ name: 'a', $patch: 'merge', image: null }],
      },
    },
    want: { spec: { containers: [{ name: 'a' }] } },
  },
];

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
      'unable to understand directive "mix"',
    );
  });

  it('is the same when applied twice, whatever the patch', () => {
    const container = fc.record(
      {
        name: fc.constantFrom('a', 'b', 'c'),
        image: fc.constantFrom('x', null),
        $patch: fc.constantFrom('delete', 'merge'),
      },
      { requiredKeys: ['name'] },
    );
    const patches = fc.record(
      {
        containers: fc.uniqueArray(container, { selector: ({ name }) => name }),
        nodeName: fc.constantFrom('n', null),
        '$setElementOrder/containers': fc.constant([{ name: 'b' }, { name: 'a' }]),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(patches, (spec) => {
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
