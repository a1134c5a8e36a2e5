import { describe, expect, it, vi } from 'vitest';
import type { ClusterRoleBinding, RbacV1Subject } from '#api/generated/objects.ts';
import type { Attributes } from '#control-plane/apiserver/chain/authz/authorizer.ts';
import { conformAuthorizer } from '#control-plane/apiserver/chain/authz/authorizer.conformance.ts';
import { rbacAuthorizer } from './rbac-authorizer.ts';
import { describeGrant, RbacBook } from './rbac-book.ts';

const alice = { name: 'alice', groups: ['g', 'system:authenticated'] };
const pods = { kind: 'resource', group: '', resource: 'pods', subresource: '', name: '' } as const;
const asks = (namespace: string, user = alice): Attributes => ({ ...pods, user, verb: 'list', namespace });
const reads = [{ verbs: ['list'], apiGroups: [''], resources: ['pods'] }];

function binding(
  name: string,
  namespace: string,
  subject: RbacV1Subject,
  role = 'reader',
): ClusterRoleBinding {
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role };
  return { metadata: { name, ...(namespace === '' ? {} : { namespace }) }, roleRef, subjects: [subject] };
}

function book(...bindings: readonly ClusterRoleBinding[]): RbacBook {
  const made = new RbacBook();
  made.putRole('', 'reader', reads);
  for (const one of bindings) made.putBinding(one);
  return made;
}

const through = (made: RbacBook, attributes: Attributes): string | undefined => {
  const found = made.find(attributes);
  return found && describeGrant(found.grant);
};

describe('RbacBook', () => {
  const account = { name: 'system:serviceaccount:n:a', groups: [] };
  it.each([
    [
      'a user',
      binding('b', '', { kind: 'User', name: 'alice' }),
      asks('n'),
      'ClusterRoleBinding "b" of ClusterRole "reader" to User "alice"',
    ],
    [
      'a group',
      binding('b', '', { kind: 'Group', name: 'g' }),
      asks(''),
      'ClusterRoleBinding "b" of ClusterRole "reader" to Group "g"',
    ],
    [
      'in its namespace',
      binding('b', 'n', { kind: 'User', name: 'alice' }),
      asks('n'),
      'RoleBinding "b/n" of ClusterRole "reader" to User "alice"',
    ],
    ['in another namespace', binding('b', 'm', { kind: 'User', name: 'alice' }), asks('n'), undefined],
    ['everywhere', binding('b', 'n', { kind: 'User', name: 'alice' }), asks(''), undefined],
    [
      'an account',
      binding('b', 'n', { kind: 'ServiceAccount', name: 'a', namespace: 'n' }),
      asks('n', account),
      'RoleBinding "b/n" of ClusterRole "reader" to ServiceAccount "a/n"',
    ],
    [
      'an account of the binding’s own',
      binding('b', 'n', { kind: 'ServiceAccount', name: 'a' }),
      asks('n', account),
      'RoleBinding "b/n" of ClusterRole "reader" to ServiceAccount "a/n"',
    ],
    [
      'an account of no namespace',
      binding('b', '', { kind: 'ServiceAccount', name: 'a' }),
      asks('n', account),
      undefined,
    ],
    [
      'an account called like a user',
      binding('b', '', { kind: 'ServiceAccount', name: 'alice', namespace: 'n' }),
      asks('n'),
      undefined,
    ],
    [
      'a role that is not there',
      binding('b', '', { kind: 'User', name: 'alice' }, 'nope'),
      asks('n'),
      undefined,
    ],
  ] as const)('%s', (_name, given, asked, want) => expect(through(book(given), asked)).toBe(want));

  it('follows roles and bindings as they come, change and go', () => {
    const made = new RbacBook();
    const bound = binding('b', '', { kind: 'User', name: 'alice' });
    made.putBinding(bound);
    expect(through(made, asks('n'))).toBeUndefined();
    made.putRole('', 'reader', reads);
    expect(through(made, asks('n'))).toBeDefined();
    made.putRole('', 'reader', []);
    expect(through(made, asks('n'))).toBeUndefined();
    made.putRole('', 'reader', reads);
    made.removeBinding(bound);
    expect(through(made, asks('n'))).toBeUndefined();
    made.putBinding(bound);
    made.removeRole('', 'reader');
    expect(made.held(alice, '')).toEqual([]);
  });

  it('looks once at a role, however many bindings of one group there are', () => {
    const made = book();
    for (let index = 0; index < 1_000; index++)
      made.putBinding(binding(`b${index}`, 'n', { kind: 'Group', name: 'g' }));
    const looked = vi.spyOn(made, 'rulesOfRole');
    expect(made.find({ ...asks('n'), verb: 'delete' })).toBeUndefined();
    expect(looked).toHaveBeenCalledTimes(1);
    for (let index = 0; index < 999; index++)
      made.removeBinding(binding(`b${index}`, 'n', { kind: 'Group', name: 'g' }));
    expect(through(made, asks('n'))).toContain('"b999/n"');
  });

  it('looks at no binding of others, of which there are 10,000', () => {
    const own = binding('own', 'n', { kind: 'User', name: 'alice' });
    const made = book(own);
    for (let index = 0; index < 10_000; index++) {
      made.putBinding(binding(`b${index}`, 'n', { kind: 'User', name: `u${index}` }));
    }
    const looked = vi.spyOn(made, 'rulesOfRole');
    expect(through(made, asks('n'))).toBeDefined();
    expect(looked).toHaveBeenCalledTimes(1);
  });
});

conformAuthorizer(() => rbacAuthorizer(book(binding('b', '', { kind: 'User', name: 'alice' }))));
