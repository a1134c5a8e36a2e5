/** What each plugin would do, as text: one file for all, so that what they share shows. `vitest -u` writes it; read the diff. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { recordCall, twoAddresses } from '#cni-plugins/fields/recording.fixture.ts';
import { createPluginRegistry } from './registry.ts';

const registry = createPluginRegistry();
const dataDir = scratchDirectory('podwright-plans-');
const ipam = twoAddresses;

const rows: readonly (readonly [type: string, config: JsonObject])[] = [
  ['bridge', { isDefaultGateway: true, ipMasq: true, ipam }],
  ['bridge', { bridge: 'ens3', isGateway: true, forceAddress: true, ipam }],
  ['bridge', { vlan: 7, preserveDefaultVlan: false, macspoofchk: true }],
  ['ptp', { ipMasq: true, mtu: 1400, ipam }],
  ['macvlan', { ipam }],
  ['macvlan', { master: 'ens4', mode: 'private', mac: '02:00:00:00:00:09', mtu: 1400 }],
  ['macvlan', { master: 'eth0', linkInContainer: true, bcqueuelen: 5000 }],
  ['ipvlan', { mode: 'l3s', ipam }],
  ['vlan', { master: 'ens3', vlanId: 5, mtu: 9000, ipam }],
  ['dummy', { ipam }],
  ['tap', { multiQueue: true, owner: 1000, group: 1000, mtu: 1400, ipam }],
  ['tap', { bridge: 'br0' }],
  [
    'ptp',
    {
      ipam: {
        type: 'static',
        addresses: [{ address: '10.1.0.2/24', gateway: '10.1.0.1' }],
        routes: [
          { dst: '10.8.0.0/16', mtu: 1300, advmss: 1200, priority: 7, table: 9 },
          { dst: '10.9.0.0/16', scope: 253 },
        ],
      },
    },
  ],
  ['host-device', { device: 'ens4', ipam }],
  ['host-device', { hwaddr: '02:00:00:00:00:04' }],
  ['host-device', { device: 'ens3', useInterfaceNetwork: true, ipam }],
  [
    'tuning',
    { sysctl: { 'net.ipv4.conf.IFNAME.log_martians': '1' }, mtu: 1300, promisc: true, txQLen: 5, dataDir },
  ],
  ['sbr', {}],
  ['sbr', { gateways: ['10.1.0.254'], addSourceHints: true }],
  ['sbr', { table: 100 }],
  ['loopback', {}],
  ['vrf', { vrfname: 'blue' }],
  ['bandwidth', { ingressRate: 8000000, ingressBurst: 80000, egressRate: 16000000, egressBurst: 80000 }],
  ['bandwidth', { runtimeConfig: { bandwidth: { ingressRate: 1000, ingressBurst: 2000 } } }],
  ['bandwidth', { ingressRate: 8000, ingressBurst: 8000, unshapedSubnets: ['10.0.0.0/8', 'fd00::/36'] }],
  [
    'bandwidth',
    {
      shapedSubnets: ['0.0.0.0/0'],
      egressRate: 8000,
      egressBurst: 8000,
      runtimeConfig: { bandwidth: { ingressRate: 1000, ingressBurst: 2000 } },
    },
  ],
];

const record = (type: string, command: string, config: JsonObject): Promise<readonly string[]> =>
  recordCall(registry, { type, command, config });

test('plans of all plugins', async () => {
  const parts: string[] = [];
  for (const [type, config] of rows) {
    const add = await record(type, 'ADD', config);
    const del = await record(type, 'DEL', config);
    parts.push([`# ${type} ${JSON.stringify(config)}`, ...add, ...del, ''].join('\n'));
  }
  await expect(parts.join('\n').replaceAll(dataDir, 'DIR')).toMatchFileSnapshot(
    join(import.meta.dirname, 'golden/plans.txt'),
  );
});
