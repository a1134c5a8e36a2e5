import type { Attributes, Authorizer, Decision } from './authz/authorizer.ts';
import { impersonationOf, type Impersonation } from './impersonate.ts';
import type { ApiRequest, User } from '#control-plane/apiserver/serve/request.ts';
import type { Route } from './route.ts';
import { attributesOf, denial } from './attributes.ts';

/** A request whose user has said who they are, and what it asks for. */
export interface Asked {
  readonly request: ApiRequest;
  readonly route: Route;
  readonly user: User;
}

/** The user as whom the request is done: another one than who asks, where that may be. @throws {E_API} 403 */
export function impersonate(authorizer: Authorizer, asked: Asked): User | Promise<User> {
  const impersonation = impersonationOf(asked.request);
  return impersonation === undefined ? asked.user : impersonatedUser(authorizer, asked, impersonation);
}

/** Waits only where an authorizer does. @throws {E_API} 403 */
export function checkAccess(authorizer: Authorizer, { request, route, user }: Asked): void | Promise<void> {
  return checkAccessTo(authorizer, attributesOf(request, route, user));
}

/** As `checkAccess`, of what is asked for in an authorizer's words. @throws {E_API} 403 */
export function checkAccessTo(authorizer: Authorizer, attributes: Attributes): void | Promise<void> {
  const answer = authorizer.decide(attributes);
  return answer instanceof Promise
    ? answer.then((decision) => enforce(attributes, decision))
    : enforce(attributes, answer);
}

function enforce(attributes: Attributes, { decision, reason }: Decision): void {
  if (decision !== 'allow') throw denial(attributes, reason);
}

/** @throws {E_API} 403 where the user lacks one of the rights that it takes, in the words of constrained impersonation */
async function impersonatedUser(
  authorizer: Authorizer,
  { request, route, user }: Asked,
  impersonation: Impersonation,
): Promise<User> {
  for (const needed of impersonation.needed) {
    const { decision, reason } = await authorizer.decide({
      ...needed,
      kind: 'resource',
      user,
      verb: 'impersonate',
    });
    if (decision === 'allow') continue;
    const attributes = attributesOf(request, route, user);
    throw denial({ ...attributes, verb: `impersonate-on:${impersonation.mode}:${attributes.verb}` }, reason);
  }
  return impersonation.user;
}
