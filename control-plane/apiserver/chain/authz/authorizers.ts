import type { AccessBooks } from './access-books.ts';
import { unionOf, type Authorizer } from './authorizer.ts';
import { authenticatedAuthorizer } from './authenticated.ts';
import { defaultModes, type AuthorizationMode } from './modes.ts';
import { nodeAuthorizer } from './node/node-authorizer.ts';
import { everything, nothing, privilegedAuthorizer } from './privileged.ts';
import { publicPathsAuthorizer } from './public-paths.ts';
import { rbacAuthorizer } from './rbac/rbac-authorizer.ts';

const makers: Readonly<Record<AuthorizationMode, (books: AccessBooks) => Authorizer>> = {
  Node: ({ nodes, nodeRules }) => nodeAuthorizer(nodes, nodeRules),
  RBAC: ({ rbac }) => rbacAuthorizer(rbac),
  AlwaysAllow: () => ({
    name: 'AlwaysAllow',
    decide: () => ({ decision: 'allow', reason: '' }),
    rulesOf: () => everything,
  }),
  AlwaysDeny: () => ({
    name: 'AlwaysDeny',
    decide: () => ({ decision: 'noOpinion', reason: 'Everything is forbidden.' }),
    rulesOf: () => nothing,
  }),
  /** Whoever said who they are may do everything, and anybody may ask whether the server is well. */
  Authenticated: () => unionOf([authenticatedAuthorizer, publicPathsAuthorizer]),
};

/** Each of those who are asked, in order. */
export function createAuthorizers(
  books: AccessBooks,
  modes: readonly AuthorizationMode[] = defaultModes,
): readonly Authorizer[] {
  return [privilegedAuthorizer, ...modes.map((mode) => makers[mode](books))];
}

/** The one that everybody asks: requests, upgrades, impersonation, reviews. */
export function createAuthorizer(books: AccessBooks, modes?: readonly AuthorizationMode[]): Authorizer {
  return unionOf(createAuthorizers(books, modes));
}
