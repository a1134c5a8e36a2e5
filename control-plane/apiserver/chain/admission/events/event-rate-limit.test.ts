import { expect, it } from 'vitest';
import type { FakeClock } from '#base/clock.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import { ask, contextWith } from '#control-plane/apiserver/chain/admission/admission.fixture.ts';
import { createBuckets } from './buckets.ts';
import { eventRateLimit } from './event-rate-limit.ts';
import { parseRateLimits, type LimitType } from './rate-limits.ts';

const [events, newer] = [builtIn('', 'v1', 'events'), builtIn('events.k8s.io', 'v1', 'events')];
const head = { apiVersion: 'eventratelimit.admission.k8s.io/v1alpha1', kind: 'Configuration' };
const about = (name: string): object => ({ kind: 'Pod', namespace: 'n', name, uid: 'u', apiVersion: 'v1' });
const event = (name: string) => ({
  metadata: { name: 'e', namespace: 'n' },
  ...{ source: { component: 'kubelet', host: 'a' }, involvedObject: about(name) },
});

it.each<{ readonly type: LimitType; readonly key: string; readonly other: string; readonly want: number }>([
  { type: 'Server', key: '', other: 'everything', want: 0 },
  { type: 'Namespace', key: 'n', other: 'a user', want: 0 },
  { type: 'User', key: 'alice', other: 'a user', want: 1 },
  { type: 'SourceAndObject', key: 'kubeletaPodnpuv1', other: 'an object', want: 1 },
])('EventRateLimit by $type refuses what is too much of "$key", for a while', async ({ type, key, want }) => {
  const context = await contextWith([]);
  const plugin = eventRateLimit([{ type, qps: 2, burst: 3, cacheSize: 10 }]);
  const write = (object = event('p'), more: object = {}) =>
    ask(context, plugin, { kind: events, object, ...more });
  // An update counts as well, and so does an event of the newer group; a dry run does not.
  await write();
  await write(event('p'), { old: event('p') });
  await write(event('p'), { dryRun: true });
  const { metadata, source, involvedObject } = event('p');
  await write({ metadata, deprecatedSource: source, regarding: involvedObject } as never, { kind: newer });
  const refused = { code: 429, message: `Too many requests: limit reached on type ${type} for key ${key}` };
  expect(await write()).toEqual(refused);
  const others = await write(event('q'), { user: { name: 'bob', groups: [] } });
  expect('object' in others ? 1 : 0).toBe(want);
  (context.clock as FakeClock).advance(1000);
  expect(await write()).toHaveProperty('object');
  expect(await write()).toHaveProperty('object');
  if (want === 1) expect(await write()).toEqual(refused);
});

it('createBuckets() forgets who has taken nothing for longest', () => {
  const buckets = createBuckets({ perSecond: 1, burst: 1, countMax: 2 });
  const taken = ['a', 'b', 'a', 'c', 'a', 'b', 'x'.repeat(1000), 'x'.repeat(1000)].map((key) =>
    buckets.take(key, 0),
  );
  // b was forgotten for c.
  expect(taken).toEqual([true, true, false, true, false, true, true, false]);
});

it('parseRateLimits() fills in the size of the cache', () => {
  const limits = [{ type: 'Namespace', qps: 50, burst: 100 }];
  expect(parseRateLimits({ ...head, limits })).toEqual([{ ...limits[0], cacheSize: 4096 }]);
});

it.each([
  [{ limits: [] }, 'limits: must not be empty'],
  [
    { limits: Array.from({ length: 65 }, () => ({ type: 'Server', qps: 1, burst: 1 })) },
    'limits: must be 64 at most',
  ],
  [{}, 'limits: must not be empty'],
  [{ kind: 'Other', limits: [] }, 'kind: "Other", not "Configuration"'],
  [{ apiVersion: 'v1', limits: [] }, 'apiVersion: "v1"'],
  [{ limits: [{ type: 'Node', qps: 1, burst: 1 }] }, 'limits[0].type: must be one of Server, Namespace'],
  [{ limits: [{ type: 'Server', qps: 0, burst: 1 }] }, 'limits[0].qps: must be positive'],
  [{ limits: [{ type: 'Server', qps: 1 }] }, 'limits[0].burst: must be positive'],
  [
    { limits: [{ type: 'User', qps: 1, burst: 1, cacheSize: -1 }] },
    'limits[0].cacheSize: must not be negative',
  ],
  [
    { limits: [{ type: 'User', qps: 1, burst: 1, cacheSize: 2e6 }] },
    'limits[0].cacheSize: must be 1000000 at most',
  ],
  [{ limits: [{ type: 'User', qps: 1.5, burst: 1 }] }, 'limits[0].qps: not an integer'],
  [{ limits: [{ type: 'User', qps: 1, burst: 3e9 }] }, 'limits[0].burst: must be 2147483647 at most'],
  [{ limits: [{ type: 'User', qps: 1, burst: 1, more: 1 }] }, 'limits[0].more: unknown field'],
])('parseRateLimits() refuses %j', (given, want) => {
  expect(() => parseRateLimits({ ...head, ...given })).toThrow(want);
});
