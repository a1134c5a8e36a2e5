import type { FieldMatcher } from '#api/meta/field-selector.ts';
import type { LabelMatcher } from '#api/meta/selector.ts';
import type { User } from '#control-plane/apiserver/serve/request.ts';

/** What is to be done, in the words of an authorizer. */
export type Attributes = ResourceAttributes | PathAttributes;

export interface ResourceAttributes {
  readonly kind: 'resource';
  readonly user: User;
  /** `get`, `list`, `impersonate`, …; in a review any word. */
  readonly verb: string;
  readonly group: string;
  /** For webhooks; '' or nothing where it is not known. */
  readonly version?: string | undefined;
  readonly resource: string;
  /** '' for the object itself. */
  readonly subresource: string;
  /** '' for cluster-scoped kinds and for all namespaces. */
  readonly namespace: string;
  /** '' for all of a collection. */
  readonly name: string;
  /** What a list, watch or deletion of a collection is limited to; undefined without, and where it cannot be read. */
  readonly labelSelector?: LabelMatcher | undefined;
  readonly fieldSelector?: FieldMatcher | undefined;
}

export interface PathAttributes {
  readonly kind: 'path';
  readonly user: User;
  /** The method in small letters; in a review any word. */
  readonly verb: string;
  readonly path: string;
}

/** An answer. `deny` ends the question, `noOpinion` leaves it to the next; nobody's opinion is a refusal. */
export interface Decision {
  readonly decision: 'allow' | 'deny' | 'noOpinion';
  /** For who is refused, or who reads a review; '' where there is nothing to add. */
  readonly reason: string;
  /** What kept it from knowing better: who is not allowed is told of that, as an internal error, and not that they may not. */
  readonly error?: string | undefined;
}

/** What a user may do, as far as it can be listed (authorization/v1 SubjectRulesReviewStatus). */
export interface Rules {
  readonly resourceRules: readonly ResourceRule[];
  readonly nonResourceRules: readonly NonResourceRule[];
  /** Whether it may do more than is listed. */
  readonly incomplete: boolean;
  /** Why, where somebody cannot list what it allows. */
  readonly evaluationError?: string | undefined;
}

export interface ResourceRule {
  readonly verbs: readonly string[];
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
}

export interface NonResourceRule {
  readonly verbs: readonly string[];
  readonly nonResourceURLs: readonly string[];
}

/** Somebody who has an opinion on who may do what. Asked for every request: answers at once wherever it can. */
export interface Authorizer {
  readonly name: string;
  /** Never throws and never rejects: what could not be looked up is no opinion, with a reason. */
  decide(attributes: Attributes): Decision | Promise<Decision>;
  /** Who denies something takes it out of nobody's list: of whom it denies, its own is incomplete. */
  rulesOf(user: User, namespace: string): Rules | Promise<Rules>;
}

/** The first opinion counts. Answers at once unless one that is asked waits. */
export function unionOf(authorizers: readonly Authorizer[]): Authorizer {
  return {
    name: 'union',
    decide: (attributes) => decideFrom(authorizers, attributes, 0, []),
    rulesOf: async (user, namespace) =>
      joinRules(await Promise.all(authorizers.map((authorizer) => authorizer.rulesOf(user, namespace)))),
  };
}

/**
 * From the one at this place on.
 * @param before what those said who had no opinion, where they said anything
 */
function decideFrom(
  authorizers: readonly Authorizer[],
  attributes: Attributes,
  start: number,
  before: readonly Decision[],
): Decision | Promise<Decision> {
  let said = before;
  for (let at = start; at < authorizers.length; at++) {
    const answer = authorizers[at]?.decide(attributes);
    if (answer instanceof Promise) {
      const saidBefore = said;
      return answer.then((late) =>
        late.decision === 'noOpinion'
          ? decideFrom(authorizers, attributes, at + 1, withSaid(saidBefore, late))
          : late,
      );
    }
    if (answer === undefined) continue;
    if (answer.decision !== 'noOpinion') return answer;
    said = withSaid(said, answer);
  }
  return nobodysOpinion(said);
}

function withSaid(before: readonly Decision[], answer: Decision): readonly Decision[] {
  const isSilent = answer.reason === '' && answer.error === undefined;
  return isSilent ? before : [...before, answer];
}

function nobodysOpinion(answers: readonly Decision[]): Decision {
  const error = aggregate(answers.map((answer) => answer.error));
  const reasons = answers.map(({ reason }) => reason).filter((reason) => reason !== '');
  return { decision: 'noOpinion', reason: reasons.join('\n'), ...(error === undefined ? {} : { error }) };
}

/** As Go's errors.Aggregate is written: one as it is, several in brackets. */
function aggregate(errors: readonly (string | undefined)[]): string | undefined {
  const said = [...new Set(errors.filter((error) => error !== undefined))];
  return said.length > 1 ? `[${said.join(', ')}]` : said[0];
}

function joinRules(all: readonly Rules[]): Rules {
  const evaluationError = aggregate(all.map((rules) => rules.evaluationError));
  return {
    resourceRules: all.flatMap((rules) => rules.resourceRules),
    nonResourceRules: all.flatMap((rules) => rules.nonResourceRules),
    incomplete: all.some((rules) => rules.incomplete),
    ...(evaluationError === undefined ? {} : { evaluationError }),
  };
}

/** `User "bob" cannot get resource "pods/log" in API group "" in the namespace "default"`, with the reason where there is one. */
export function describeDenial(attributes: Attributes, reason = ''): string {
  return reason === '' ? denialOf(attributes) : `${denialOf(attributes)}: ${reason}`;
}

function denialOf(attributes: Attributes): string {
  const who = `User ${JSON.stringify(attributes.user.name)}`;
  if (attributes.kind === 'path')
    return `${who} cannot ${attributes.verb} path ${JSON.stringify(attributes.path)}`;
  const { verb, group, resource, subresource, namespace } = attributes;
  const what = JSON.stringify(subresource === '' ? resource : `${resource}/${subresource}`);
  const where = namespace === '' ? 'at the cluster scope' : `in the namespace ${JSON.stringify(namespace)}`;
  return `${who} cannot ${verb} resource ${what} in API group ${JSON.stringify(group)} ${where}`;
}
