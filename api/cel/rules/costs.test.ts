import { describe, expect, it } from 'vitest';
import type { JsonObject } from '#api/meta/object.ts';
import { parseSchema } from '#api/structural/parse.ts';
import { compileRules } from './compile-rules.ts';
import { objectCostMax, runRules } from './run-rules.ts';

const [text, int, number, bool] = ['string', 'integer', 'number', 'boolean'].map((type) => ({ type }));
const format = (name: string): JsonObject => ({ type: 'string', format: name });
const list = (items: JsonObject | undefined, more: JsonObject = {}): JsonObject => ({
  ...{ type: 'array', items },
  ...more,
});
const map = (additionalProperties: JsonObject | undefined): JsonObject => ({
  type: 'object',
  additionalProperties,
});
const object = (properties: JsonObject): JsonObject => ({ type: 'object', properties });
const keyed = (...keys: readonly string[]): JsonObject => ({
  'x-kubernetes-list-type': 'map',
  'x-kubernetes-list-map-keys': keys,
});
const intOrString = { 'x-kubernetes-int-or-string': true };

interface Row {
  readonly name: string;
  readonly schema: JsonObject;
  readonly value: JsonObject;
  readonly costs: Readonly<Record<string, number>>;
}

const kv = object({ k: text, v: text });
const unicode = 'Rook takes 👑';

