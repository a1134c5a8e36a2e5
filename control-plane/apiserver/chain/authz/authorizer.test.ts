import { describe, expect, it } from 'vitest';
import { conformAuthorizer } from './authorizer.conformance.ts';
import { describeDenial, unionOf, type Attributes, type Authorizer, type Decision } from './authorizer.ts';

import { systemClock } from '#base/clock.ts';
import { emptyBooks } from './access-books.ts';
import { createAuthorizer, createAuthorizers } from './authorizers.ts';

const parts = emptyBooks();
parts.rbac.putRole('', 'reader', [{ verbs: ['list'], apiGroups: [''], resources: ['pods'] }]);
parts.rbac.putBinding({
  metadata: { name: 'b' },
  roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'reader' },
  subjects: [{ kind: 'User', name: 'alice' }],
});
for (const authorizer of createAuthorizers({ books: parts, clock: systemClock }))
  conformAuthorizer(() => authorizer);
conformAuthorizer(() => createAuthorizer({ books: parts, clock: systemClock }));

const attributes: Attributes = {
  kind: 'resource',
  user: { name: 'bob', groups: [] },
  ...{ verb: 'get', group: '', resource: 'pods', subresource: '', namespace: 'n', name: 'p' },
};
const allow: Decision = { decision: 'allow', reason: 'yes' };
const deny: Decision = { decision: 'deny', reason: 'no' };
const unsure = (reason: string): Decision => ({ decision: 'noOpinion', reason });

const unions: readonly {
  readonly name: string;
  readonly given: readonly Decision[];
  readonly want: Decision;
  readonly asked: number;
}[] = [
  { name: 'nobody', given: [], want: unsure(''), asked: 0 },
  { name: 'the first who allows', given: [allow, deny], want: allow, asked: 1 },
  { name: 'the first who denies', given: [deny, allow], want: deny, asked: 1 },
  { name: 'the one with an opinion', given: [unsure('a'), allow], want: allow, asked: 2 },
  {
    name: 'nobody with an opinion, with all reasons',
    given: [unsure('a'), unsure(''), unsure('b')],
    want: unsure('a\nb'),
    asked: 3,
  },
];

describe('unionOf()', () => {
  it.each(unions)('is of the opinion of $name', async ({ given, want, asked }) => {
    for (const isLate of [false, true]) {
      let count = 0;
      const rulesOf = (): never => expect.unreachable();
      const made = given.map((decision, index): Authorizer => ({
        name: `a${index}`,
        decide: () => {
          count++;
          return isLate ? Promise.resolve(decision) : decision;
        },
        rulesOf,
      }));
      const answer = unionOf(made).decide(attributes);
      // Who waits for nobody need not wait here.
      expect(answer instanceof Promise).toBe(isLate && given.length > 0);
      expect(await answer).toEqual(want);
      expect(count).toBe(asked);
    }
  });
});

describe('describeDenial()', () => {
  it('ends with the reason, where there is one', () => {
    const plain = 'User "bob" cannot get resource "pods" in API group "" in the namespace "n"';
    expect(describeDenial(attributes)).toBe(plain);
    expect(describeDenial(attributes, 'no relationship found')).toBe(`${plain}: no relationship found`);
  });
});
