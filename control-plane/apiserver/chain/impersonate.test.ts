import { describe, expect, it } from 'vitest';
import { createKindCatalogue } from '#api/schema/kind-catalogue.ts';
import type { ApiRequest, User } from '#control-plane/apiserver/serve/request.ts';
import { describeError } from '#base/errors.ts';
import { attributesOf } from './attributes.ts';
import { nodeNameKey } from './authn/groups.ts';
import { impersonate, type DecisionRecord } from './authorize-request.ts';
import type { Attributes, Authorizer } from './authz/authorizer.ts';
import { nothing } from './authz/privileged.ts';
import { parseRoute } from './route.ts';
import { impersonationOf } from './impersonate.ts';

const bob: User = { name: 'bob', groups: [] };

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
    expect(impersonationOf(requestWith(...given), bob)?.[0]?.user).toEqual(want);
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
    expect(() => impersonationOf(requestWith(...given), bob)).toThrow(
      `requested &user.DefaultInfo{${want}} without impersonating a user name`,
    );
  });
});

const on = (mode: string): string => `impersonate-on:${mode}:list  pods acc `;
const auth = 'authentication.k8s.io';
const eve = ['Impersonate-User', 'eve'];
const groups = (...names: readonly string[]): readonly string[] =>
  names.flatMap((name) => ['Impersonate-Group', name]);
const pods = (verb: string): string =>
  `pods is forbidden: User "bob" cannot ${verb} resource "pods" in API group "" in the namespace "acc"`;
const account = ['Impersonate-User', 'system:serviceaccount:acc:default'];
const node = ['Impersonate-User', 'system:node:a'];
const daemon: User = {
  name: 'system:serviceaccount:acc:daemon',
  groups: [],
  extra: { [nodeNameKey]: ['a'], other: ['x'] },
};

interface WayRow {
  readonly name: string;
  readonly given: readonly string[];
  readonly caller?: User;
  /** Each `VERB GROUP RESOURCE NAMESPACE NAME`. */
  readonly rights: readonly string[];
  readonly want: string;
}

