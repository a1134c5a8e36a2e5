import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { JsonObject } from '#api/meta/object.ts';
import { proxyFields } from './proxy-fields.ts';
import { proxyWithoutEffect, readProxyConfiguration, readProxySettings } from './proxy-configuration.ts';

const head = 'apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n';
const byDefault = {
  mode: undefined,
  clusterCidr: undefined,
  health: { host: '', port: 10_256 },
  metrics: { host: '127.0.0.1', port: 10_249 },
  hasLocalhostNodePorts: true,
  masqueradesAll: false,
  nodePortAddresses: [],
  sysctls: {},
};

test.each<[string, JsonObject, object]>([
  ['nothing', {}, {}],
  [
    'what kubeadm writes',
    { mode: '', clusterCIDR: '', healthzBindAddress: '', iptables: { syncPeriod: '0s' } },
    {},
  ],
  ['a mode', { mode: 'iptables' }, { mode: 'iptables' }],
  [
    'networks',
    { clusterCIDR: '10.244.0.0/16,fd00:1::/56' },
    { clusterCidr: ['10.244.0.0/16', 'fd00:1::/56'] },
  ],
  ['all addresses', { metricsBindAddress: '0.0.0.0:10249' }, { metrics: { host: '', port: 10_249 } }],
  ['another port', { healthzBindAddress: '192.0.2.1:8080' }, { health: { host: '192.0.2.1', port: 8080 } }],
  ['IPv6', { metricsBindAddress: '[::1]:9000' }, { metrics: { host: '::1', port: 9000 } }],
  ['IPv6 without a port', { metricsBindAddress: '::' }, { metrics: { host: '', port: 10_249 } }],
  [
    'no node ports on loopback',
    { iptables: { localhostNodePorts: false } },
    { hasLocalhostNodePorts: false },
  ],
  [
    'masquerade',
    { mode: 'iptables', iptables: { masqueradeAll: true } },
    { mode: 'iptables', masqueradesAll: true },
  ],
  [
    "masquerade of another mode's",
    { mode: 'iptables', nftables: { masqueradeAll: true } },
    { mode: 'iptables' },
  ],
  ['primary', { nodePortAddresses: ['primary'] }, { nodePortAddresses: ['primary'] }],
  ['networks of node ports', { nodePortAddresses: ['10.0.0.0/8'] }, { nodePortAddresses: ['10.0.0.0/8'] }],
  [
    'times of connections',
    {
      conntrack: {
        tcpEstablishedTimeout: '24h',
        udpTimeout: '0s',
        udpStreamTimeout: '500ms',
        tcpBeLiberal: true,
      },
    },
    {
      sysctls: {
        nf_conntrack_tcp_timeout_established: '86400',
        nf_conntrack_udp_timeout_stream: '1',
        nf_conntrack_tcp_be_liberal: '1',
      },
    },
  ],
])('%s', (_name, given, want) => {
  expect(readProxySettings(given)).toEqual({ ...byDefault, ...want });
});

test.each<[string, string]>([
  ['mode: ipvs', 'mode: there is no "ipvs"; take nftables or iptables'],
  ['nodePortAddresses: [primary, 10.0.0.0/8]', 'nodePortAddresses: "primary" is not a network'],
  ['clusterCIDR: 10.0.0.0', 'clusterCIDR: "10.0.0.0" is not a network'],
  ['metricsBindAddress: here', 'metricsBindAddress: "here" is not an address with a port'],
  [
    'metricsBindAddress: 127.0.0.1:70000',
    'metricsBindAddress: "127.0.0.1:70000" is not an address with a port',
  ],
  ['modes: iptables', 'modes: unknown field'],
  ['iptables: {localhostNodePort: false}', 'iptables.localhostNodePort: unknown field'],
])('%s is refused', (text, message) => {
  const directory = mkdtempSync(join(tmpdir(), 'proxy-config-'));
  const file = join(directory, 'proxy.yaml');
  writeFileSync(file, `${head}${text}\n`);
  try {
    expect(() => readProxyConfiguration(file)).toThrow(`read ${file}: ${message}`);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('names what has no effect', () => {
  expect(
    proxyWithoutEffect({ mode: 'nftables', bindAddress: '0.0.0.0', iptables: { masqueradeBit: 14 } }),
  ).toEqual([]);
  expect(proxyWithoutEffect({ configSyncPeriod: '1m', nftables: { masqueradeBit: 3 } })).toEqual([
    'configSyncPeriod: "1m" has no effect: Services are watched',
    'nftables.masqueradeBit: 3 has no effect: it is bit 14',
  ]);
});

test('has all fields of 1.36', () => expect(Object.keys(proxyFields)).toHaveLength(24));
