import { expect, it } from 'vitest';
import { parseBool } from './parse-bool.ts';

it.each([
  ['1 t T true TRUE True', true],
  ['0 f F false FALSE False', false],
  ['yes no tRue 2 TrUE on', undefined],
])('parseBool() of each of %s: %s', (texts, want) => {
  expect(texts.split(' ').map(parseBool)).toEqual(texts.split(' ').map(() => want));
  expect(parseBool('')).toBeUndefined();
});