/** Rights, and by which constraint they are enough, or what is missing. */
const wayRows: readonly WayRow[] = [
  { name: 'nothing', given: eve, rights: [], want: pods('impersonate-on:user-info:list') },
  {
    name: 'nothing, an account',
    given: account,
    rights: [],
    want: pods('impersonate-on:serviceaccount:list'),
  },
  { name: 'nothing, a node', given: node, rights: [], want: pods('impersonate-on:arbitrary-node:list') },
  { name: 'the right of old', given: eve, rights: ['impersonate  users  eve'], want: 'eve by ""' },
  {
    name: 'to be her, not on pods',
    given: eve,
    rights: [`impersonate:user-info ${auth} users  eve`],
    want: pods('impersonate-on:user-info:list'),
  },
  {
    name: 'on pods, not to be her',
    given: eve,
    rights: [on('user-info')],
    want: `users.${auth} "eve" is forbidden: User "bob" cannot impersonate:user-info resource "users" in API group "${auth}" at the cluster scope`,
  },
  {
    name: 'both',
    given: eve,
    rights: [on('user-info'), `impersonate:user-info ${auth} users  eve`],
    want: 'eve by "impersonate:user-info"',
  },
  {
    name: 'both, and a group that is not hers',
    given: [...eve, ...groups('g')],
    rights: [on('user-info'), `impersonate:user-info ${auth} users  eve`],
    want: `groups.${auth} "g" is forbidden: User "bob" cannot impersonate:user-info resource "groups" in API group "${auth}" at the cluster scope`,
  },
  {
    name: 'all groups at once',
    given: [...eve, ...groups('a', 'b', 'c', 'd')],
    rights: [
      on('user-info'),
      `impersonate:user-info ${auth} users  eve`,
      `impersonate:user-info ${auth} groups  *`,
    ],
    want: 'eve by "impersonate:user-info"',
  },
  {
    name: 'the group of masters, by rights to everything',
    given: [...eve, ...groups('system:masters')],
    rights: ['*'],
    want: 'eve by ""',
  },
  {
    name: 'an extra that no key is called, by rights to everything',
    given: [...eve, 'Impersonate-Extra-scopes', 'x'],
    rights: ['*'],
    want: 'eve by ""',
  },
  {
    name: 'uid and extra',
    given: [...eve, 'Impersonate-Uid', 'u', 'Impersonate-Extra-a.io%2Fk', 'x'],
    rights: [
      on('user-info'),
      `impersonate:user-info ${auth} users  eve`,
      `impersonate:user-info ${auth} uids  u`,
      `impersonate:user-info ${auth} userextras/a.io/k  x`,
    ],
    want: 'eve by "impersonate:user-info"',
  },
  {
    name: 'the extra alone is missing',
    given: [...eve, 'Impersonate-Extra-a.io%2Fk', 'x'],
    rights: [on('user-info'), `impersonate:user-info ${auth} users  eve`],
    want: `userextras.${auth} "x" is forbidden: User "bob" cannot impersonate:user-info resource "userextras/a.io/k" in API group "${auth}" at the cluster scope`,
  },
  {
    name: 'an account',
    given: account,
    rights: [on('serviceaccount'), `impersonate:serviceaccount ${auth} serviceaccounts acc default`],
    want: 'system:serviceaccount:acc:default by "impersonate:serviceaccount"',
  },
  {
    name: 'an account with a group of its own has but the way of old',
    given: [...account, ...groups('g')],
    rights: [on('serviceaccount'), `impersonate:serviceaccount ${auth} serviceaccounts acc default`],
    want: 'serviceaccounts "default" is forbidden: User "bob" cannot impersonate resource "serviceaccounts" in API group "" in the namespace "acc"',
  },
  {
    name: 'no account is an account by its prefix',
    given: ['Impersonate-User', 'system:serviceaccount:A_B:x'],
    rights: ['impersonate  serviceaccounts A_B x'],
    want: pods('impersonate-on:user-info:list'),
  },
  {
    name: 'a node',
    given: node,
    rights: [on('arbitrary-node'), `impersonate:arbitrary-node ${auth} nodes  a`],
    want: 'system:node:a by "impersonate:arbitrary-node"',
  },
  {
    name: 'the node of the pod that asks',
    given: node,
    caller: daemon,
    rights: [on('associated-node'), `impersonate:associated-node ${auth} nodes  *`],
    want: 'system:node:a by "impersonate:associated-node"',
  },
  {
    name: 'another node than that of the pod that asks',
    given: ['Impersonate-User', 'system:node:b'],
    caller: daemon,
    rights: [on('associated-node'), `impersonate:associated-node ${auth} nodes  *`],
    want: 'pods is forbidden: User "system:serviceaccount:acc:daemon" cannot impersonate-on:arbitrary-node:list resource "pods" in API group "" in the namespace "acc"',
  },
];

describe('impersonate()', () => {
  it.each(wayRows)('$name', async ({ given, caller = bob, rights, want }) => {
    const request = requestWith(...given);
    const authorizer: Authorizer = {
      name: 'rights',
      decide: (asked) => ({ decision: isAmong(rights, asked) ? 'allow' : 'noOpinion', reason: '' }),
      rulesOf: () => nothing,
    };
    let constraint = '';
    const record: DecisionRecord = {
      impersonates: (_, found) => (constraint = found),
      decided: () => undefined,
    };
    const route = parseRoute(createKindCatalogue(), request);
    const found = await Promise.resolve()
      .then(() =>
        impersonate(authorizer, {
          ...{ request, record, user: caller },
          attributesOf: (user) => attributesOf(request, route, user),
        }),
      )
      .then(
        ({ name }) => `${name} by "${constraint}"`,
        (error: unknown) => describeError(error),
      );
    expect(found).toBe(want);
  });

  it('does not give the group of nodes to who is one by the right of old', async () => {
    const ways = impersonationOf(requestWith(...node), bob);
    expect(ways?.map(({ user }) => user.groups)).toEqual([
      ['system:nodes', 'system:authenticated'],
      ['system:authenticated'],
    ]);
  });

  it('asks for an account without what tells its tokens apart', () => {
    const [way] = impersonationOf(requestWith(...node), daemon) ?? [];
    expect(way?.caller.extra).toEqual({
      'authentication.kubernetes.io/associated-node-keys': [nodeNameKey, 'other'],
    });
  });
});

function isAmong(rights: readonly string[], asked: Attributes): boolean {
  if (asked.kind === 'path') return false;
  const { verb, group, resource, subresource, namespace, name } = asked;
  const what = subresource === '' ? resource : `${resource}/${subresource}`;
  return rights.includes('*') || rights.includes([verb, group, what, namespace, name].join(' '));
}
