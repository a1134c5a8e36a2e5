import { describe, expect, test } from 'vitest';
import { renderFieldError, type FieldError } from '#api/errors/field-error.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { decodeCustom } from './decode-custom.ts';
import { fillDefaults } from './defaults.ts';
import { bigSchema } from './observed-values.fixture.ts';
import { schemaErrors, strict } from './definition/schema-errors.ts';
import { parseSchema, schemaDepthMax } from './parse.ts';
import { pruneObject } from './prune.ts';
import { validateObject, valueErrors } from './validate.ts';

function specSchema(spec: JsonObject): ReturnType<typeof parseSchema> {
  return parseSchema({ type: 'object', properties: { spec } });
}

function said(errors: readonly FieldError[]): readonly string[] {
  return errors.map((error) => `${error.field}: ${renderFieldError(error)}`);
}

const text = { type: 'string' };
const open = { 'x-kubernetes-preserve-unknown-fields': true };

describe('pruneObject()', () => {
  test.each<readonly [string, JsonObject, unknown, unknown, readonly string[]]>([
    [
      'what no property names',
      { type: 'object', properties: { a: text } },
      { a: '', b: 1 },
      { a: '' },
      ['spec.b'],
    ],
    ['what a value has that has no properties', { type: 'object' }, { b: { c: 1 } }, {}, ['spec.b']],
    [
      'within items',
      { type: 'array', items: { type: 'object', properties: { a: text } } },
      [{ a: '', b: 1 }, 5],
      [{ a: '' }, 5],
      ['spec[0].b'],
    ],
    [
      'not what other members may be, but within them',
      { type: 'object', additionalProperties: { type: 'object', properties: { a: text } } },
      { k: { a: '', b: 1 } },
      { k: { a: '' } },
      ['spec.k.b'],
    ],
    [
      'within members of no schema',
      { type: 'object', additionalProperties: true },
      { k: { b: 1 } },
      { k: {} },
      ['spec.k.b'],
    ],
    [
      'nothing of what is preserved',
      { type: 'object', ...open },
      { b: { c: [{ d: 1 }] } },
      { b: { c: [{ d: 1 }] } },
      [],
    ],
    [
      'within known members of what is preserved',
      { type: 'object', ...open, properties: { a: { type: 'object' } } },
      { a: { b: 1 }, c: 1 },
      { a: {}, c: 1 },
      ['spec.a.b'],
    ],
    [
      'nothing of items of what is preserved',
      { type: 'array', ...open, items: { type: 'object', properties: { a: { type: 'object' } } } },
      [{ a: { z: 1 }, b: 1 }],
      [{ a: {}, b: 1 }],
      ['spec[0].a.z'],
    ],
    [
      'nothing that whole objects have',
      { type: 'object', 'x-kubernetes-embedded-resource': true, properties: { a: text } },
      { apiVersion: 'v1', kind: 'A', metadata: { x: 1 }, a: '', b: 1 },
      { apiVersion: 'v1', kind: 'A', metadata: { x: 1 }, a: '' },
      ['spec.b'],
    ],
    [
      'members of any name',
      { type: 'object', properties: { ['__proto__']: text } },
      JSON.parse('{"__proto__":"a","b":1}'),
      JSON.parse('{"__proto__":"a"}'),
      ['spec.b'],
    ],
  ])('drops %s', (_, spec, given, want, unknownFields) => {
    const pruned = pruneObject(specSchema(spec), { metadata: { z: 1 }, spec: given });
    expect(pruned).toEqual({ object: { metadata: { z: 1 }, spec: want }, unknownFields });
    expect(pruneObject(specSchema(spec), pruned.object).object).toBe(pruned.object);
  });
});

describe('fillDefaults()', () => {
  const withDefault = { type: 'string', default: 'd' };
  const nullable = { ...text, nullable: true };
  test.each<readonly [string, JsonObject, unknown, unknown]>([
    ['what is absent', { type: 'object', properties: { a: withDefault } }, {}, { a: 'd' }],
    ['null where none may be', { type: 'object', properties: { a: withDefault } }, { a: null }, { a: 'd' }],
    [
      'not null where it may be',
      { type: 'object', properties: { a: { ...withDefault, nullable: true } } },
      { a: null },
      { a: null },
    ],
    ['null without a default, by dropping it', { type: 'object', properties: { a: text } }, { a: null }, {}],
    ['not null that may be', { type: 'object', properties: { a: nullable } }, { a: null }, { a: null }],
    [
      'null of other members, by dropping it',
      { type: 'object', additionalProperties: text },
      { k: null },
      {},
    ],
    ['null in lists, if there is a default', { type: 'array', items: withDefault }, [null, 'x'], ['d', 'x']],
    ['not null in lists without', { type: 'array', items: text }, [null], [null]],
    [
      'within defaults',
      { type: 'object', properties: { o: { type: 'object', default: {}, properties: { a: withDefault } } } },
      {},
      { o: { a: 'd' } },
    ],
    [
      'within items',
      { type: 'array', items: { type: 'object', properties: { a: withDefault } } },
      [{}],
      [{ a: 'd' }],
    ],
    ['nothing of another type', { type: 'object', properties: { a: withDefault } }, 5, 5],
    ['nothing that nobody knows', { type: 'object', ...open }, { a: null }, { a: null }],
  ])('fills %s', (_, spec, given, want) => {
    const filled = fillDefaults(specSchema(spec), { spec: given });
    expect(filled).toEqual({ spec: want });
    expect(fillDefaults(specSchema(spec), filled)).toBe(filled);
  });
});

