import { describe, expect, it } from 'vitest';
import { createKindCatalogue } from '#api/schema/kind-catalogue.ts';
import type { ApiRequest } from '#control-plane/apiserver/serve/request.ts';
import { impersonate } from './authorize-request.ts';

import { systemClock } from '#base/clock.ts';
import { emptyBooks } from './authz/access-books.ts';
import { createAuthorizer } from './authz/authorizers.ts';
import { parseRoute } from './route.ts';
import { impersonationOf } from './impersonate.ts';

function requestWith(...rawHeaders: readonly string[]): ApiRequest {
  const headers: Record<string, string> = {};
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]?.toLowerCase() ?? '';
    headers[name] = headers[name] === undefined ? (rawHeaders[index + 1] ?? '') : `${headers[name]}, …`;
  }
  return {
    method: 'GET',
    path: '/api/v1/namespaces/acc/pods',
    query: new URLSearchParams(),
    headers,
    rawHeaders,
    caller: { kind: 'network' },
    readBody: async () => new Uint8Array(),
    signal: new AbortController().signal,
  };
}

const users: readonly { readonly name: string; readonly given: readonly string[]; readonly want: object }[] =
  [
    {
      name: 'a group',
      given: ['Impersonate-User', 'eve', 'Impersonate-Group', 'g1'],
      want: { name: 'eve', groups: ['g1', 'system:authenticated'] },
    },
    {
      name: 'groups with commas',
      given: ['Impersonate-User', 'eve', 'Impersonate-Group', 'a,b', 'impersonate-group', 'c, d'],
      want: { name: 'eve', groups: ['a,b', 'c, d', 'system:authenticated'] },
    },
    {
      name: 'an account',
      given: ['Impersonate-User', 'system:serviceaccount:acc:default'],
      want: {
        name: 'system:serviceaccount:acc:default',
        groups: ['system:serviceaccounts', 'system:serviceaccounts:acc', 'system:authenticated'],
      },
    },
    {
      name: 'no account',
      given: ['Impersonate-User', 'system:serviceaccount:bad'],
      want: { name: 'system:serviceaccount:bad', groups: ['system:authenticated'] },
    },
    {
      name: 'a node',
      given: ['Impersonate-User', 'system:node:a'],
      want: { name: 'system:node:a', groups: ['system:nodes', 'system:authenticated'] },
    },
    {
      name: 'nobody',
      given: ['Impersonate-User', 'system:anonymous'],
      want: { name: 'system:anonymous', groups: ['system:unauthenticated'] },
    },
    {
      name: 'the group of nobody',
      given: ['Impersonate-User', 'eve', 'Impersonate-Group', 'system:unauthenticated'],
      want: { name: 'eve', groups: ['system:unauthenticated'] },
    },
    {
      name: 'uid and extra',
      given: [
        'Impersonate-User',
        'eve',
        'Impersonate-Uid',
        'u-1',
        'Impersonate-Extra-Foo%2FBar',
        'x',
        'Impersonate-Extra-foo%2fbar',
        'y, z',
        'Impersonate-Extra-%zz',
        'w',
        'Impersonate-Extra-__proto__',
        'p',
      ],
      want: {
        name: 'eve',
        uid: 'u-1',
        groups: ['system:authenticated'],
        extra: Object.fromEntries([
          ['foo/bar', ['x', 'y, z']],
          ['%zz', ['w']],
          ['__proto__', ['p']],
        ]),
      },
    },
    {
      name: 'UTF-8',
      given: ['Impersonate-User', Buffer.from('zoë').toString('latin1')],
      want: { name: 'zoë', groups: ['system:authenticated'] },
    },
    {
      name: 'two users',
      given: ['Impersonate-User', 'eve', 'Impersonate-User', 'bob'],
      want: { name: 'eve', groups: ['system:authenticated'] },
    },
  ];

describe('impersonationOf()', () => {
  it.each(users)('is $name', ({ given, want }) => {
    expect(impersonationOf(requestWith(...given))?.user).toEqual(want);
  });

  it('asks for a right for the user, and for each group, extra value and uid', () => {
    const request = requestWith(
      'Impersonate-User',
      'eve',
      'Impersonate-Group',
      'a',
      'Impersonate-Group',
      'b',
      'Impersonate-Uid',
      'u',
      'Impersonate-Extra-K',
      'v',
      'Impersonate-Extra-K',
      'w',
    );
    const texts = impersonationOf(request)?.needed.map(({ group, resource, subresource, name }) =>
      [group, resource, subresource, name].join(' '),
    );
    expect(texts).toEqual([
      ' users  eve',
      ' groups  a',
      ' groups  b',
      'authentication.k8s.io userextras k v',
      'authentication.k8s.io userextras k w',
      'authentication.k8s.io uids  u',
    ]);
  });

  it.each([
    {
      given: ['Impersonate-Group', 'g'],
      want: 'Name:"", UID:"", Groups:[]string{"g"}, Extra:map[string][]string(nil)',
    },
    {
      given: ['Impersonate-Uid', '1'],
      want: 'Name:"", UID:"1", Groups:[]string(nil), Extra:map[string][]string(nil)',
    },
    {
      given: ['Impersonate-Extra-K', 'v'],
      want: 'Name:"", UID:"", Groups:[]string(nil), Extra:map[string][]string{"k":[]string{"v"}}',
    },
  ])('refuses $given without a user', ({ given, want }) => {
    expect(() => impersonationOf(requestWith(...given))).toThrow(
      `requested &user.DefaultInfo{${want}} without impersonating a user name`,
    );
  });
});

describe('impersonate()', () => {
  it.each([
    { name: 'a user', given: ['Impersonate-User', 'eve'], want: 'impersonate-on:user-info:list' },
    {
      name: 'an account',
      given: ['Impersonate-User', 'system:serviceaccount:acc:default'],
      want: 'impersonate-on:serviceaccount:list',
    },
    {
      name: 'a node',
      given: ['Impersonate-User', 'system:node:a'],
      want: 'impersonate-on:arbitrary-node:list',
    },
  ])('does not let somebody without the right be $name', async ({ given, want }) => {
    const request = requestWith(...given);
    const route = parseRoute(createKindCatalogue(), request);
    const asked = {
      request,
      route,
      record: undefined,
      user: { name: 'bob', groups: ['system:unauthenticated'] },
    };
    await expect(
      impersonate(createAuthorizer({ books: emptyBooks(), clock: systemClock }), asked),
    ).rejects.toThrow(
      `pods is forbidden: User "bob" cannot ${want} resource "pods" in API group "" in the namespace "acc"`,
    );
  });
});
