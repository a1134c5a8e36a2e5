import { authenticated } from '#control-plane/apiserver/chain/authn/authenticate.ts';
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
  decide: ({ user }) => ({
    decision: user.groups.includes(authenticated) ? 'allow' : 'noOpinion',
    reason: '',
  }),
  rulesOf: (user) => (user.groups.includes(authenticated) ? everything : nothing),
};
