import type { User } from '#control-plane/apiserver/serve/request.ts';
import { anonymous, authenticated } from '#control-plane/apiserver/chain/authn/groups.ts';
import type { Authorizer } from './authorizer.ts';
import { everything, nothing } from './privileged.ts';

/** Whoever said who they are may do everything. What there was before RBAC, for who wants no walls. */
export const authenticatedAuthorizer: Authorizer = {
  name: 'Authenticated',
  decide: ({ user }) => ({ decision: isKnown(user) ? 'allow' : 'noOpinion', reason: '' }),
  rulesOf: (user) => (isKnown(user) ? everything : nothing),
};

/**
 * Whether requests of that user are of one who is known. A review may name a user without the groups that each request of theirs has
 * (clients ask about a service account by its name alone): the answer must be that of the requests.
 */
function isKnown({ name, groups }: User): boolean {
  if (groups.includes(authenticated)) return true;
  return name !== '' && name !== anonymous.name && !anonymous.groups.some((group) => groups.includes(group));
}
