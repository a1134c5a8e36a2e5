import { expect, it } from 'vitest';
import { checkPath } from './payload.ts';

it.each([
  ['a', 'a'],
  ['a/b', 'a/b'],
  ['a//b', 'a/b'],
  ['./a/./b/', 'a/b'],
  ['a\nb', 'a\nb'],
  ['a/..b', 'a/..b'],
])('checkPath(%j) is %j', (path, want) => expect(checkPath(path)).toBe(want));

it.each(['', '.', './.', '/a', '..', 'a/../b', '../a', '..data', '..data/x', './..data/x', 'a\0b'])(
  'checkPath(%j) refuses',
  (path) => expect(() => checkPath(path)).toThrow(`invalid path ${JSON.stringify(path)} in a volume: `),
);
