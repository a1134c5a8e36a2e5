import { expect, test } from 'vitest';
import { searchedNames } from './search-path.ts';

const searches = ['web.svc.cluster.local', 'svc.cluster.local', 'cluster.local', 'example.net'];

test('what a resolver tries after its first name, to the name as it was given', () => {
  expect(searchedNames('Api.Example.com.web.svc.cluster.local.', searches)).toEqual([
    'api.example.com.svc.cluster.local',
    'api.example.com.cluster.local',
    'api.example.com.example.net',
    'api.example.com',
  ]);
});

test.each([
  ['a name without a dot is a Service, and stays here', 'redis.web.svc.cluster.local', searches],
  ['a name of another domain of the list', 'api.example.com.svc.cluster.local', searches],
  ['a domain itself', 'web.svc.cluster.local', searches],
  ['nobody known', 'api.example.com.web.svc.cluster.local', []],
])('%s', (_what, name, list) => expect(searchedNames(name, list)).toEqual([]));
