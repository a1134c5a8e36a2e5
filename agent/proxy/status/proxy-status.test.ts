import { expect, test } from 'vitest';
import { createFakeClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { endpoint, local, localPolicy, ports } from '#agent/proxy/services.fixture.ts';
import { ProxyCounts } from './proxy-counts.ts';
import { answerProxyStatus, type ProxyStatus } from './serve-proxy-status.ts';

const status = (counts = new ProxyCounts()): ProxyStatus => ({
  at: { host: '127.0.0.1', port: 10_249 },
  mode: 'iptables',
  configuration: { clusterCIDR: '10.244.0.0/16' },
  counts,
  clock: createFakeClock(),
  log: silentLogger,
});

test.each([
  ['/healthz', 'ok'],
  ['/livez', 'ok'],
  ['/proxyMode', 'iptables'],
  ['/configz', '{"kubeproxy.config.k8s.io":{"clusterCIDR":"10.244.0.0/16","mode":"iptables"}}'],
])('%s', (path, body) => expect(answerProxyStatus(path, status())).toMatchObject({ status: 200, body }));

test('pages for people, and none by other names', () => {
  expect(answerProxyStatus('/statusz', status()).body).toContain('kube-proxy statusz');
  expect(answerProxyStatus('/flagz', status()).body).toContain('proxy-mode=iptables');
  for (const path of ['/', '/metrics/', '/toString', '/__proto__'])
    expect(answerProxyStatus(path, status()).status).toBe(404);
});

test('counts what happened', () => {
  const counts = new ProxyCounts();
  counts.noteChange('service', 5_000);
  counts.noteChange('endpoint', 6_000);
  counts.noteSync(3, 7_000);
  counts.noteSync(100_000, 8_000);
  counts.noteChange('endpoint', 9_000);
  counts.noteFailure();
  counts.noteCheck('/healthz', 200);
  counts.noteCheck('/livez', 503);
  counts.notePorts('d/web', 4, ports(localPolicy, [endpoint('10.244.1.5')]));
  counts.notePorts('d/here', 4, ports(localPolicy, [local]));
  const text = answerProxyStatus('/metrics', status(counts)).body;
  for (const line of [
    'kubeproxy_sync_proxy_rules_duration_seconds_bucket{le="0.002"} 0',
    'kubeproxy_sync_proxy_rules_duration_seconds_bucket{le="0.004"} 1',
    'kubeproxy_sync_proxy_rules_duration_seconds_bucket{le="16.384"} 1',
    'kubeproxy_sync_proxy_rules_duration_seconds_bucket{le="+Inf"} 2',
    'kubeproxy_sync_proxy_rules_duration_seconds_count 2',
    'kubeproxy_sync_proxy_rules_last_timestamp_seconds 8',
    'kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds 9',
    'kubeproxy_sync_proxy_rules_service_changes_total 1',
    'kubeproxy_sync_proxy_rules_service_changes_pending 0',
    'kubeproxy_sync_proxy_rules_endpoint_changes_total 2',
    'kubeproxy_sync_proxy_rules_endpoint_changes_pending 1',
    'kubeproxy_sync_proxy_rules_iptables_restore_failures_total 1',
    'kubeproxy_sync_proxy_rules_no_local_endpoints{traffic_policy="external"} 1',
    'kubeproxy_sync_proxy_rules_no_local_endpoints{traffic_policy="internal"} 0',
    'kubeproxy_proxy_healthz_total{code="200"} 1',
    'kubeproxy_proxy_livez_total{code="503"} 1',
  ])
    expect(text.split('\n')).toContain(line);
});
