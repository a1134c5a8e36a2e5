import type { User } from '#control-plane/apiserver/serve/request.ts';
import { anonymous, authenticated } from '#control-plane/apiserver/chain/authn/authenticate.ts';
import type { Authorizer, Rules } from './authorizer.ts';

const everything: Rules = {
  resourceRules: [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }],
  nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }],
  incomplete: false,
};
const nothing: Rules = { resourceRules: [], nonResourceRules: [], incomplete: false };

/** Whoever said who they are may do everything. Until there is RBAC. */
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
