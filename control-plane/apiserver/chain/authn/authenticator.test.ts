import { describe, expect, it } from 'vitest';
import type { ApiRequest, User } from '#control-plane/apiserver/serve/request.ts';
import { anybody } from './anonymous.ts';
import { createAuthentication } from './authenticate.ts';
import {
  describeErrors,
  meantForServer,
  refused,
  unionOf,
  type Authenticator,
  type Finding,
  type TokenAuthenticator,
} from './authenticator.ts';
import { bearerToken } from './bearer-token.ts';

const request: ApiRequest = {
  method: 'GET',
  path: '/api',
  query: new URLSearchParams(),
  headers: {},
  caller: { kind: 'network' },
  readBody: async () => new Uint8Array(),
  signal: new AbortController().signal,
};
const bob: User = { name: 'bob', groups: ['devs'] };
const found: Finding = { user: bob };

const rows: readonly {
  readonly name: string;
  readonly given: readonly Finding[];
  readonly want: Finding;
  readonly asked: number;
}[] = [
  { name: 'nobody asked', given: [], want: undefined, asked: 0 },
  { name: 'nobody shows anything', given: [undefined, undefined], want: undefined, asked: 2 },
  { name: 'the first who knows', given: [undefined, found, refused('late')], want: found, asked: 2 },
  { name: 'one who knows after one who refused', given: [refused('a'), found], want: found, asked: 2 },
  {
    name: 'all that is wrong',
    given: [refused('a', 'b'), undefined, refused('c')],
    want: refused('a', 'b', 'c'),
    asked: 3,
  },
];

describe.each(['at once', 'waiting'])('unionOf(), %s', (how) => {
  it.each(rows)('$name', async ({ given, want, asked }) => {
    let calls = 0;
    const authenticators = given.map((finding): Authenticator => ({
      name: 'a',
      authenticate: () => {
        calls++;
        return how === 'at once' ? finding : Promise.resolve(finding);
      },
    }));
    const answer = unionOf(authenticators).authenticate(request);
    if (how === 'at once') expect(answer).not.toBeInstanceOf(Promise);
    expect(await answer).toEqual(want);
    expect(calls).toBe(asked);
  });
});

describe('createAuthentication()', () => {
  const authentication = (finding: Finding, access = anybody): ReturnType<typeof createAuthentication> =>
    createAuthentication({
      apiAudiences: ['here'],
      isIdentityHeader: () => false,
      anonymous: () => access,
      tokens: { name: 't', authenticateToken: () => finding },
      authenticators: [{ name: 'a', authenticate: () => finding }],
    });
  const conditional = { enabled: true, paths: ['/healthz'] };

  it.each<{ name: string; given: Finding; access?: typeof anybody; path?: string; want: User | 401 }>([
    {
      name: 'who is known is of that group',
      given: found,
      want: { ...bob, groups: ['devs', 'system:authenticated'] },
    },
    {
      name: 'who a proxy says is nobody stays nobody',
      given: { user: { name: 'system:anonymous', groups: ['system:unauthenticated'] } },
      want: { name: 'system:anonymous', groups: ['system:unauthenticated'] },
    },
    {
      name: 'a group of nobody is kept',
      given: { user: { name: 'x', groups: ['system:unauthenticated'] } },
      want: { name: 'x', groups: ['system:unauthenticated'] },
    },
    {
      name: 'none',
      given: undefined,
      want: { name: 'system:anonymous', groups: ['system:unauthenticated'] },
    },
    { name: 'bad ones are not none', given: refused('x'), want: 401 },
    {
      name: 'none where some are needed',
      given: undefined,
      access: { enabled: false, paths: [] },
      want: 401,
    },
    {
      name: 'none, on a path that is closed',
      given: undefined,
      access: conditional,
      path: '/healthz/',
      want: 401,
    },
    {
      name: 'none, on a path that is open',
      given: undefined,
      access: conditional,
      path: '/healthz',
      want: { name: 'system:anonymous', groups: ['system:unauthenticated'] },
    },
  ])('$name', async ({ given, access = anybody, path = '/api', want }) => {
    const ask = async (): Promise<User> =>
      (await authentication(given, access).authenticate({ ...request, path })).user;
    if (want === 401) await expect(ask()).rejects.toThrow('Unauthorized');
    else expect(await ask()).toEqual(want);
  });

  it('tells reviews what upstream tells', async () => {
    const review = async (finding: Finding): Promise<string> => {
      const answer = await authentication(finding).reviewToken('t', ['here']);
      return answer.user === undefined ? describeErrors(answer.errors) : answer.user.name;
    };
    expect(await review(found)).toBe('bob');
    expect(await review(undefined)).toBe('invalid bearer token');
    expect(await review(refused('invalid bearer token'))).toBe('invalid bearer token');
    expect(await review(refused('a', 'b', 'a'))).toBe('[invalid bearer token, a, b]');
  });
});

it('meantForServer() knows no audience but the server’s', async () => {
  const inner: TokenAuthenticator = { name: 't', authenticateToken: () => found };
  const one = meantForServer(inner, ['here', 'there']);
  expect(await one.authenticateToken('t', ['x', 'there'])).toEqual({ user: bob, audiences: ['there'] });
  expect(await one.authenticateToken('t', ['x'])).toBeUndefined();
});

it.each([
  ['Bearer x', 'x'],
  ['bEaReR x', 'x'],
  ['  Bearer x  ', 'x'],
  ['Bearer x y', 'x'],
  ['Bearer  x', undefined],
  ['Bearer ', undefined],
  ['Bearer', undefined],
  ['Basic x', undefined],
  ['', undefined],
  [undefined, undefined],
])('bearerToken(%j) is %j', (given, want) => {
  expect(bearerToken(given)).toBe(want);
});
