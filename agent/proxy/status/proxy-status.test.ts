import { expect, test } from 'vitest';
import type { EndpointSlice } from '#api/generated/objects.ts';
import { triggerTimeAnnotation } from '#api/meta/trigger-time.ts';
import { createFakeClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { RequestsAsked } from '#client/requests/requests-asked.ts';
import { endpoint, local, localPolicy, ports } from '#agent/proxy/services.fixture.ts';
import type { Transport, TransportRequest } from '#client/transport.ts';
import { ProxyCounts, type Restore } from './proxy-counts.ts';
import { answerProxyStatus, type ProxyStatus } from './serve-proxy-status.ts';

const status = (counts = new ProxyCounts([4], 0)): ProxyStatus => ({
  at: { host: '127.0.0.1', port: 10_249 },
  mode: 'iptables',
  configuration: { clusterCIDR: '10.244.0.0/16' },
  counts,
  asked: new RequestsAsked('api:6443', createFakeClock()),
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

const since = (addressType: 'IPv4' | 'IPv6', seconds: number): EndpointSlice => ({
  metadata: { annotations: { [triggerTimeAnnotation]: new Date(seconds * 1000).toISOString() } },
  addressType,
  endpoints: [],
});

const restored = (more: Partial<Restore>): Restore => ({
  ...{ isWhole: false, isRefused: false, ms: 1 },
  ...{ written: new Map(), total: new Map(Object.entries({ nat: 20, filter: 9 })) },
  ...more,
});

test('counts what happened', () => {
  const counts = new ProxyCounts([4, 6], 1_000);
  counts.noteChange('service', 5_000);
  counts.noteChange('endpoint', 6_000);
  counts.noteEndpoints(since('IPv4', 6.5));
  counts.noteEndpoints(since('IPv4', 0.5)); // Before there was a proxy.
  counts.noteEndpoints(since('IPv6', 5));
  counts.noteEndpoints({ addressType: 'IPv4', endpoints: [] });
  counts.noteSync(3, 7_000);
  counts.noteSync(100_000, 8_000);
  counts.noteChange('endpoint', 9_000);
  counts.noteRestore(4, restored({ isWhole: true, ms: 3 }));
  counts.noteRestore(4, restored({ written: new Map([['nat', 2]]) }));
  counts.noteRestore(6, restored({ isRefused: true }));
  counts.noteFlush(6, { ms: 1.5, deleted: 3 });
  counts.noteCheck('/healthz', 200);
  counts.noteCheck('/livez', 503);
  counts.notePorts('d/web', 4, ports(localPolicy, [endpoint('10.244.1.5')]));
  counts.notePorts('d/here', 4, ports(localPolicy, [local]));
  const text = answerProxyStatus('/metrics', status(counts)).body;
  for (const line of [
    'kubeproxy_sync_proxy_rules_duration_seconds_bucket{ip_family="IPv4",le="0.002"} 0',
    'kubeproxy_sync_proxy_rules_duration_seconds_bucket{ip_family="IPv4",le="0.004"} 1',
    'kubeproxy_sync_proxy_rules_duration_seconds_bucket{ip_family="IPv4",le="16.384"} 1',
    'kubeproxy_sync_proxy_rules_duration_seconds_bucket{ip_family="IPv4",le="+Inf"} 2',
    'kubeproxy_sync_proxy_rules_duration_seconds_count{ip_family="IPv6"} 2',
    'kubeproxy_sync_proxy_rules_last_timestamp_seconds{ip_family="IPv4"} 8',
    'kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds{ip_family="IPv4"} 9',
    'kubeproxy_sync_proxy_rules_service_changes_total 1',
    'kubeproxy_sync_proxy_rules_service_changes_pending 0',
    'kubeproxy_sync_proxy_rules_endpoint_changes_total 2',
    'kubeproxy_sync_proxy_rules_endpoint_changes_pending 1',
    'kubeproxy_sync_proxy_rules_iptables_restore_failures_total{ip_family="IPv6"} 1',
    'kubeproxy_sync_proxy_rules_iptables_restore_failures_total{ip_family="IPv4"} 0',
    'kubeproxy_sync_proxy_rules_iptables_partial_restore_failures_total{ip_family="IPv6"} 1',
    'kubeproxy_sync_full_proxy_rules_duration_seconds_bucket{ip_family="IPv4",le="0.004"} 1',
    'kubeproxy_sync_full_proxy_rules_duration_seconds_count{ip_family="IPv6"} 0',
    'kubeproxy_sync_partial_proxy_rules_duration_seconds_count{ip_family="IPv4"} 1',
    'kubeproxy_sync_partial_proxy_rules_duration_seconds_count{ip_family="IPv6"} 1',
    'kubeproxy_sync_proxy_rules_iptables_total{ip_family="IPv4",table="nat"} 20',
    'kubeproxy_sync_proxy_rules_iptables_total{ip_family="IPv4",table="filter"} 9',
    'kubeproxy_sync_proxy_rules_iptables_last{ip_family="IPv4",table="nat"} 2',
    'kubeproxy_sync_proxy_rules_iptables_last{ip_family="IPv4",table="filter"} 0',
    'kubeproxy_conntrack_reconciler_deleted_entries_total{ip_family="IPv6"} 3',
    'kubeproxy_conntrack_reconciler_sync_duration_seconds_bucket{ip_family="IPv6",le="0.002"} 1',
    'kubeproxy_conntrack_reconciler_sync_duration_seconds_count{ip_family="IPv4"} 0',
    'kubeproxy_sync_proxy_rules_no_local_endpoints_total{ip_family="IPv4",traffic_policy="external"} 1',
    'kubeproxy_sync_proxy_rules_no_local_endpoints_total{ip_family="IPv4",traffic_policy="internal"} 0',
    'kubeproxy_sync_proxy_rules_no_local_endpoints_total{ip_family="IPv6",traffic_policy="external"} 0',
    'kubeproxy_network_programming_duration_seconds_bucket{ip_family="IPv4",le="0"} 0',
    'kubeproxy_network_programming_duration_seconds_bucket{ip_family="IPv4",le="0.5"} 1',
    'kubeproxy_network_programming_duration_seconds_bucket{ip_family="IPv4",le="300"} 1',
    'kubeproxy_network_programming_duration_seconds_count{ip_family="IPv4"} 1',
    'kubeproxy_network_programming_duration_seconds_count{ip_family="IPv6"} 1',
    'kubeproxy_proxy_healthz_total{code="200"} 1',
    'kubeproxy_proxy_livez_total{code="503"} 1',
  ])
    expect(text.split('\n')).toContain(line);
});

test('tells its version, its process, and what it asked of the API server', async () => {
  const asked = new RequestsAsked('api:6443', createFakeClock());
  const answering = { request: async () => ({ status: 200 }), [Symbol.asyncDispose]: async () => undefined };
  await asked.of(answering as unknown as Transport).request({ method: 'GET' } as TransportRequest);
  const lines = answerProxyStatus('/metrics', { ...status(), asked }).body.split('\n');
  expect(lines).toContain('rest_client_requests_total{code="200",host="api:6443",method="GET"} 1');
  expect(lines.filter((line) => line.startsWith('kubernetes_build_info{'))).toHaveLength(1);
  const ofProcess = 'cpu_seconds_total max_fds open_fds resident_memory_bytes start_time_seconds'.split(' ');
  for (const name of [...ofProcess, 'virtual_memory_bytes', 'network_receive_bytes_total'])
    expect(lines.filter((line) => line.startsWith(`process_${name} `))).toHaveLength(1);
  // Each line is of one family, and no family is there twice.
  const types = lines.filter((line) => line.startsWith('# TYPE'));
  expect(new Set(types).size).toBe(types.length);
  expect(lines.slice(0, -1)).not.toContain('');
});

test('of nftables, what iptables alone has is not told', () => {
  const counts = new ProxyCounts([4], 0);
  counts.noteFailure();
  const text = counts.render('nftables');
  expect(text).toContain('kubeproxy_sync_proxy_rules_nftables_sync_failures_total{ip_family="IPv4"} 1\n');
  expect(text).toContain('kubeproxy_conntrack_reconciler_deleted_entries_total{ip_family="IPv4"} 0\n');
  expect(text).not.toMatch(/iptables|full|partial/);
});