describe('decodeCustom()', () => {
  test('tells unknown fields in the order of kube-apiserver 1.36.2', () => {
    const given = {
      metadata: { name: 'b1', foo: 1 },
      spec: {
        req: 'r',
        unk: 1,
        arrdef: [{}, { y: 3, z: 1 }],
        any: { q: 1, known: { p: 'x', zz: 1 } },
        emb: { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'n', foo: 1 }, spec: { w: 1 } },
      },
      status: { c: 'x', zz: 1 },
      topunk: 1,
    };
    const { object, unknownFields } = decodeCustom(parseSchema(bigSchema), given);
    expect(unknownFields).toEqual([
      'metadata.foo',
      'spec.any.known.zz',
      'spec.arrdef[1].z',
      'spec.unk',
      'status.zz',
      'topunk',
      'spec.emb.metadata.foo',
    ]);
    expect(object['spec']).toMatchObject({
      emb: { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'n' }, spec: { w: 1 } },
    });
  });

  test('refuses metadata of another shape, of the object and of what is embedded', () => {
    const schema = parseSchema(bigSchema);
    expect(() => decodeCustom(schema, { metadata: { labels: { a: 1 } } })).toThrow(
      'json: cannot unmarshal number into Go struct field ObjectMeta.labels of type string',
    );
    const emb = { apiVersion: 5, kind: 'A' };
    expect(() => decodeCustom(schema, { metadata: {}, spec: { emb } })).toThrow(
      'spec.emb.apiVersion: Invalid value: 5: must be a string',
    );
  });
});

describe('validateObject() on updates', () => {
  const key = { type: 'object', required: ['k'], properties: { k: text, v: { ...text, maxLength: 2 } } };
  const map = {
    type: 'array',
    items: key,
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': ['k'],
  };
  const schema = specSchema({
    type: 'object',
    properties: {
      a: { ...text, maxLength: 2 },
      b: text,
      l: { type: 'array', items: { ...text, maxLength: 2 } },
      m: map,
      o: { type: 'object', required: ['y'], properties: { z: text, y: text } },
    },
    'x-kubernetes-validations': [{ rule: 'true' }],
  });
  const spec = {
    a: 'long',
    b: 'x',
    l: ['long', 'x'],
    m: [
      { k: '1', v: 'long' },
      { k: '2', v: 'x' },
    ],
    o: { z: 'no' },
  };
  const more =
    '<nil>: Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation';
  const long = (field: string): string => `${field}: Too long: may not be more than 2 bytes`;

  test.each<readonly [string, JsonObject, readonly string[]]>([
    ['what is elsewhere', { b: 'new' }, []],
    ['a value that stays wrong otherwise', { a: 'longer' }, [long('spec.a'), more]],
    ['an atomic list that gets an item', { l: ['long', 'x', 'y'] }, [long('spec.l[0]'), more]],
    [
      'another item of a map',
      {
        m: [
          { k: '1', v: 'long' },
          { k: '2', v: 'y' },
        ],
      },
      [],
    ],
    [
      'the order of a map',
      {
        m: [
          { k: '2', v: 'x' },
          { k: '1', v: 'long' },
        ],
      },
      [],
    ],
    ['an item of a map', { m: [{ k: '1', v: 'longer' }] }, [long('spec.m[0].v'), more]],
    ['what lacks something', { o: { z: 'other' } }, ['spec.o.y: Required value', more]],
    ['what lacked something', { o: { z: 'no', y: '' } }, []],
  ])('of %s', (_, change, want) => {
    const object = { spec: { ...spec, ...change } };
    expect(said(validateObject(schema, { object, old: { spec } }))).toEqual(want);
  });

  test('and of a new object says all', () => {
    expect(said(validateObject(schema, { object: { spec } })).toSorted()).toEqual(
      [long('spec.a'), long('spec.l[0]'), long('spec.m[0].v'), 'spec.o.y: Required value', more].toSorted(),
    );
  });

  test('rules are asked where nothing forbids it', () => {
    const checkRules = (): readonly FieldError[] => [
      { type: 'Invalid', field: 'spec', detail: 'no', omitsValue: true },
    ];
    expect(said(validateObject(schema, { object: { spec: { b: '' } }, checkRules }))).toEqual([
      'spec: Invalid value: no',
    ]);
    expect(said(validateObject(schema, { object: { spec: { b: 5 } }, checkRules }))).not.toContain(
      'spec: Invalid value: no',
    );
  });
});

