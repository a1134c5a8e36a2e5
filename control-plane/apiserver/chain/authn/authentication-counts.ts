import { BucketCounts } from '#base/counts/bucket-counts.ts';
import { TokenUseCounts } from './token-uses.ts';
import { histogramSamples, type ReadMetric } from '#control-plane/apiserver/serve/read-metric.ts';

/** How finding out who asks ended: somebody, or nobody in particular; nobody where somebody is needed; credentials that are no good. */
export type AuthenticationResult = 'success' | 'failure' | 'error';

const results: readonly AuthenticationResult[] = ['error', 'failure', 'success'];
/** Seconds: 1 ms, twice as much, … (apiserver/pkg/endpoints/filters, metrics.go). */
const bounds: readonly number[] = Array.from({ length: 15 }, (_none, at) => 0.001 * 2 ** at);
/** Users whose name is told; others are one of two kinds, so that there are no more series than these. */
const namedUsers: ReadonlySet<string> = new Set([
  'admin',
  'client',
  'kube_proxy',
  'kubelet',
  'system:serviceaccount:kube-system:default',
]);

/** Who came, and how long it took to find out: under upstream's names. */
export class AuthenticationCounts {
  readonly #durations: Readonly<Record<AuthenticationResult, BucketCounts>> = {
    success: new BucketCounts(bounds),
    failure: new BucketCounts(bounds),
    error: new BucketCounts(bounds),
  };
  readonly #requests = new Map<string, number>();
  readonly tokens: TokenUseCounts = new TokenUseCounts();

  /** @param user by name, of a success */
  count(result: AuthenticationResult, seconds: number, user = ''): void {
    this.#durations[result].add(seconds);
    if (result !== 'success') return;
    const told = userLabel(user);
    this.#requests.set(told, (this.#requests.get(told) ?? 0) + 1);
  }

  get metrics(): readonly ReadMetric[] {
    const happened = (): readonly (readonly [AuthenticationResult, ReturnType<BucketCounts['read']>])[] =>
      results
        .map((result) => [result, this.#durations[result].read()] as const)
        .filter(([, { count }]) => count > 0);
    return [
      ...this.tokens.metrics,
      {
        name: 'authenticated_user_requests',
        help: 'Requests of whoever is known, by a few names.',
        type: 'counter',
        labelNames: ['username'],
        read: () => [...this.#requests].map(([username, value]) => ({ labels: { username }, value })),
      },
      {
        name: 'authentication_attempts',
        help: 'How finding out who asks ended.',
        type: 'counter',
        labelNames: ['result'],
        read: () => happened().map(([result, { count }]) => ({ labels: { result }, value: count })),
      },
      {
        name: durationName,
        help: 'How long it took to find out who asks, in seconds.',
        type: 'histogram',
        labelNames: ['result'],
        read: () =>
          happened().flatMap(([result, counts]) => histogramSamples(durationName, { result }, counts)),
      },
    ];
  }
}

const durationName = 'authentication_duration_seconds';

/** Pure. */
export function userLabel(user: string): string {
  if (namedUsers.has(user)) return user;
  return user.includes('@') ? 'email_id' : 'other';
}
