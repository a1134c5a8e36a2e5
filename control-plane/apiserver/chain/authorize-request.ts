import { internalError } from '#api/errors/status.ts';
import type { Attributes, Authorizer, Decision } from './authz/authorizer.ts';
import { impersonationOf, type Impersonation } from './impersonate.ts';
import type { ApiRequest, User } from '#control-plane/apiserver/serve/request.ts';
import type { Route } from './route.ts';
import { attributesOf, denial } from './attributes.ts';

/** Told what is decided. */
export interface DecisionRecord {
  impersonates(user: User, mode: string): void;
  decided(decision: Decision): void;
}

/** A request whose user has said who they are, and what it asks for. */
export interface Asked {
  readonly record: DecisionRecord | undefined;
  readonly request: ApiRequest;
  readonly route: Route;
  readonly user: User;
}

/** The user as whom the request is done: another one than who asks, where that may be. @throws {E_API} 403 */
export function impersonate(authorizer: Authorizer, asked: Asked): User | Promise<User> {
  const impersonation = impersonationOf(asked.request);
  return impersonation === undefined ? asked.user : impersonatedUser(authorizer, asked, impersonation);
}

/** Of what is asked for in an authorizer's words. Waits only where an authorizer does. @throws {E_API} 403; 500 where an authorizer failed */
export function checkAccessTo(
  authorizer: Authorizer,
  attributes: Attributes,
  record: DecisionRecord | undefined,
): void | Promise<void> {
  const answer = authorizer.decide(attributes);
  return answer instanceof Promise
    ? answer.then((decision) => enforce(attributes, decision, record))
    : enforce(attributes, answer, record);
}

/** An authorizer that failed refuses nobody: it is not known what they may. */
function enforce(attributes: Attributes, answer: Decision, record: DecisionRecord | undefined): void {
  record?.decided(answer);
  const { decision, reason, error } = answer;
  if (decision === 'allow') return;
  throw error === undefined ? denial(attributes, reason) : internalError(error);
}

/** @throws {E_API} 403 where the user lacks one of the rights that it takes, in the words of constrained impersonation */
async function impersonatedUser(
  authorizer: Authorizer,
  { request, route, user, record }: Asked,
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
  record?.impersonates(impersonation.user, impersonation.mode);
  return impersonation.user;
}
