import { describe, expect, it } from 'vitest';
import type { Event } from '#proto/etcd/rpc.ts';
import { parseEndpoints } from './endpoints.ts';
import { createGatherer } from './follow.ts';
import { prefixEnd } from './image.ts';
import { etcdError } from './status.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
describe('parseEndpoints()', () => {
  it.each([
    { urls: ['http://10.0.0.1:2379'], want: { addresses: ['10.0.0.1:2379'], isSecure: false } },
    { urls: ['https://a:1', 'https://b/'], want: { addresses: ['a:1', 'b:2379'], isSecure: true } },
    { urls: ['https://[fd00::1]:443'], want: { addresses: ['[fd00::1]:443'], isSecure: true } },
  ])('reads $urls', ({ urls, want }) => {
    expect(parseEndpoints(urls)).toEqual(want);
  });

  it.each([
    [],
    ['10.0.0.1:2379'],
    ['http://a:70000'],
    ['http://a/path'],
    ['unix:///a'],
    ['http://user@a'],
    ['http://a', 'https://b'],
    [''],
  ])('refuses %s %s', (...urls) => {
    expect(() => parseEndpoints(urls)).toThrow(expect.objectContaining({ code: 'E_USAGE' }));
  });
});

describe('etcdError()', () => {
  it.each([
    { code: 14, details: 'read ECONNRESET', want: 'E_CONNECTION' },
    { code: 14, details: 'etcdserver: request timed out', want: 'E_CONNECTION' },
    { code: 4, details: 'Deadline exceeded', want: 'E_TIMEOUT' },
    { code: 8, details: 'etcdserver: mvcc: database space exceeded', want: 'E_NO_SPACE' },
    { code: 8, details: 'etcdserver: too many requests', want: 'E_LIMIT' },
    { code: 8, details: 'Received message larger than max (70000000 vs 67108864)', want: 'E_LIMIT' },
    { code: 3, details: 'etcdserver: request is too large', want: 'E_LIMIT' },
    { code: 3, details: 'etcdserver: duplicate key given in txn request', want: 'E_INVALID' },
    { code: 5, details: 'etcdserver: requested lease not found', want: 'E_NOT_FOUND' },
    { code: 9, details: 'etcdserver: lease already exists', want: 'E_EXISTS' },
    { code: 7, details: 'etcdserver: permission denied', want: 'E_PERMISSION' },
    { code: 11, details: 'etcdserver: mvcc: required revision has been compacted', want: 'E_NOT_FOUND' },
    { code: 11, details: 'etcdserver: mvcc: required revision is a future revision', want: 'E_INVALID' },
    { code: 2, details: 'whatever', want: 'E_INTERNAL' },
  ])('gives $want for $details', ({ want, ...status }) => {
    const error = etcdError('read /a', status);
    expect(error.code).toBe(want);
    expect(error.message).toBe(`read /a: ${status.details}`);
    expect(error.detail['compacted'] === true).toBe(status.details.includes('compacted'));
  });
});

it('createGatherer() gives answers that came in pieces as one', () => {
  const event = (name: string): Event => ({ type: 'PUT', kv: null, prev_kv: null, ...{ name } });
  const told: (readonly Event[])[] = [];
  const gather = createGatherer((events) => told.push(events));
  gather({ events: [event('1')], fragment: true });
  gather({ events: [event('2')], fragment: true });
  gather({ events: [event('3')], fragment: false });
  gather({ events: [], fragment: false });
  gather({ events: [event('4')], fragment: false });
  expect(told).toEqual([[event('1'), event('2'), event('3')], [event('4')]]);
});

it('prefixEnd() is the first key beyond the prefix', () => {
  expect(prefixEnd('/registry/')).toEqual(bytes('/registry0'));
  expect(prefixEnd('')).toEqual(Uint8Array.of(0));
});
