import { internalError } from '#api/errors/status.ts';
import type { Attributes, Authorizer, Decision } from './authz/authorizer.ts';
import { impersonationOf } from './impersonate.ts';
import type { Needed, Way } from './impersonation-ways.ts';
import type { ApiRequest, User } from '#control-plane/apiserver/serve/request.ts';
import { denial } from './attributes.ts';

/** Told what is decided. */
export interface DecisionRecord {
  /** @param constraint `impersonate:MODE`; '' for the way of old */
  impersonates(user: User, constraint: string): void;
  decided(decision: Decision): void;
}

/** A request whose user has said who they are, and what it asks for. */
export interface Asked {
  readonly record: DecisionRecord | undefined;
  readonly request: ApiRequest;
  readonly user: User;
  /** Looked at only where somebody wants to be somebody else. */
  readonly attributesOf: (user: User) => Attributes;
}

/** The user as whom the request is done: another one than who asks, where that may be. @throws {E_API} 403 */
export function impersonate(authorizer: Authorizer, asked: Asked): User | Promise<User> {
  const ways = impersonationOf(asked.request, asked.user);
  return ways === undefined ? asked.user : impersonatedUser(authorizer, asked, ways);
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

/** By the first way that may be taken. @throws {E_API} 403 where none may: why not the first */
async function impersonatedUser(
  authorizer: Authorizer,
  { attributesOf, user, record }: Asked,
  ways: readonly Way[],
): Promise<User> {
  const attributes = attributesOf(user);
  let refused: Error | undefined;
  for (const way of ways) {
    const refusal = await refusalOf(authorizer, way, attributes);
    if (refusal === undefined) {
      record?.impersonates(way.user, way.mode === undefined ? '' : way.verb);
      return way.user;
    }
    refused ??= refusal;
  }
  throw refused ?? internalError('all impersonation modes failed');
}

/** Why a way may not be taken, if it may not. */
async function refusalOf(
  authorizer: Authorizer,
  { mode, verb, caller, needed }: Way,
  attributes: Attributes,
): Promise<Error | undefined> {
  const ask = async (asked: Attributes): Promise<Error | undefined> => {
    const { decision, reason, error = '' } = await authorizer.decide(asked);
    if (decision === 'allow') return undefined;
    return denial(asked, [error, reason].filter((text) => text !== '').join(': '));
  };
  if (mode !== undefined) {
    const on = { ...attributes, user: caller, verb: `impersonate-on:${mode}:${attributes.verb}` };
    const refusal = await ask(on);
    if (refusal !== undefined) return refusal;
  }
  const asResource = (right: Needed['each'][number]): Attributes => ({
    ...{ kind: 'resource', user: caller, verb, version: 'v1' },
    ...right,
  });
  for (const { each, all, never } of needed) {
    const [first] = each;
    if (never !== undefined && first !== undefined) return denial(asResource(first), never);
    if (all !== undefined && (await ask(asResource(all))) === undefined) continue;
    for (const right of each) {
      const refusal = await ask(asResource(right));
      if (refusal !== undefined) return refusal;
    }
  }
  return undefined;
}
