import { expect, test } from 'vitest';
import type { JsonObject } from '#api/meta/object.ts';
import { parseSchema } from './parse.ts';
import { publicNameOf, typeNameOfKind, typeSourceOf } from './type-source.ts';

const gvk = { group: 'crd.example.com', version: 'v1', kind: 'Tab' };
const text = { type: 'string' };
const open = { 'x-kubernetes-preserve-unknown-fields': true };

function fieldsOf(spec: JsonObject): Readonly<Record<string, unknown>> {
  const source = typeSourceOf({
    ...gvk,
    schema: () => parseSchema({ type: 'object', properties: { spec } }),
  });
  const root = source.find(typeNameOfKind(gvk));
  const type = root?.fields?.get('spec')?.type ?? '';
  return {
    spec: type,
    ...Object.fromEntries(
      [...(source.find(type)?.fields ?? [])].map(([name, field]) => [
        name,
        field.merge === undefined ? field.type : [field.type, field.merge],
      ]),
    ),
  };
}

test('types of a custom kind are fields of its schema, and how they merge', () => {
  const keyed = { type: 'object', required: ['k'], properties: { k: text } };
  const map = {
    type: 'array',
    items: keyed,
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': ['k'],
  };
  const set = { type: 'array', items: text, 'x-kubernetes-list-type': 'set' };
  const name = `${typeNameOfKind(gvk)}.spec`;
  expect(
    fieldsOf({
      type: 'object',
      properties: {
        s: text,
        i: { type: 'integer' },
        n: { type: 'number' },
        b: { type: 'boolean' },
        is: { 'x-kubernetes-int-or-string': true },
        any: { type: 'object', ...open },
        empty: { type: 'object' },
        list: { type: 'array', items: text },
        set,
        map,
        texts: { type: 'object', additionalProperties: text },
        sets: { type: 'object', additionalProperties: set },
        atom: { type: 'object', properties: { a: text }, 'x-kubernetes-map-type': 'atomic' },
        lists: { type: 'array', items: { type: 'array', items: text } },
      },
    }),
  ).toEqual({
    spec: name,
    s: 'string',
    i: 'int64',
    n: 'double',
    b: 'bool',
    is: 'intstr',
    any: 'any',
    empty: 'object',
    list: '[]string',
    set: ['[]string', { lt: 'set' }],
    map: [`[]${name}.map[]`, { lt: 'map', lk: ['k'] }],
    texts: 'map:string',
    sets: `map:${name}.sets{}`,
    atom: [`${name}.atom`, { mt: 'atomic' }],
    lists: '[][]string',
  });
});

test('what merges in its own way within a container has a name; what is open says so; others are of Kubernetes', () => {
  const spec = {
    type: 'object',
    ...open,
    properties: {
      sets: {
        type: 'array',
        items: { type: 'array', items: text, 'x-kubernetes-list-type': 'set' },
      },
    },
  };
  const source = typeSourceOf({
    ...gvk,
    schema: () => parseSchema({ type: 'object', properties: { spec } }),
  });
  const name = typeNameOfKind(gvk);
  expect(source.find(name)).toMatchObject({ publicName: 'com.example.crd.v1.Tab', kinds: [gvk] });
  expect(publicNameOf(gvk)).toBe('com.example.crd.v1.Tab');
  expect(source.find(`${name}.spec`)).toMatchObject({ isOpen: true });
  expect(source.find(`${name}.spec.sets[]`)).toMatchObject({ alias: '[]string', merge: { lt: 'set' } });
  expect([...(source.find(`${name}List`)?.fields?.keys() ?? [])]).toEqual([
    'apiVersion',
    'kind',
    'metadata',
    'items',
  ]);
  expect(source.find('meta.v1.ObjectMeta')?.fields?.has('labels')).toBe(true);
  expect(source.find('nothing')).toBeUndefined();
});

test('nothing of a schema is read before something is asked of it', () => {
  let count = 0;
  const source = typeSourceOf({ ...gvk, schema: () => parseSchema({ type: 'object', count: count++ }) });
  expect(source.find('meta.v1.ObjectMeta')).toBeDefined();
  expect(count).toBe(0);
});
