import type { ServerContext } from '#control-plane/apiserver/server-context.ts';
import { authenticatedAuthorizer } from './authenticated.ts';
import { unionOf, type Authorizer } from './authorizer.ts';
import { publicPathsAuthorizer } from './public-paths.ts';

/** What an authorizer may go by, beside what it is asked. */
export type AuthorizerParts = Pick<ServerContext, 'registry' | 'clock' | 'logger'>;

/** Who is asked, in this order. */
const makers: readonly ((parts: AuthorizerParts) => Authorizer)[] = [
  () => authenticatedAuthorizer,
  () => publicPathsAuthorizer,
];

export function createAuthorizers(parts: AuthorizerParts): readonly Authorizer[] {
  return makers.map((make) => make(parts));
}

/** The one that everybody asks: requests, upgrades, impersonation, reviews. */
export function createAuthorizer(parts: AuthorizerParts): Authorizer {
  return unionOf(createAuthorizers(parts));
}
