import { dnsLabel, dnsSubdomain } from '#api/validation/format.ts';
import type { User } from '#control-plane/apiserver/serve/request.ts';

/** The group of all who said who they are. */
export const authenticated = 'system:authenticated';
/** Who said nothing of themselves. */
export const anonymous: User = { name: 'system:anonymous', groups: ['system:unauthenticated'] };
/** The key of a user's extra that says by which certificate or token they came. */
export const credentialId = 'authentication.kubernetes.io/credential-id';

/** The key that says on which node the pod is whose token somebody showed. */
export const nodeNameKey = 'authentication.kubernetes.io/node-name';

/** The account that a user is; undefined for who is none, and for names that no account has (serviceaccount.SplitUsername). */
export function accountOf(user: string): { readonly namespace: string; readonly name: string } | undefined {
  const [, namespace = '', name = ''] = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(user) ?? [];
  const isOne = namespace !== '' && dnsLabel(namespace).length === 0 && dnsSubdomain(name).length === 0;
  return isOne ? { namespace, name } : undefined;
}

/** The groups of the service accounts of a namespace. */
export function serviceAccountGroups(namespace: string): readonly string[] {
  return ['system:serviceaccounts', `system:serviceaccounts:${namespace}`];
}

/** The user, in that group too. */
export function withGroup(user: User, group: string): User {
  return user.groups.includes(group) ? user : { ...user, groups: [...user.groups, group] };
}

/** Who a service account is, without a token of it. */
export function serviceAccount(namespace: string, name: string): User {
  return {
    name: `system:serviceaccount:${namespace}:${name}`,
    groups: [...serviceAccountGroups(namespace), authenticated],
  };
}
