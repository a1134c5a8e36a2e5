import { authenticated } from '#control-plane/apiserver/chain/authn/groups.ts';
import type { Authorizer } from './authorizer.ts';

/** What anybody may ask, as the ClusterRole system:public-info-viewer says. */
const publicPaths: readonly string[] = ['/healthz', '/livez', '/readyz', '/version', '/version/'];
const paths: ReadonlySet<string> = new Set(publicPaths);

/** Whether the server is well, and which it is, for who did not say who they are: the others may more. */
export const publicPathsAuthorizer: Authorizer = {
  name: 'PublicPaths',
  decide: (attributes) => {
    const isPublic = attributes.kind === 'path' && attributes.verb === 'get' && paths.has(attributes.path);
    return { decision: isPublic && !isKnown(attributes.user.groups) ? 'allow' : 'noOpinion', reason: '' };
  },
  rulesOf: ({ groups }) => ({
    resourceRules: [],
    nonResourceRules: isKnown(groups) ? [] : [{ verbs: ['get'], nonResourceURLs: publicPaths }],
    incomplete: false,
  }),
};

function isKnown(groups: readonly string[]): boolean {
  return groups.includes(authenticated);
}
