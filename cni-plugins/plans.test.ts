/** What each plugin would do, as text: one file for all, so that what they share shows. `vitest -u` writes it; read the diff. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { scratchDirectory } from '#base/scratch-directory.fixture.ts';
import type { CniResult } from '#api/cni/result.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type { NetChange, NetOp, NetworkState, RoutingPolicy } from '#native/netlink/netlink.ts';
import { renderNetns, renderNetOp } from '#native/netlink/render.ts';
import { runPlugin } from './skel/dispatch.ts';
import type { PluginHost } from './skel/plugin.ts';
import { createFakeNetlink } from '#native/netlink/netlink.fake.ts';
import { createFakeNft } from '#native/nft/nft.fake.ts';
import { renderNftOp } from '#native/nft/render.ts';
import { createPluginRegistry } from './registry.ts';

const registry = createPluginRegistry();
const ipam = {
  type: 'static',
  addresses: [
    { address: '10.1.0.2/24', gateway: '10.1.0.1' },
    { address: 'fd00::2/64', gateway: 'fd00::1' },
  ],
  routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }],
};
const netns = '/run/netns/c1';
const dataDir = scratchDirectory('podwright-plans-');

const previous: CniResult = {
  interfaces: [{ name: 'veth0' }, { name: 'eth0', sandbox: netns }],
  ips: ipam.addresses.map((ip) => ({ ...ip, interface: 1 })),
  routes: [{ dst: '0.0.0.0/0', gw: '10.1.0.1' }],
  dns: {},
};
const link = {
  kind: 'veth',
  mac: '0a:58:0a:01:00:02',
  mtu: 1500,
  isUp: true,
  master: undefined,
  peerIndex: undefined,
};
const container: NetworkState = {
  links: [{ ...link, index: 2, name: 'eth0', peerIndex: 7, alias: 'ens4' }],
  addresses: ipam.addresses.map(({ address }) => ({ linkIndex: 2, address })),
  routes: [
    { destination: 'default', gateway: '10.1.0.1', linkIndex: 2, protocol: 3, scope: 0 },
    { destination: '10.1.0.0/24', gateway: undefined, linkIndex: 2, protocol: 2, scope: 253 },
    { destination: 'fd00::/64', gateway: undefined, linkIndex: 2, protocol: 2, scope: 0 },
    { destination: '10.9.0.0/24', gateway: undefined, linkIndex: 3, protocol: 2, scope: 253 },
  ],
};
const host: NetworkState = {
  links: [
    { ...link, index: 2, name: 'ens3', kind: undefined, mtu: 9000 },
    { ...link, index: 3, name: 'ens4', kind: undefined, mac: '02:00:00:00:00:04' },
    { ...link, index: 7, name: 'veth0', peerIndex: 2 },
  ],
  addresses: ['10.1.0.1/24', '10.7.0.1/24', 'fd00::9/64', 'fd07::1/64'].map((address) => ({
    linkIndex: 2,
    address,
  })),
  routes: [{ destination: 'default', gateway: '192.0.2.1', linkIndex: 2, protocol: 3, scope: 0 }],
};
const policy: RoutingPolicy = { rules: [{ source: '10.9.0.2/32', table: 100 }], routes: [] };

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

/** Runs ADD or DEL and gives what was applied, and said. */
async function record(type: string, command: string, config: JsonObject): Promise<readonly string[]> {
  const lines: string[] = [];
  const say = ({ netns: where, ops }: NetChange): void => {
    lines.push(
      ...ops.map(
        (op: NetOp) => `  ${where.kind === 'own' ? 'host' : renderNetns(where)}: ${renderNetOp(op)}`,
      ),
    );
  };
  const fake = createFakeNetlink();
  const netlink = {
    ...fake,
    apply: async (where: NetChange['netns'], ops: readonly NetOp[]) => say({ netns: where, ops }),
    applyAll: async (changes: readonly NetChange[]) => changes.forEach(say),
    state: async (where: NetChange['netns']) => (where.kind === 'own' ? host : container),
    policy: async () => policy,
  };
  const nft = createFakeNft();
  const recorded = {
    ...nft,
    commit: async (...[where, ops]: Parameters<typeof nft.commit>) => {
      await nft.commit(where, ops);
      lines.push(...ops.map((op) => `  nft: ${renderNftOp(op).split('\n')[0]}`));
    },
  };
  const pluginHost: PluginHost = {
    netlink: netlink as PluginHost['netlink'],
    nft: recorded as PluginHost['nft'],
    isNetnsRemovedByCaller: false,
    invoke: async (other, { command: asked, config: passed, ...rest }) => {
      const plugin = registry.get(other);
      if (asked !== 'ADD' || plugin === undefined) return undefined;
      return {
        ...(await plugin.add(
          { ...rest, config: passed, prevResult: undefined },
          pluginHost,
          new AbortController().signal,
        )),
      };
    },
  };
  const plugin = registry.get(type);
  if (plugin === undefined) throw new Error(`no plugin ${type}`);
  const isChained = ['tuning', 'sbr', 'vrf', 'bandwidth'].includes(type);
  const document = {
    cniVersion: '1.1.0',
    name: 'net',
    type,
    ...config,
    ...(isChained ? { prevResult: { cniVersion: '1.1.0', ...previous } } : {}),
  };
  const env = {
    CNI_COMMAND: command,
    CNI_CONTAINERID: 'c1',
    CNI_NETNS: netns,
    CNI_IFNAME: 'eth0',
    CNI_PATH: '/',
  };
  const input = { env, stdin: JSON.stringify(document) };
  const { stdout } = await runPlugin(plugin, input, () => pluginHost, new AbortController().signal);
  const said = stdout === '' ? [] : [`  says ${JSON.stringify(JSON.parse(stdout))}`];
  return [command, ...lines, ...said];
}

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