describe('validateObject() of embedded resources and of lists', () => {
  const whole = { type: 'object', 'x-kubernetes-embedded-resource': true, ...open };
  const map = {
    type: 'array',
    items: { type: 'object', required: ['k'], properties: { k: text, n: { type: 'integer' } } },
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': ['k', 'n'],
  };
  const set = {
    type: 'array',
    items: { type: 'object', ...open, 'x-kubernetes-map-type': 'atomic' },
    'x-kubernetes-list-type': 'set',
  };
  const schema = specSchema({
    type: 'object',
    properties: {
      all: { type: 'object', additionalProperties: whole },
      map,
      set,
      maps: { type: 'object', additionalProperties: set },
    },
  });
  const ok = { apiVersion: 'v1', kind: 'A' };

  test.each<readonly [string, JsonObject, readonly string[]]>([
    [
      'one that says nothing',
      { all: { k: {} } },
      ['spec.all[k].apiVersion: Required value', 'spec.all[k].kind: Required value'],
    ],
    [
      'its name',
      { all: { k: { ...ok, metadata: { name: 'a/b' } } } },
      ['spec.all[k].metadata.name: Invalid value: "a/b": may not contain \'/\''],
    ],
    ['any other name', { all: { k: { ...ok, metadata: { name: 'X Y' } } } }, []],
    [
      'its labels',
      { all: { k: { ...ok, metadata: { labels: { 'a b': 'c' } } } } },
      [
        'spec.all[k].metadata.labels: Invalid value: "a b": name part must consist of alphanumeric characters',
      ],
    ],
    [
      'metadata of another shape',
      { all: { k: { ...ok, metadata: 5 } } },
      [
        'spec.all[k].metadata: Invalid value: 5: json: cannot unmarshal number into Go value of type v1.ObjectMeta',
      ],
    ],
    [
      'keys of several members',
      { map: [{ k: 'a', n: 1 }, { k: 'a' }, { k: 'a', n: 1 }] },
      ['spec.map[2]: Duplicate value: {"k":"a","n":1}'],
    ],
    [
      'a third only once',
      { map: [{ k: 'a' }, { k: 'a' }, { k: 'a' }] },
      ['spec.map[1]: Duplicate value: {"k":"a"}'],
    ],
    [
      'members in another order',
      {
        set: [
          { a: 1, b: 2 },
          { b: 2, a: 1 },
        ],
      },
      ['spec.set[1]: Duplicate value: {"a":1,"b":2}'],
    ],
    ['sets of a map', { maps: { m: [{}, {}] } }, ['spec.maps[m][1]: Duplicate value: {}']],
  ])('%s', (_, spec, want) => {
    const found = said(validateObject(schema, { object: { spec } }));
    expect(
      found.map((each, index) => (want[index] === undefined ? each : each.slice(0, want[index].length))),
    ).toEqual(want);
  });
});

describe('bounds', () => {
  test('validation ends, and says so, where a schema asks too much of an object', () => {
    const anyOf = Array.from({ length: 2000 }, (_, index) => ({ enum: [index] }));
    const schema = specSchema({ type: 'array', items: { 'x-kubernetes-int-or-string': true, anyOf } });
    const spec = Array.from({ length: 50_000 }, (_, index) => (index < 20_000 ? 1999 : 'x'));
    const started = process.cpuUsage();
    const errors = valueErrors(schema, { spec });
    const { user } = process.cpuUsage(started);
    expect(errors.at(-1)?.detail).toContain('takes too long');
    expect(user / 1e6).toBeLessThan(6);
  });

  test('patterns take time that grows with the text', () => {
    const schema = specSchema({ ...text, pattern: '^(a+)+$' });
    expect(valueErrors(schema, { spec: `${'a'.repeat(5000)}!` })).toHaveLength(1);
    const wide = specSchema({ ...text, pattern: '(a|b)*a(a|b){12}$' });
    const long = 'ab'.repeat(10_000);
    expect(valueErrors(wide, { spec: `${long}aaaaaaaaaaaaa` })).toEqual([]);
    expect(valueErrors(wide, { spec: long.repeat(40) }).at(-1)?.detail).toContain('takes too long');
  });

  test('errors have a number', () => {
    const schema = specSchema({ type: 'array', items: text });
    expect(valueErrors(schema, { spec: Array.from({ length: 5000 }, (_, index) => index) })).toHaveLength(
      1000,
    );
  });

  test('what lies too deep says nothing, and is refused of a new definition', () => {
    let json: JsonObject = text;
    for (let level = 0; level < 5000; level++) json = { type: 'array', items: json };
    expect(() => parseSchema(json)).not.toThrow();
    const refused = schemaErrors(json, 'x', { leniency: strict, hasStatus: false });
    expect(said(refused)).toEqual([
      `x: Invalid value: must not have more than ${schemaDepthMax} schemas within one another`,
    ]);
  });
});
