import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { JsonObject } from '#api/meta/object.ts';
import { schemasOf } from '#api/openapi/schema.ts';
import { goJson, objectOf } from '#api/wire/json.ts';
import { objectDocument, type PublishedKind } from './open-api.ts';
import { parseSchema } from './parse.ts';
import { typeNameOfKind, typeSourceOf } from './type-source.ts';

/* Of a kube-apiserver 1.36.2, and the schema that it was made of. */
const observed = JSON.parse(readFileSync(`${import.meta.dirname}/observed-documents.json`, 'utf8')) as {
  readonly schema: JsonObject;
  readonly object: JsonObject;
  readonly list: JsonObject;
  readonly v2?: JsonObject;
  readonly v2begin?: string;
};

const gvk = { group: 'crd.example.com', version: 'v1', kind: 'Tab' };
const published = {
  listKind: 'TabList',
  plural: 'tabs',
  json: () => observed.schema,
  selectablePaths: ['.spec.s', '.spec.n', '.spec.b'],
};
const source = typeSourceOf({ ...gvk, schema: () => parseSchema(observed.schema), published });

describe('documents of a custom kind', () => {
  const types = [{ schema: source, typeName: `${typeNameOfKind(gvk)}List` }];

  test('are those of kube-apiserver, in v3', () => {
    const schemas = schemasOf(types, 'v3');
    expect(schemas['com.example.crd.v1.Tab']).toEqual(observed.object);
    expect(schemas['com.example.crd.v1.TabList']).toEqual(observed.list);
    expect(Object.keys(schemas)).toContain('io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta');
    expect(Object.keys(schemas).filter((name) => name.startsWith('com.'))).toHaveLength(2);
  });

  test('and in v2', () => {
    const made = schemasOf(types, 'v2')['com.example.crd.v1.Tab'];
    const begin = observed.v2begin ?? '';
    const head = begin.slice(0, begin.lastIndexOf('"x-kubernetes') - 1);
    if (observed.v2 !== undefined) expect(made).toEqual(observed.v2);
    else expect(objectOf(made)['properties']).toEqual(objectOf(JSON.parse(`${head}}`))['properties']);
  });
});

describe('objectDocument()', () => {
  const spec = (json: JsonObject, dialect: 'v2' | 'v3'): unknown => {
    const kind: PublishedKind = {
      ...gvk,
      ...published,
      json: { type: 'object', properties: { spec: json } },
      publicName: 'x',
    };
    return objectOf(objectDocument(kind, dialect)['properties'])['spec'];
  };
  const open = {
    type: 'object',
    'x-kubernetes-preserve-unknown-fields': true,
    properties: { a: { type: 'string' } },
  };

  test.each<readonly [string, JsonObject, JsonObject, JsonObject]>([
    [
      'integers or texts',
      { 'x-kubernetes-int-or-string': true },
      { 'x-kubernetes-int-or-string': true, anyOf: [{ type: 'integer' }, { type: 'string' }] },
      { 'x-kubernetes-int-or-string': true },
    ],
    ['unknown fields', open, open, { 'x-kubernetes-preserve-unknown-fields': true }],
    [
      'null',
      {
        type: 'object',
        required: ['a', 'b'],
        properties: { a: { type: 'string', nullable: true }, b: { type: 'string' } },
      },
      {
        type: 'object',
        required: ['a', 'b'],
        properties: { a: { type: 'string', nullable: true }, b: { type: 'string' } },
      },
      { type: 'object', required: ['b'], properties: { a: {}, b: { type: 'string' } } },
    ],
    [
      'alternatives',
      { type: 'object', oneOf: [{ required: ['a'] }], example: 1 },
      { type: 'object', oneOf: [{ required: ['a'] }] },
      { type: 'object' },
    ],
    [
      'lists of what is not known',
      { type: 'array', 'x-kubernetes-preserve-unknown-fields': true, items: { type: 'object' } },
      { type: 'array', 'x-kubernetes-preserve-unknown-fields': true, items: { type: 'object' } },
      { 'x-kubernetes-preserve-unknown-fields': true },
    ],
  ])('%s', (_, json, v3, v2) => {
    expect(spec(json, 'v3')).toEqual(v3);
    expect(spec(json, 'v2')).toEqual(v2);
  });

  test('embedded resources have what all objects have', () => {
    const json = {
      type: 'object',
      'x-kubernetes-embedded-resource': true,
      properties: { data: { type: 'string' } },
    };
    expect(goJson(Object.keys(objectOf(objectOf(spec(json, 'v3'))['properties'])))).toBe(
      '["apiVersion","data","kind","metadata"]',
    );
  });
});
