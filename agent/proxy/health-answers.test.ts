import { describe, expect, test } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { answerNodeCheck, answerServiceCheck, isNodeEligible, planCheckHosts } from './health-answers.ts';
import { createProxyHealth } from './proxy-health.ts';

const check = { namespace: 'd', name: 'web', port: 30_999, localEndpoints: 2 };

describe('answerServiceCheck()', () => {
  test.each([
    ['endpoints here', 2, true, 200],
    ['none here', 0, true, 503],
    ['the proxy lags', 2, false, 503],
  ])('%s', (_name, localEndpoints, isHealthy, status) => {
    const answer = answerServiceCheck({ ...check, localEndpoints }, isHealthy);
    expect(answer.status).toBe(status);
    expect(answer.headers['X-Load-Balancing-Endpoint-Weight']).toBe(String(localEndpoints));
    expect(JSON.parse(answer.body)).toEqual({
      service: { namespace: 'd', name: 'web' },
      localEndpoints,
      serviceProxyHealthy: isHealthy,
    });
  });
});

describe('answerNodeCheck()', () => {
  const [healthy, late] = [true, false].map((isHealthy) => ({ isHealthy, lastUpdatedMs: 1_000 }));
  test.each([
    ['/healthz', healthy, true, 200, { lastUpdated: 2, nodeEligible: true }],
    ['/healthz', healthy, false, 503, { lastUpdated: 1, nodeEligible: false }],
    ['/healthz', late, true, 503, { lastUpdated: 1, nodeEligible: true }],
    ['/livez', healthy, false, 200, { lastUpdated: 2 }],
    ['/livez', late, false, 503, { lastUpdated: 1 }],
  ] as const)('%s, %o, eligible: %s', (path, state, isEligible, status, { lastUpdated, ...rest }) => {
    const answer = answerNodeCheck(path, state ?? { isHealthy: false, lastUpdatedMs: 0 }, {
      isEligible,
      nowMs: 2_000,
    });
    expect(answer.status).toBe(status);
    expect(JSON.parse(answer.body)).toEqual({
      lastUpdated: `1970-01-01T00:00:0${lastUpdated}.000Z`,
      currentTime: '1970-01-01T00:00:02.000Z',
      ...rest,
    });
  });

  test('another path', () => {
    const state = { isHealthy: true, lastUpdatedMs: 0 };
    expect(answerNodeCheck('/metrics', state, { isEligible: true, nowMs: 0 }).status).toBe(404);
  });
});

test('isNodeEligible() is false for a node that is about to go', () => {
  expect(isNodeEligible(undefined)).toBe(true);
  expect(isNodeEligible({ metadata: { name: 'n' } })).toBe(true);
  expect(isNodeEligible({ metadata: { deletionTimestamp: '2026-01-01T00:00:00Z' } })).toBe(false);
  const taints = [{ key: 'ToBeDeletedByClusterAutoscaler', effect: 'NoSchedule' }] as const;
  expect(isNodeEligible({ spec: { taints } })).toBe(false);
});

test('the proxy is unhealthy when a change has waited for a minute, and healthy again once it is in', () => {
  const clock = createFakeClock();
  const health = createProxyHealth(clock);
  expect(health.state().isHealthy).toBe(true);
  health.noteQueued();
  clock.advance(40_000);
  health.noteQueued();
  expect(health.state().isHealthy).toBe(true);
  clock.advance(20_000);
  expect(health.state().isHealthy).toBe(false);
  health.noteUpdated();
  expect(health.state()).toEqual({ isHealthy: true, lastUpdatedMs: 60_000 });
});

describe('planCheckHosts()', () => {
  const own = ['127.0.0.1', '192.0.2.1', '198.51.100.1', '::1', '2001:db8::1'];
  test.each([
    ['one family', [4], [], [{ host: '0.0.0.0' }]],
    ['both', [4, 6], [], [{ host: '::' }]],
    ['all of both', [4, 6], ['0.0.0.0/0', '::/0'], [{ host: '::' }]],
    ['a network', [4], ['192.0.2.0/24', '127.0.0.0/8'], [{ host: '127.0.0.1' }, { host: '192.0.2.1' }]],
    [
      'a network of one of both',
      [4, 6],
      ['192.0.2.0/24'],
      [{ host: '192.0.2.1' }, { host: '::', ipv6Only: true }],
    ],
    ['a network of the other', [4, 6], ['2001:db8::/64'], [{ host: '0.0.0.0' }, { host: '2001:db8::1' }]],
    ['a network that the node is not in', [4], ['203.0.113.0/24'], []],
  ] as const)('%s', (_name, families, cidrs, want) =>
    expect(planCheckHosts(families, cidrs, own)).toEqual(want),
  );
});
