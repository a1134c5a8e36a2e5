import { describe, expect, it } from 'vitest';
import type { Attributes } from '#control-plane/apiserver/chain/authz/authorizer.ts';
import { costBasis, listWork, oneSeat, writeWork, type CostBasis } from './estimate.ts';

const asked = (verb: string, given: object = {}): Attributes => ({
  kind: 'resource',
  user: { name: 'u', groups: [] },
  verb,
  group: '',
  resource: 'pods',
  subresource: '',
  namespace: 'n',
  name: '',
  ...given,
});

const rows: readonly (readonly [Attributes, query: string, CostBasis])[] = [
  [asked('get', { name: 'p' }), '', 'itself'],
  [asked('list'), '', 'objects'],
  [asked('list', { name: 'p' }), 'fieldSelector=metadata.name%3Dp', 'itself'],
  [asked('watch'), '', 'objects'],
  [asked('watch'), 'resourceVersion=0', 'objects'],
  [asked('watch'), 'resourceVersion=5', 'itself'],
  [asked('watch'), 'resourceVersion=5&sendInitialEvents=true', 'objects'],
  [asked('watch'), 'sendInitialEvents=false', 'itself'],
  [asked('create'), '', 'watchers'],
  [asked('create', { subresource: 'token' }), '', 'itself'],
  [asked('delete', { name: 'p' }), '', 'watchers'],
  [{ kind: 'path', user: { name: 'u', groups: [] }, verb: 'post', path: '/x' }, '', 'itself'],
];

describe('costBasis()', () => {
  it.each(rows)('%o ?%s: %s', (attributes, query, basis) => {
    expect(costBasis(attributes, new URLSearchParams(query))).toBe(basis);
  });
});

describe('listWork()', () => {
  it.each([
    { query: '', objects: 0, seats: 1 },
    { query: '', objects: 100, seats: 1 },
    { query: '', objects: 101, seats: 2 },
    { query: '', objects: 50_000, seats: 10 },
    { query: 'limit=500', objects: 50_000, seats: 5 },
    { query: 'limit=500&labelSelector=a', objects: 800, seats: 8 },
    { query: 'limit=many', objects: 800, seats: 8 },
  ])('takes $seats seats for $objects objects, ?$query', ({ query, objects, seats }) => {
    expect(listWork(new URLSearchParams(query), { widest: 10, objects }).seats).toBe(seats);
  });
});

describe('writeWork()', () => {
  it('costs nothing more than itself for few watchers', () => {
    expect(writeWork({ widest: 10, watchers: 9 })).toBe(oneSeat);
  });

  it('takes seats for what many are told, as many as a request may and then for longer', () => {
    expect(writeWork({ widest: 10, watchers: 25 })).toEqual({ seats: 1, finalSeats: 3, finalMs: 5 });
    expect(writeWork({ widest: 10, watchers: 1_000 })).toEqual({ seats: 1, finalSeats: 10, finalMs: 50 });
  });
});
