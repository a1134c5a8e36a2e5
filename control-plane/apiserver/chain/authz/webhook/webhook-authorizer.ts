import type { Clock } from '#base/clock.ts';
import { describeError } from '#base/errors.ts';
import { ExpiringMap } from '#base/expiring-map.ts';
import type { Webhook } from '#client/webhook.ts';
import type { Attributes, Authorizer, Decision } from '#control-plane/apiserver/chain/authz/authorizer.ts';
import { nothing } from '#control-plane/apiserver/chain/authz/privileged.ts';
import { readAccessAnswer, renderAccessReview, type ReviewVersion } from './access-question.ts';
import { matchConditions } from './match-conditions.ts';

/** How a webhook is asked (apiserver.config.k8s.io/v1, WebhookConfiguration). */
export interface WebhookRules {
  readonly name: string;
  readonly version: ReviewVersion;
  /** How long an answer holds; 0: it is asked each time. */
  readonly authorizedTtlMs: number;
  readonly unauthorizedTtlMs: number;
  /** What becomes of a question that it does not answer. */
  readonly failurePolicy: 'NoOpinion' | 'Deny';
  /** Expressions that all hold of what it is asked about; it has no opinion on the rest. */
  readonly matchConditions: readonly string[];
}

/** Answers kept, as upstream. */
const answersMax = 8192;
/** What a user can make long: beyond that an answer is not kept (maxControlledAttrCacheSize, in characters). */
const keyLengthMax = 10_000;
const unlisted = 'webhook authorizer does not support user rule resolution';

/** Asks a program outside; what it allows and denies holds for a while. */
export function webhookAuthorizer(
  rules: WebhookRules,
  { webhook, clock }: { readonly webhook: Pick<Webhook, 'call'>; readonly clock: Clock },
): Authorizer {
  const answers = new ExpiringMap<string, Decision>(answersMax);
  const isAsked = matchConditions(rules.matchConditions);
  const ask = async (attributes: Attributes, key: string): Promise<Decision> => {
    try {
      const decision = readAccessAnswer(await webhook.call(renderAccessReview(attributes, rules.version)));
      const ttlMs = decision.decision === 'allow' ? rules.authorizedTtlMs : rules.unauthorizedTtlMs;
      if (controlledLength(attributes) < keyLengthMax)
        answers.set(key, decision, { ttlMs, nowMs: clock.monotonic() });
      return decision;
    } catch (error) {
      return unanswered(rules.failurePolicy, describeError(error));
    }
  };
  return {
    name: rules.name,
    decide: (attributes) => {
      const matching = isAsked(attributes);
      if (matching === 'notAll') return { decision: 'noOpinion', reason: '' };
      if (matching !== 'all') return unanswered(rules.failurePolicy, matching.error);
      const key = keyOf(attributes);
      return answers.get(key, clock.monotonic()) ?? ask(attributes, key);
    },
    rulesOf: () => ({ ...nothing, incomplete: true, evaluationError: unlisted }),
  };
}

/** Whoever it fails to answer about gets an internal error, unless another authorizer allows it. */
function unanswered(policy: WebhookRules['failurePolicy'], error: string): Decision {
  return { decision: policy === 'Deny' ? 'deny' : 'noOpinion', reason: '', error };
}

function keyOf(attributes: Attributes): string {
  return JSON.stringify(renderAccessReview(attributes, 'v1')['spec']);
}

function controlledLength(attributes: Attributes): number {
  const texts =
    attributes.kind === 'path'
      ? [attributes.path, attributes.verb]
      : [
          ...[attributes.namespace, attributes.verb, attributes.group, attributes.version ?? ''],
          ...[attributes.resource, attributes.subresource, attributes.name],
          ...(attributes.labelSelector?.requirements ?? []).flatMap(({ key, values }) => [key, ...values]),
          ...(attributes.fieldSelector ?? []).flatMap(({ field, value }) => [field, value]),
        ];
  return texts.reduce((sum, text) => sum + text.length, 0);
}
