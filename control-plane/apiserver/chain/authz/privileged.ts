import type { User } from '#control-plane/apiserver/serve/request.ts';
import type { Authorizer, Rules } from './authorizer.ts';

/** The group that may do everything, whatever is configured or stored (authorizerfactory.NewPrivilegedGroups). */
export const masters = 'system:masters';

/** Of a user who may do everything. */
export const everything: Rules = {
  resourceRules: [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }],
  nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }],
  incomplete: false,
};
export const nothing: Rules = { resourceRules: [], nonResourceRules: [], incomplete: false };

/** Asked first of all: nobody can lock out who holds the cluster's own certificate. */
export const privilegedAuthorizer: Authorizer = {
  name: 'Privileged',
  decide: ({ user }) => ({ decision: isMaster(user) ? 'allow' : 'noOpinion', reason: '' }),
  rulesOf: (user) => (isMaster(user) ? everything : nothing),
};

function isMaster({ groups }: User): boolean {
  return groups.includes(masters);
}
