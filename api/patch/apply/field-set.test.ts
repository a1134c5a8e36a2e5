import { describe, expect, it } from 'vitest';
import { createRandom } from '#base/random.fixture.ts';
import { isObject, structJson } from '#api/wire/json.ts';
import {
  difference,
  emptySet,
  equalSets,
  hasPath,
  intersection,
  isEmptySet,
  pathsOf,
  setOfPaths,
  union,
  withoutBelow,
  type FieldSet,
} from './field-set.ts';
import { compareElements, formatPath } from './path-element.ts';
import { readFieldSet } from './read-field-set.ts';

const seed = Number(process.env['PODWRIGHT_FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const random = createRandom(seed);
const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;

const elements = [
  'f:a',
  'f:b',
  'f:c',
  'k:{"name":"x"}',
  'k:{"name":"y"}',
  'k:{"n":80}',
  'k:{"n":443}',
  'v:"s"',
  'v:1',
  'i:2',
  'i:10',
];

function randomPaths(): readonly (readonly string[])[] {
  return Array.from({ length: Math.floor(random() * 12) }, () =>
    Array.from({ length: 1 + Math.floor(random() * 3) }, () => pick(elements)),
  );
}

const texts = (set: FieldSet): ReadonlySet<string> => new Set(pathsOf(set).map((path) => path.join('/')));

describe('sets of fields', () => {
  it('are what sets of paths are, in the one form that they have', () => {
    console.log(`PODWRIGHT_FUZZ_SEED=${seed}`);
    for (let run = 0; run < 3000; run++) {
      const [a, b] = [randomPaths(), randomPaths()];
      const [one, other] = [setOfPaths(a), setOfPaths(b)];
      const [left, right] = [texts(one), texts(other)];
      expect(left).toEqual(new Set(a.map((path) => path.join('/'))));
      expect(texts(union(one, other))).toEqual(left.union(right));
      expect(texts(intersection(one, other))).toEqual(left.intersection(right));
      expect(texts(difference(one, other))).toEqual(left.difference(right));
      const isBelow = (path: string): boolean =>
        [...right].some((root) => path === root || path.startsWith(`${root}/`));
      expect(texts(withoutBelow(one, other))).toEqual(new Set([...left].filter((path) => !isBelow(path))));
      for (const set of [union(one, other), intersection(one, other), difference(one, other)]) {
        const text = structJson(set);
        expect(structJson(readFieldSet(shuffled(JSON.parse(text))))).toBe(text);
        expect(equalSets(set, readFieldSet(JSON.parse(text)))).toBe(true);
        expect(isEmptySet(set)).toBe(pathsOf(set).length === 0);
      }
      for (const path of a) expect(hasPath(one, path)).toBe(true);
    }
  });

  it('tell short paths before long ones', () => {
    const set = setOfPaths([
      ['f:b', 'f:c'],
      ['f:a'],
      ['f:b'],
      ['f:a', 'k:{"name":"c","port":8}'],
      ['f:s', 'v:"x"'],
    ]);
    expect(pathsOf(set).map(formatPath)).toEqual(['.a', '.b', '.a[name="c",port=8]', '.b.c', '.s[="x"]']);
  });
});

function shuffled(value: unknown): unknown {
  if (!isObject(value)) return value;
  const entries = Object.entries(value).map(([key, member]) => [key, shuffled(member)] as const);
  return Object.fromEntries(entries.toSorted(() => random() - 0.5));
}

describe('compareElements()', () => {
  it('orders fields, keys, values and indices, each by what it is', () => {
    const ordered = [
      'f:A',
      'f:a',
      'f:ab',
      'k:{"n":80}',
      'k:{"n":443}',
      'k:{"n":"80"}',
      'k:{"n":"a"}',
      'k:{"n":"a b"}',
      'k:{"n":"ab"}',
      'k:{"z":1}',
      'v:2',
      'v:10',
      'v:"a"',
      'v:true',
      'i:2',
      'i:10',
    ];
    expect(ordered.toReversed().toSorted(compareElements)).toEqual(ordered);
    expect(['f:\u{10000}', 'f:\uffff'].toSorted(compareElements)).toEqual(['f:\uffff', 'f:\u{10000}']);
  });
});

describe('readFieldSet()', () => {
  it.each([
    [{ data: {} }, 'missing colon: data'],
    [{ a: {} }, 'key must be 2 characters long'],
    [{ 'f:a': 1 }, 'what is below f:a is no object'],
    [{ 'v:{': {} }, 'JSON'],
    [{ 'k:[]': {} }, 'keys are no object'],
    [{ 'i:x': {} }, 'no index'],
    [[], 'a set of fields is an object'],
    ['x', 'a set of fields is an object'],
  ])('refuses %j', (value, message) => {
    expect(() => readFieldSet(value)).toThrow(message);
  });

  it('leaves out what it does not know, and writes keys in their order', () => {
    expect(readFieldSet({ 'q:x': {}, 'k:{"b":1, "a":2}': { '.': {} }, '.': {} })).toEqual({
      'k:{"a":2,"b":1}': {},
    });
    expect(readFieldSet(undefined)).toBe(emptySet);
  });

  it('refuses what is deeper than any object', () => {
    let deep: unknown = {};
    for (let depth = 0; depth < 2000; depth++) deep = { 'f:a': deep };
    expect(() => readFieldSet(deep)).toThrow('too deep');
  });
});
