import { tooManyRequests } from '#api/errors/status.ts';
import { at, stringOf } from '#api/wire/json.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import type {
  AdmissionPlugin,
  AdmissionRequest,
} from '#control-plane/apiserver/chain/admission/admission.ts';
import { writes } from '#control-plane/apiserver/chain/admission/made.ts';
import { createBuckets } from './buckets.ts';
import type { LimitType, RateLimit } from './rate-limits.ts';

/** One kind of object under two names. Upstream counts those that come as the first only, and who writes too many writes the other. */
const events = [builtIn('', 'v1', 'events'), builtIn('events.k8s.io', 'v1', 'events')];

/**
 * Events are written no faster than the limits say (plugin/pkg/admission/eventratelimit), so that one who tells all the time leaves the
 * server time for others. A server counts for itself.
 */
export function eventRateLimit(limits: readonly RateLimit[]): AdmissionPlugin {
  const counted = limits.map(({ type, qps, burst, cacheSize }) => ({
    type,
    buckets: createBuckets({
      perSecond: qps,
      burst,
      countMax: type === 'Server' ? 1 : cacheSize,
    }),
  }));
  return {
    name: 'EventRateLimit',
    handles: (attributes) =>
      !attributes.dryRun && events.some((kind) => writes(kind, attributes)) ? 'atOnce' : 'no',
    validate: ({ clock }, request) => {
      const nowMs = clock.monotonic();
      // Each counts it, whatever another one says; the last to refuse is told.
      const refused = counted.filter(({ type, buckets }) => !buckets.take(keys[type](request), nowMs)).at(-1);
      if (refused === undefined) return;
      const { type } = refused;
      throw tooManyRequests(
        `Too many requests: limit reached on type ${type} for key ${keys[type](request)}`,
        undefined,
      );
    },
  };
}

const keys: Readonly<Record<LimitType, (request: AdmissionRequest) => string>> = {
  Server: () => '',
  Namespace: ({ attributes }) => attributes.namespace,
  User: ({ attributes }) => attributes.user.name,
  SourceAndObject: ({ object }) => {
    const source = at(object, 'source') ?? at(object, 'deprecatedSource');
    const about = at(object, 'involvedObject') ?? at(object, 'regarding');
    return [
      ...['component', 'host'].map((field) => at(source, field)),
      ...['kind', 'namespace', 'name', 'uid', 'apiVersion'].map((field) => at(about, field)),
    ]
      .map(stringOf)
      .join('');
  },
};
