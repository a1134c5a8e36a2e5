import { describe, expect, it } from 'vitest';
import { createFakeClock, type FakeClock } from '#base/clock.ts';
import { isObject } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { conformAuthorizer } from '#control-plane/apiserver/chain/authz/authorizer.conformance.ts';
import type { Attributes } from '#control-plane/apiserver/chain/authz/authorizer.ts';
import { webhookAuthorizer, type WebhookRules } from './webhook-authorizer.ts';

const rules: WebhookRules = {
  ...{ name: 'hook', version: 'v1', failurePolicy: 'NoOpinion' },
  ...{ authorizedTtlMs: 300, unauthorizedTtlMs: 30, matchConditions: [] },
};
const question: Attributes = {
  kind: 'resource',
  ...{ user: { name: 'bob', groups: [] }, verb: 'get', group: '', resource: 'pods', subresource: '' },
  ...{ namespace: 'n', name: 'p' },
};

/** An authorizer whose webhook is a function, and how often that was called. */
function authorizerOf(
  answer: (question: JsonObject) => unknown,
  { clock = createFakeClock(), ...more }: Partial<WebhookRules> & { readonly clock?: FakeClock } = {},
): { readonly authorizer: ReturnType<typeof webhookAuthorizer>; readonly count: () => number } {
  let count = 0;
  const call = async (asked: JsonObject): Promise<JsonObject> => {
    count++;
    const status = answer(asked);
    return isObject(status) ? { status } : {};
  };
  const authorizer = webhookAuthorizer({ ...rules, ...more }, { webhook: { call }, clock });
  return { authorizer, count: () => count };
}

conformAuthorizer(() => authorizerOf(() => ({ allowed: true })).authorizer);

describe('webhookAuthorizer()', () => {
  it.each([
    ['allows', { allowed: true }, 300],
    ['does not allow', { allowed: false }, 30],
  ])('asks once for a while about what it %s', async (_, status, ttlMs) => {
    const clock = createFakeClock();
    const { authorizer, count } = authorizerOf(() => status, { clock });
    const first = await authorizer.decide(question);
    clock.advance(ttlMs - 1);
    expect(authorizer.decide(question)).toEqual(first); // At once.
    expect(count()).toBe(1);
    clock.advance(1);
    await authorizer.decide(question);
    expect(count()).toBe(2);
  });

  it('asks again about each user, name and verb, and about what is very long', async () => {
    const { authorizer, count } = authorizerOf(() => ({ allowed: true }));
    await authorizer.decide(question);
    await authorizer.decide({ ...question, verb: 'list' });
    await authorizer.decide({ ...question, user: { name: 'bob', groups: ['g'] } });
    expect(count()).toBe(3);
    const long: Attributes = {
      kind: 'path',
      user: question.user,
      verb: 'get',
      path: `/${'x'.repeat(10_000)}`,
    };
    await authorizer.decide(long);
    await authorizer.decide(long);
    expect(count()).toBe(5);
  });

  it.each([
    ['NoOpinion', 'noOpinion'],
    ['Deny', 'deny'],
  ] as const)(
    'with %s is of no other opinion when nobody answers, and says so',
    async (failurePolicy, decision) => {
      const { authorizer, count } = authorizerOf(
        () => {
          throw new Error('down');
        },
        { failurePolicy },
      );
      expect(await authorizer.decide(question)).toEqual({ decision, reason: '', error: 'down' });
      await authorizer.decide(question);
      expect(count()).toBe(2);
    },
  );

  it.each([
    ["request.user == 'eve'", { decision: 'noOpinion', reason: '' }, 0],
    ["request.user == 'bob'", { decision: 'allow', reason: '' }, 1],
    [
      "request.nonResourceAttributes.path == '/'",
      {
        ...{ decision: 'deny', reason: '' },
        error:
          "expression 'request.nonResourceAttributes.path == '/'' resulted in error: no such key: nonResourceAttributes",
      },
      0,
    ],
  ])('is asked where %s holds', async (condition, want, asked) => {
    const { authorizer, count } = authorizerOf(() => ({ allowed: true }), {
      matchConditions: [condition],
      failurePolicy: 'Deny',
    });
    expect(await authorizer.decide(question)).toEqual(want);
    expect(count()).toBe(asked);
  });

  it('cannot list what it allows', () => {
    const { authorizer } = authorizerOf(() => ({}));
    expect(authorizer.rulesOf(question.user, 'n')).toEqual({
      ...{ resourceRules: [], nonResourceRules: [], incomplete: true },
      evaluationError: 'webhook authorizer does not support user rule resolution',
    });
  });
});
