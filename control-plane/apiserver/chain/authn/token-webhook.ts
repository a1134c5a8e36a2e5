import { createHash } from 'node:crypto';
import type { JsonObject } from '#api/meta/object.ts';
import { at, isObject, listOf, objectOf, stringOf } from '#api/wire/json.ts';
import type { Clock } from '#base/clock.ts';
import { describeError } from '#base/errors.ts';
import { ExpiringMap } from '#base/expiring-map.ts';
import type { Webhook } from '#client/webhook.ts';
import type { User } from '#control-plane/apiserver/serve/request.ts';
import { refused, type Finding, type TokenAuthenticator } from './authenticator.ts';

/** A program outside that is asked about tokens (`--authentication-token-webhook-*`; authentication.k8s.io TokenReview). */
export interface TokenWebhookRules {
  readonly version: 'v1' | 'v1beta1';
  /** How long an answer holds, whether it knows the token or not; 0: it is asked each time. */
  readonly cacheTtlMs: number;
}

export interface TokenWebhookParts {
  readonly webhook: Pick<Webhook, 'call'>;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly apiAudiences: readonly string[];
}

/** Answers kept; each holds a digest of its token, never the token. */
const answersMax = 4096;
/** What a user is made of, of an answer that nobody here wrote. */
const partsMax = 1000;

/** Who it is that a program outside says a token is of. Answers hold for a while; failures to answer do not. */
export function tokenWebhookAuthenticator(
  { version, cacheTtlMs: ttlMs }: TokenWebhookRules,
  { webhook, clock, apiAudiences }: TokenWebhookParts,
): TokenAuthenticator {
  const answers = new ExpiringMap<string, { readonly finding: Finding }>(answersMax);
  const asked = new Map<string, Promise<Finding>>();
  const ask = async (key: string, token: string, audiences: readonly string[]): Promise<Finding> => {
    const review = {
      apiVersion: `authentication.k8s.io/${version}`,
      kind: 'TokenReview',
      spec: { token, audiences },
    };
    try {
      const finding = readAnswer(await webhook.call(review), audiences, apiAudiences);
      answers.set(key, { finding }, { ttlMs, nowMs: clock.monotonic() });
      return finding;
    } catch (error) {
      return refused(describeError(error));
    } finally {
      asked.delete(key);
    }
  };
  return {
    name: 'token webhook',
    authenticateToken: (token, audiences) => {
      const key = createHash('sha256')
        .update(JSON.stringify([token, audiences]))
        .digest('base64');
      const known = answers.get(key, clock.monotonic());
      if (known !== undefined) return known.finding;
      // Who asks about the same token meanwhile waits for the same answer.
      const underWay = asked.get(key) ?? ask(key, token, audiences);
      asked.set(key, underWay);
      return underWay;
    },
  };
}

/** Pure. */
function readAnswer(answer: JsonObject, wanted: readonly string[], apiAudiences: readonly string[]): Finding {
  const status = objectOf(answer['status']);
  if (status['authenticated'] !== true) {
    const error = stringOf(status['error']);
    return error === '' ? undefined : refused(error);
  }
  const named = listOf(status['audiences']).map(stringOf);
  // One that says nothing of audiences knows none but the server's.
  const own = named.length === 0 ? apiAudiences : named;
  const audiences = wanted.filter((audience) => own.includes(audience));
  if (audiences.length === 0) return undefined;
  const user = readUser(objectOf(status['user']));
  return user === undefined ? refused('the token webhook names no user') : { user, audiences };
}

function readUser(user: JsonObject): User | undefined {
  const name = stringOf(user['username']);
  if (name === '') return undefined;
  const uid = stringOf(user['uid']);
  const extra = isObject(user['extra'])
    ? Object.entries(user['extra'])
        .slice(0, partsMax)
        .map(([key, values]) => [key, listOf(values).map(stringOf)] as const)
    : [];
  return {
    name,
    ...(uid === '' ? {} : { uid }),
    groups: listOf(at(user, 'groups')).slice(0, partsMax).map(stringOf),
    ...(extra.length === 0 ? {} : { extra: Object.fromEntries(extra) }),
  };
}
