import { createHmac, randomBytes } from 'node:crypto';
import { backoffMs, type Backoff } from '#base/backoff.ts';
import type { Clock } from '#base/clock.ts';
import { ExpiringMap } from '#base/expiring-map.ts';
import { subjectAccessReviews, tokenReviews } from '#api/schema/kind-ref.ts';
import type { SubjectAccessReviewSpec } from '#api/generated/objects.ts';
import { statusOf } from '#client/api-error.ts';
import type { ApiClient } from '#client/client.ts';

/** Who calls the kubelet. */
export interface Caller {
  readonly name: string;
  readonly uid?: string | undefined;
  readonly groups: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>> | undefined;
}

/** What the API server says of who calls and of what they may. */
export interface Reviews {
  /** undefined: the token is worth nothing. @throws when no answer came */
  callerOf(token: string): Promise<Caller | undefined>;
  /** @throws when no answer came */
  isAllowed(caller: Caller, verb: string, subresource: string): Promise<boolean>;
}

export interface ReviewsOptions {
  /** As the node, which may ask for reviews. */
  readonly client: Pick<ApiClient, 'create'>;
  readonly nodeName: string;
  readonly clock: Clock;
}

/** KubeletConfiguration: authentication.webhook.cacheTTL, authorization.webhook.cacheAuthorizedTTL and cacheUnauthorizedTTL. */
export const cacheTimes = { tokenMs: 120_000, allowedMs: 300_000, deniedMs: 30_000 } as const;
/** Answers that are kept. */
const tokensMax = 4096;
const decisionsMax = 8192;
/** What is longer than this is asked each time (webhook authorizer, maxControlledAttrCacheSize). */
const questionLengthMax = 10_000;
/** Questions on their way, for the node's own requests to go on beside whoever shows it tokens; more wait in line. */
const questionsAtOnceMax = 64;
/** A server that is being started again is asked again (DefaultAuthWebhookRetryBackoff). */
const retryBackoff: Backoff = { initialMs: 500, factor: 1.5, maxMs: 2_000 };
const triesMax = 5;

/** Asks the API server, and remembers for a while what it said. What is asked twice at once is asked once. */
export function createReviews({ client, nodeName, clock }: ReviewsOptions): Reviews {
  const secret = randomBytes(32);
  const tokens = new ExpiringMap<string, Caller | 'nobody'>(tokensMax);
  const decisions = new ExpiringMap<string, boolean>(decisionsMax);
  const callersAsked = new Map<string, Promise<Caller | undefined>>();
  const decisionsAsked = new Map<string, Promise<boolean>>();
  const inLine = createLine(questionsAtOnceMax);

  const reviewToken = async (token: string, key: string): Promise<Caller | undefined> => {
    const { status } = await persistently(clock, () => client.create(tokenReviews, { spec: { token } }));
    const { authenticated = false, error = '', user = {} } = status ?? {};
    const { username = '', uid, groups = [], extra } = user;
    const caller = authenticated ? { name: username, uid, groups, extra } : undefined;
    // Whom the server has an error to say of may be known to it in a moment.
    const ttlMs = authenticated || error === '' ? cacheTimes.tokenMs : 0;
    tokens.set(key, caller ?? 'nobody', { ttlMs, nowMs: clock.monotonic() });
    return caller;
  };
  const reviewAccess = async (spec: SubjectAccessReviewSpec, key: string): Promise<boolean> => {
    const { status } = await persistently(clock, () => client.create(subjectAccessReviews, { spec }));
    const isAllowed = status?.allowed === true;
    const ttlMs = isAllowed ? cacheTimes.allowedMs : cacheTimes.deniedMs;
    if (key.length <= questionLengthMax) decisions.set(key, isAllowed, { ttlMs, nowMs: clock.monotonic() });
    return isAllowed;
  };
  return {
    callerOf: async (token) => {
      // By a hash that nobody else can make: the memory of this process holds no tokens for longer than it must.
      const key = createHmac('sha256', secret).update(token).digest('base64');
      const known = tokens.get(key, clock.monotonic());
      if (known !== undefined) return known === 'nobody' ? undefined : known;
      return once(callersAsked, key, () => inLine(() => reviewToken(token, key)));
    },
    isAllowed: async ({ name, uid, groups, extra }, verb, subresource) => {
      const resourceAttributes = { version: 'v1', resource: 'nodes', name: nodeName, verb, subresource };
      const spec = { user: name, uid, groups, extra, resourceAttributes };
      const key = JSON.stringify(spec);
      const known = decisions.get(key, clock.monotonic());
      return known ?? once(decisionsAsked, key, () => inLine(() => reviewAccess(spec, key)));
    },
  };
}

/** At most so many at once, the others in the order in which they came. */
function createLine(atOnceMax: number): <T>(work: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async (work) => {
    if (running >= atOnceMax) await new Promise<void>((resolve) => waiting.push(resolve));
    else running += 1;
    try {
      return await work();
    } finally {
      const next = waiting.shift(); // Whose place this now is.
      if (next === undefined) running -= 1;
      else next();
    }
  };
}

function once<T>(asked: Map<string, Promise<T>>, key: string, ask: () => Promise<T>): Promise<T> {
  const running = asked.get(key);
  if (running !== undefined) return running;
  const answer = ask().finally(() => asked.delete(key));
  asked.set(key, answer);
  return answer;
}

/** Again while no answer comes, or one that says later. @throws the last error */
async function persistently<T>(clock: Clock, ask: () => Promise<T>): Promise<T> {
  for (let failures = 1; ; failures += 1) {
    try {
      return await ask();
    } catch (error) {
      const code = statusOf(error)?.code;
      const isLater = code === undefined || code === 429 || code >= 500;
      if (!isLater || failures >= triesMax) throw error;
      await clock.sleep(backoffMs(retryBackoff, failures));
    }
  }
}
