import { expect, it } from 'vitest';
import { startTestServer } from '#control-plane/apiserver/test-server.fixture.ts';
import { AuthenticationCounts, userLabel } from './authentication-counts.ts';

it('AuthenticationCounts count by result, and few names', () => {
  const counts = new AuthenticationCounts();
  counts.count('success', 0.003, 'admin');
  counts.count('success', 100, 'system:node:n1');
  counts.count('error', 0.0005);
  const read = (name: string): unknown => counts.metrics.find((metric) => metric.name === name)?.read();
  expect(read('authenticated_user_requests')).toEqual([
    { labels: { username: 'admin' }, value: 1 },
    { labels: { username: 'other' }, value: 1 },
  ]);
  expect(read('authentication_attempts')).toEqual([
    { labels: { result: 'error' }, value: 1 },
    { labels: { result: 'success' }, value: 2 },
  ]);
  const metricName = 'authentication_duration_seconds_bucket';
  expect(read('authentication_duration_seconds')).toContainEqual({
    ...{ labels: { result: 'success', le: '0.004' }, value: 1, metricName },
  });
  expect(read('authentication_duration_seconds')).toContainEqual({
    ...{ labels: { result: 'success', le: '+Inf' }, value: 2, metricName },
  });
});

it.each([
  ['admin', 'admin'],
  ['jane@example.com', 'email_id'],
  ['system:serviceaccount:kube-system:default', 'system:serviceaccount:kube-system:default'],
  ['system:serviceaccount:a:b', 'other'],
])('userLabel() of %s', (user, want) => {
  expect(userLabel(user)).toBe(want);
});

it('a server shows them', async () => {
  await using test = await startTestServer();

  const metrics = await test.call('GET', '/metrics');
  expect(String(metrics.text)).toMatch(/^authentication_attempts\{result="success"\} \d+$/m);
});
