import { describe, expect, it } from 'vitest';
import type { Secret, ServiceAccount } from '#api/generated/objects.ts';
import { filledSecret, planTokenSecret, withoutReference } from './plan.ts';

const account: ServiceAccount = { metadata: { namespace: 'n', name: 'a', uid: 'u' } };
const base64 = (text: string): string => Buffer.from(text).toString('base64');
const data = { 'ca.crt': base64('PEM'), namespace: base64('n'), token: base64('t') };
const secretOf = (annotations: Record<string, string>, more: Partial<Secret> = {}): Secret => ({
  metadata: { namespace: 'n', name: 's', annotations },
  type: 'kubernetes.io/service-account-token',
  ...more,
});
const named = { 'kubernetes.io/service-account.name': 'a' };
const both = { ...named, 'kubernetes.io/service-account.uid': 'u' };

describe('planTokenSecret()', () => {
  it.each<{ name: string; secret: Secret; account?: ServiceAccount | undefined; want: object }>([
    {
      name: 'a new one is filled',
      secret: secretOf(named),
      account,
      want: { kind: 'fill', account, needsToken: true },
    },
    {
      name: 'one that is whole is left',
      secret: secretOf(both, { data }),
      account,
      want: { kind: 'nothing' },
    },
    {
      name: 'one with an older authority gets the new one, and keeps its token',
      secret: secretOf(both, { data: { ...data, 'ca.crt': base64('old') } }),
      account,
      want: { kind: 'fill', account, needsToken: false },
    },
    {
      name: 'one whose token was taken out gets another',
      secret: secretOf(both, { data: { ...data, token: '' } }),
      account,
      want: { kind: 'fill', account, needsToken: true },
    },
    {
      name: 'one whose account has gone is removed',
      secret: secretOf(both),
      account: undefined,
      want: { kind: 'remove' },
    },
    {
      name: 'one of another account of that name is removed',
      secret: secretOf({ ...named, 'kubernetes.io/service-account.uid': 'v' }, { data }),
      account,
      want: { kind: 'remove' },
    },
    {
      name: 'one that is being deleted is left',
      secret: {
        ...secretOf(both),
        metadata: { ...secretOf(both).metadata, deletionTimestamp: '2026-01-01T00:00:00Z' },
      },
      account: undefined,
      want: { kind: 'nothing' },
    },
  ])('$name', ({ secret, account: found, want }) => {
    expect(planTokenSecret(secret, found, 'PEM')).toEqual(want);
  });
});

it('filledSecret() keeps what is there', () => {
  const secret = secretOf({ ...named, mine: 'x' }, { data: { mine: base64('y') } });
  expect(filledSecret(secret, { account, token: 't', rootCaPem: 'PEM' })).toEqual({
    ...secretOf({ ...both, mine: 'x' }),
    data: { ...data, mine: base64('y') },
  });
});

it('withoutReference() takes out that Secret alone', () => {
  const naming = { ...account, secrets: [{ name: 's' }, { name: 't' }] };
  expect(withoutReference(naming, 's')?.secrets).toEqual([{ name: 't' }]);
  expect(withoutReference(naming, 'x')).toBeUndefined();
});