/** What kube-apiserver counts (TestCelCostStability): what expressions cost may not change from one release to the next. */
const rows: readonly Row[] = [
  {
    name: 'numbers',
    schema: object({ a: int, b: int, d: number, e: number }),
    value: { a: 5, b: 5, d: 10.5, e: 1 },
    costs: {
      ...{ 'self.a == self.b': 5, 'type(self.a) == int': 4, 'self.a + 1 == 5 + 1': 5 },
      ...{ 'double(self.a) < self.d': 6, 'self.a < int(self.d)': 6, 'double(5) < 10.0': 1 },
      ...{ 'double(self.a) < 10.0': 4, 'type(self.e) == double': 4, 'self.e == 1.0': 3 },
    },
  },
  {
    name: 'texts',
    schema: object({ s: text }),
    value: { s: unicode },
    costs: {
      ...{ "self.s.startsWith('Rook')": 4, "!self.s.startsWith('knight')": 5, 'size(self.s) == 12': 4 },
      ...{ "self.s.matches('^[^0-9]*$')": 8, "!self.s.matches('^[0-9]*$')": 7, 'type(self.s) == string': 4 },
      ...{ "self.s.charAt(3) == 'k'": 4, "self.s.indexOf('o') == 1": 4, "self.s.indexOf('o', 2) == 2": 4 },
      ...{ "self.s.replace(' ', 'x') == 'Rookxtakesx👑'": 7 },
      ...{ "self.s.split(' ') == ['Rook', 'takes', '👑']": 6 },
      ...{ "self.s.split(' ', 2) == ['Rook', 'takes 👑']": 6, "self.s.substring(5) == 'takes 👑'": 5 },
      ...{ "self.s.substring(0, 4) == 'Rook'": 5, "self.s.substring(4, 10).trim() == 'takes'": 6 },
      ...{ "self.s.upperAscii() == 'ROOK TAKES 👑'": 6 },
    },
  },
  {
    name: 'bytes, times and conversions',
    schema: object({
      ...{ b: format('byte'), c: format('byte'), d: format('duration'), t: format('date-time') },
      ...{ y: format('date'), s: text, ts: text, ds: text, n: int, x: number, yes: bool },
    }),
    value: {
      ...{ b: 'QUI=', c: 'QUI=', d: '1h2m3s4ms', t: '2011-08-18T19:03:37.01+01:00', y: '2011-08-18' },
      ...{ s: '10', ts: '2011-08-18T18:03:37.01Z', ds: '3723.004s', n: 10, x: 10.5, yes: true },
    },
    costs: {
      ...{ 'self.b == self.c': 5, "self.b == b'AB'": 3, 'type(self.b) == bytes': 4, 'size(self.b) == 2': 4 },
      ...{ "self.d == duration('1h2m') + duration('3s4ms')": 4, 'self.d.getHours() == 1': 4 },
      ...{ 'type(self.d) == google.protobuf.Duration': 4, 'self.y.getDate() == 18': 4 },
      ...{ "self.t.getDate('01:00') == 18": 4, 'string(self.n) == self.s': 6, "string(self.x) == '10.5'": 4 },
      ...{ 'timestamp(self.ts) == self.t': 6, 'duration(self.ds) == self.d': 6, 'self.yes != false': 3 },
    },
  },
  {
    name: 'lists',
    schema: object({ a: list(int), b: list(int), s: list(text, { 'x-kubernetes-list-type': 'set' }) }),
    value: { a: [1, 2, 3], b: [1, 2, 3], s: ['a', 'b', 'c'] },
    costs: {
      ...{ '1 in self.a': 5, 'self.b[0] in self.a': 8, '!(0 in self.a)': 6, "self.s == ['c', 'b', 'a']": 3 },
      ...{ 'self.a + self.b == [1, 2, 3, 1, 2, 3]': 6, 'self.a + [4, 5] == [1, 2, 3, 4, 5]': 4 },
      ...{ "self.s + ['c', 'd'] == ['a', 'd', 'b', 'c']": 4, "'a' in self.s": 5 },
    },
  },
  {
    name: 'a choice of texts',
    schema: object({ e: { type: 'string', enum: ['Pending', 'Bound'] } }),
    value: { e: 'Pending' },
    costs: { "self.e == 'Pending'": 3, "self.e in ['Pending', 'Available']": 2 },
  },
  {
    name: 'lists with keys',
    schema: object({ o: list(list(kv, keyed('k'))) }),
    value: {
      o: [
        [
          { k: 'a', v: '1' },
          { k: 'b', v: '2' },
        ],
        [
          { k: 'b', v: '2' },
          { k: 'a', v: '1' },
        ],
        [
          { k: 'b', v: '3' },
          { k: 'a', v: '1' },
        ],
        [{ k: 'c', v: '4' }],
      ],
    },
    costs: {
      ...{ 'self.o[0] == self.o[1]': 7, 'self.o[0] + self.o[2] == self.o[2]': 11 },
      ...{ 'self.o[0] == [self.o[0][1], self.o[0][0]]': 22, 'size(self.o[0] + [self.o[3][0]]) == 3': 20 },
      ...{ 'self.o[2] + [self.o[0][0], self.o[0][1]] == self.o[0]': 26 },
    },
  },
  {
    name: 'maps',
    schema: object({ v: map(int), w: map(int) }),
    value: { v: { b: 1, d: 2 }, w: { d: 2, b: 1 } },
    costs: {
      ...{
        'self.v == self.w': 5,
        "'b' in self.v": 3,
        "!('a' in self.v)": 4,
        "self.v == {'b': 1, 'd': 2}": 3,
      },
      ...{ '!has(self.v.a)': 3, 'has(self.v.b)': 2, 'self.v.all(k, self.v[k] > 0)': 17 },
      ...{ 'self.v.exists_one(k, self.v[k] == 2)': 14, '!self.v.exists_one(k, self.v[k] > 0)': 17 },
      ...{ 'size(self.v) == 2': 4, 'size(self.v.filter(k, self.v[k] > 1)) == 1': 26 },
    },
  },
  {
    name: 'fields',
    schema: object({
      a: object({ b: int, c: int, d: { ...int, nullable: true } }),
      a1: object({ b1: object({ c1: int }), d2: object({ e2: int }) }),
      n: { ...text, nullable: true },
    }),
    value: { a: { b: 1, d: null }, a1: { b1: { c1: 4 } }, n: null },
    costs: {
      ...{ 'has(self.a.b)': 2, 'has(self.a1.b1.c1)': 3, '!has(self.a1.d2)': 3, '!has(self.n)': 2 },
      ...{ '!(has(self.a1.d2) && has(self.a1.d2.e2))': 3, '!has(self.a.d)': 3 },
    },
  },
  {
    name: 'walks over objects',
    schema: object({ m: list(object({ k: text, v: text, v2: text }), keyed('k')) }),
    value: {
      m: [
        { k: 'a1', v: 'b1' },
        { k: 'a2', v: 'b2' },
        { k: 'a3', v: 'b3', v2: 'z' },
      ],
    },
    costs: {
      ...{ 'has(self.m[0].v)': 3, "self.m.all(m, m.k.startsWith('a'))": 21 },
      ...{ "self.m.all(m, !has(m.v2) || m.v2 == 'z')": 21, "self.m.exists(m, m.k.endsWith('1'))": 13 },
      ...{ "self.m.exists_one(m, m.k == 'a3')": 15, "!self.m.all(m, m.k.endsWith('1'))": 18 },
      ...{ "!self.m.exists(m, m.v == 'x')": 25, "!self.m.exists_one(m, m.k.startsWith('a'))": 20 },
      ...{ "size(self.m.filter(m, m.k == 'a1')) == 1": 27, "self.m.map(m, m.v).exists(v, v == 'b1')": 55 },
      ...{ "self.m.exists(m, m.k == 'a1' && m.v == 'b1')": 16 },
      ...{ "self.m.exists(m, has(m.v2) && m.v2 == 'z')": 21 },
      ...{ "!self.m.all(m, has(m.v2) && m.v2 != 'z')": 10 },
      ...{ "self.m.exists_one(m, has(m.v2) && m.v2 == 'z')": 12 },
      ...{ "self.m.filter(m, has(m.v2) && m.v2 == 'z').size() == 1": 24 },
      ...{ "self.m.map(m, has(m.v2) && m.v2 == 'z', m.v2).size() == 1": 25 },
      ...{ "self.m.filter(m, has(m.v2) && m.v2 == 'z').map(m, m.v2).size() == 1": 39 },
      ...{ "self.m.exists(m, m.v2 == 'z')": 24, "!self.m.all(m, m.v2 != 'z')": 22 },
    },
  },
  {
    name: 'walks over numbers',
    schema: object({ a: list(int) }),
    value: { a: [1, 1, 2, 2, 3, 3, 4, 5] },
    costs: {
      ...{ '2 in self.a': 10, 'self.a.all(e, e > 0)': 43, 'self.a.exists(e, e > 2)': 36 },
      ...{ 'self.a.exists_one(e, e > 4)': 22, '!self.a.all(e, e < 2)': 21, '!self.a.exists(e, e < 0)': 52 },
      ...{ '!self.a.exists_one(e, e == 2)': 25, 'size(self.a.filter(e, e%2 == 0)) == 3': 68 },
      ...{ 'self.a.map(e, e * 20).filter(e, e > 50).exists(e, e == 60)': 194, 'size(self.a) == 8': 4 },
    },
  },
  {
    name: 'whole objects',
    schema: object({ e: { type: 'object', 'x-kubernetes-embedded-resource': true } }),
    value: {
      ...{ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'foo', generateName: 'pickItForMe' } },
      e: { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'foo', generateName: 'pickItForMe' } },
    },
    costs: {
      ...{ "self.kind == 'Pod'": 3, "self.apiVersion == 'v1'": 3, "self.metadata.name == 'foo'": 4 },
      ...{ "self.metadata.generateName == 'pickItForMe'": 5, "self.e.kind == 'Pod'": 4 },
      ...{ "self.e.metadata.generateName == 'pickItForMe'": 6 },
    },
  },
  {
    name: 'an int or a text',
    schema: object({ x: intOrString, i: intOrString, current: int, available: int }),
    value: { x: '25%', i: 1, current: 5, available: 10 },
    costs: {
      ...{ "type(self.x) == int ? self.x == 1 : self.x == '25%'": 7, "self.x == '25%'": 3, 'self.x != 1': 3 },
      ...{ "type(self.x) == string && self.x == '25%'": 7, "self.x == 1 || self.x == '25%'": 6 },
      ...{ "self.i == 1 || self.i == '25%'": 3, "self.x != ['anything']": 3 },
      [String.raw`type(self.x) == string && self.x.matches(r'(\d+(\.\d+)?%)')`]: 10,
      "type(self.x) == int ? self.current <= self.x : double(self.current) / double(self.available) >= double(self.x.replace('%', '')) / 100.0": 17,
    },
  },
  {
    name: 'what the schema does not say',
    schema: object({
      u: list({ type: 'object', 'x-kubernetes-preserve-unknown-fields': true, properties: { known: int } }),
    }),
    value: { u: [{ known: 1, x: 'a' }, { known: 1, x: 'b' }, { known: 1, x: 'b' }, {}, {}] },
    costs: {
      ...{ 'self.u[0] != self.u[1]': 7, 'self.u[1] == self.u[2]': 7, 'self.u[3] == self.u[4]': 6 },
      ...{ 'self.u.size() == 5': 4, 'self.u[0].known == 1': 5 },
    },
  },
  {
    name: 'things within things',
    schema: object({
      ...{
        mm: map(map(text)),
        mo: map(object({ f: text })),
        ml: map(list(kv, keyed('k'))),
        l: list(map(text)),
      },
      dots: list(object({ 'k.': text })),
    }),
    value: {
      ...{ mm: { x: { y: 'b' } }, mo: { k: { f: 'c' } }, ml: { o: [{ k: '1', v: 'd' }] }, l: [{ z: 'g' }] },
      dots: [{ 'k.': '1' }],
    },
    costs: {
      ...{ "self.mm['x']['y'] == 'b'": 5, "self.mo['k'].f == 'c'": 5, "self.l[0]['z'] == 'g'": 5 },
      ...{ "self.ml['o'].exists(e, e.k == '1' && e.v == 'd')": 14, "self.dots[0].k__dot__ == '1'": 5 },
      ...{ "type(self.mo['k']) == type(self.mo['k'])": 9, 'type(self) == type(self)': 5 },
    },
  },
];

describe('what an expression costs when it is run', () => {
  const cases = rows.flatMap(({ schema, value, costs }) =>
    Object.entries(costs).map(([rule, cost]) => [rule, { schema, value, cost }] as const),
  );

  it.each(cases)('%s is as upstream counts', (rule, { schema, value, cost }) => {
    const tree = compileRules(parseSchema({ ...schema, 'x-kubernetes-validations': [{ rule }] }));
    if (tree === undefined) throw new Error('no rules');
    const { errors, budgetLeft } = runRules(tree, { value });
    expect(errors).toEqual([]);
    expect(objectCostMax - budgetLeft).toBe(cost);
  });
});
