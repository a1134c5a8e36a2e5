import { authenticatedAuthorizer } from './authenticated-authorizer.ts';
import { unionOf, type Authorizer } from './authorizer.ts';
import { publicPathsAuthorizer } from './public-paths-authorizer.ts';

/** Who is asked, in this order. */
export const authorizers: readonly Authorizer[] = [authenticatedAuthorizer, publicPathsAuthorizer];

/** The one that everybody asks: requests, upgrades, impersonation, reviews. */
export function createAuthorizer(): Authorizer {
  return unionOf(authorizers);
}
