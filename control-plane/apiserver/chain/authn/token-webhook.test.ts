import { describe, expect, it } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { PodwrightError } from '#base/errors.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type { Finding, TokenAuthenticator } from './authenticator.ts';
import { refused } from './authenticator.ts';
import { tokenWebhookAuthenticator } from './token-webhook.ts';

const answerOf = (status: unknown): JsonObject => ({ status });
const bob = { authenticated: true, user: { username: 'bob', uid: 'u', groups: ['g'], extra: { a: ['b'] } } };
const user = { name: 'bob', uid: 'u', groups: ['g'], extra: { a: ['b'] } };

interface Asked {
  readonly authenticator: TokenAuthenticator;
  readonly questions: JsonObject[];
  readonly clock: ReturnType<typeof createFakeClock>;
}
function start(answer: (count: number) => JsonObject | Promise<JsonObject>, cacheTtlMs = 120_000): Asked {
  const questions: JsonObject[] = [];
  const clock = createFakeClock();
  const call = async (question: JsonObject): Promise<JsonObject> => {
    questions.push(question);
    return answer(questions.length);
  };
  const parts = { webhook: { call }, clock, apiAudiences: ['api', 'api2'] };
  return { authenticator: tokenWebhookAuthenticator({ version: 'v1', cacheTtlMs }, parts), questions, clock };
}

describe('tokenWebhookAuthenticator()', () => {
  it.each<{ name: string; status: unknown; want: Finding }>([
    { name: 'a user', status: bob, want: { user, audiences: ['api'] } },
    { name: 'audiences', status: { ...bob, audiences: ['x', 'api'] }, want: { user, audiences: ['api'] } },
    { name: 'other audiences', status: { ...bob, audiences: ['x'] }, want: undefined },
    { name: 'nobody', status: { authenticated: false }, want: undefined },
    { name: 'nobody, and why', status: { error: 'no' }, want: refused('no') },
    { name: 'nothing', status: undefined, want: undefined },
    { name: 'yes in words', status: { ...bob, authenticated: 'true' }, want: undefined },
    {
      name: 'no name',
      status: { authenticated: true, user: {} },
      want: refused('the token webhook names no user'),
    },
    {
      name: 'odd fields',
      status: { authenticated: true, user: { username: 'x', groups: 5, extra: 'y', uid: 1 } },
      want: { user: { name: 'x', groups: [] }, audiences: ['api'] },
    },
  ])('takes $name', async ({ status, want }) => {
    const { authenticator, questions } = start(() => answerOf(status));
    expect(await authenticator.authenticateToken('t', ['api'])).toEqual(want);
    expect(questions).toEqual([
      {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenReview',
        spec: { token: 't', audiences: ['api'] },
      },
    ]);
  });

  it.each([
    ['who is known', bob],
    ['who is not', { authenticated: false }],
  ])('remembers %s for a while, by token and audiences', async (_, status) => {
    const { authenticator, questions, clock } = start(() => answerOf(status));
    const ask = async (token: string, audience = 'api'): Promise<Finding> =>
      authenticator.authenticateToken(token, [audience]);
    await ask('a');
    await ask('a');
    expect(questions).toHaveLength(1);
    await ask('a', 'api2');
    await ask('b');
    expect(questions).toHaveLength(3);
    clock.advance(120_000);
    await ask('a');
    expect(questions).toHaveLength(4);
  });

  it('asks once for those who ask at once, and again after no answer', async () => {
    const { promise, resolve } = Promise.withResolvers<JsonObject>();
    const { authenticator, questions } = start((count) => {
      if (count === 1) return promise;
      throw new PodwrightError('E_CONNECTION', 'Post "https://x": away');
    });
    const ask = async (): Promise<Finding> => authenticator.authenticateToken('t', ['api']);
    const both = [ask(), ask()];
    resolve(answerOf(undefined));
    expect(await Promise.all(both)).toEqual([undefined, undefined]);
    expect(questions).toHaveLength(1);
    const other = async (): Promise<Finding> => authenticator.authenticateToken('u', ['api']);
    expect(await other()).toEqual(refused('Post "https://x": away'));
    await other();
    expect(questions).toHaveLength(3);
  });

  it('asks each time where nothing is to be remembered', async () => {
    const { authenticator, questions } = start(() => answerOf(bob), 0);
    await authenticator.authenticateToken('t', ['api']);
    await authenticator.authenticateToken('t', ['api']);
    expect(questions).toHaveLength(2);
  });
});
