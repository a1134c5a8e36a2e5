import type { Authorizer, Rules } from '#control-plane/apiserver/chain/authz/authorizer.ts';
import { describeGrant, type RbacBook } from './rbac-book.ts';

/** Allows what a rule of a role allows that its user is bound to; has no opinion on anything else. */
export function rbacAuthorizer(book: RbacBook): Authorizer {
  return {
    name: 'RBAC',
    decide: (attributes) => {
      const found = book.find(attributes);
      return found === undefined
        ? { decision: 'noOpinion', reason: '' }
        : { decision: 'allow', reason: `RBAC: allowed by ${describeGrant(found.grant)}` };
    },
    rulesOf: (user, namespace): Rules => {
      const rules = book.held(user, namespace);
      return {
        resourceRules: rules.flatMap(({ verbs, apiGroups = [], resources = [], resourceNames = [] }) =>
          resources.length === 0
            ? []
            : [{ verbs, apiGroups, resources, ...(resourceNames.length === 0 ? {} : { resourceNames }) }],
        ),
        nonResourceRules: rules.flatMap(({ verbs, nonResourceURLs = [] }) =>
          nonResourceURLs.length === 0 ? [] : [{ verbs, nonResourceURLs }],
        ),
        incomplete: false,
      };
    },
  };
}
