/** What each plugin refuses of a configuration, by the code of the specification and in words that say what to do. */
import { describe, expect, test } from 'vitest';
import type { JsonObject } from '#api/meta/object.ts';
import { createFakeNetlink } from '#native/netlink/netlink.fake.ts';
import { createFakeNft } from '#native/nft/nft.fake.ts';
import { createInvoker } from './registry.ts';

const netns = '/run/netns/c1';
const ipam = { type: 'static', addresses: [{ address: '10.1.0.2/24' }] };
const prevResult = {
  interfaces: [{ name: 'host0' }, { name: 'eth0', sandbox: netns }],
  ips: [{ address: '10.1.0.2/24' }],
};
const bandwidth = { type: 'bandwidth', prevResult };

const rows: readonly (readonly [
  config: JsonObject & { readonly type: string },
  code: number,
  message: string,
])[] = [
  [{ type: 'macvlan', master: 'none', ipam }, 7, 'master none is not there'],
  [{ type: 'macvlan', ipam }, 7, 'no default route to take its link from'],
  [{ type: 'macvlan', master: 'eth0', mtu: 1501, ipam }, 7, 'mtu 1501 is more than the 1500 of eth0'],
  [{ type: 'macvlan', master: 'eth0', mtu: -1, ipam }, 7, 'is not from 0 to 65535'],
  [
    { type: 'macvlan', master: 'eth0', mode: 'source', ipam },
    7,
    'is not one of bridge, private, vepa, passthru',
  ],
  [{ type: 'macvlan', linkInContainer: true, master: 'eth0', ipam }, 7, 'master eth0 is not there'],
  [{ type: 'macvlan', linkInContainer: true, ipam }, 7, 'no default route to take its link from'],
  [{ type: 'macvlan', master: 'eth0', bcqueuelen: -1, ipam }, 7, 'bcqueuelen -1 is not from 0'],
  [{ type: 'host-device', kernelpath: '/tmp/x', ipam }, 7, 'does not begin with /sys/devices/'],
  [{ type: 'host-device', pciBusID: '../x', ipam }, 7, 'is not the name of a device'],
  [
    { type: 'host-device', runtimeConfig: { deviceID: '0000:ff:1f.7' }, ipam },
    7,
    '0000:ff:1f.7 is not there',
  ],
  [
    { type: 'ptp', ipam: { ...ipam, routes: [{ dst: '10.9.0.0/16', scope: 9 }] } },
    7,
    'scope 9 is none of 0 (global), 253 (link) and 254 (host)',
  ],
  [{ type: 'ptp', ipMasqBackend: 'iptables', ipam }, 2, 'ptp: ipMasqBackend iptables is not supported'],
  [
    { type: 'portmap', prevResult, conditionsV4: ['-m', 'set', '--match-set', 'x', 'src'] },
    2,
    'conditionsV4: "-m set --match-set x src" is not supported',
  ],
  [
    { type: 'portmap', prevResult, conditionsV6: ['ip6', 'daddr', 'fc00::/7', 'tcp', 'flags', 'syn'] },
    2,
    'conditionsV6: "tcp flags syn" is not supported',
  ],
  [
    { type: 'portmap', prevResult, backend: 'nftables', conditionsV4: ['-d', '192.0.2.1'] },
    7,
    'conditionsV4 is in the words of iptables, and backend is nftables',
  ],
  [{ type: 'firewall', prevResult, ingressPolicy: 'closed' }, 2, 'is not one of open, same-bridge, isolated'],
  [{ type: 'sbr', prevResult, gateways: ['10.1.0.1', '10.1.0.9'] }, 7, 'more than one of a family'],
  [
    {
      type: 'ipvlan',
      prevResult: { interfaces: [{ name: 'a' }, { name: 'b' }], ips: [{ address: '10.1.0.2/24' }] },
    },
    7,
    'prevResult has not one interface alone',
  ],
  [{ type: 'portmap', prevResult, backend: 'iptables' }, 2, 'backend iptables is not supported'],
  [{ type: 'portmap', prevResult, markMasqBit: 32 }, 7, 'markMasqBit 32 is not from 0 to 31'],
  [
    { type: 'portmap', prevResult, markMasqBit: 1, externalSetMarkChain: 'KUBE-MARK-MASQ' },
    7,
    'markMasqBit and externalSetMarkChain exclude each other',
  ],
  [{ type: 'vrf', vrfname: 'blue', table: -1, prevResult }, 7, 'table -1 is not from 0'],
  [{ type: 'ipvlan', master: 'eth0', mode: 'l4', ipam }, 7, 'is not one of l2, l3, l3s'],
  [{ type: 'vlan', vlanId: 5, ipam }, 7, 'master is missing'],
  [{ type: 'vlan', master: 'eth0', vlanId: 4095, ipam }, 7, 'vlanId 4095 is not from 0 to 4094'],
  [{ type: 'dummy' }, 7, 'ipam is missing'],
  [{ type: 'ptp' }, 7, 'ipam is missing'],
  [{ type: 'tap', selinuxContext: 'x', ipam }, 2, 'selinuxContext is not supported'],
  [{ type: 'host-device', ipam }, 7, 'one of device, hwaddr, kernelpath, pciBusID'],
  [{ type: 'host-device', device: 'none', ipam }, 7, 'none is not there'],
  [{ type: 'host-device', device: 'lo', ipam }, 7, 'lo cannot be moved'],
  [{ type: 'ptp', runtimeConfig: { infinibandGUID: 'x' }, ipam }, 2, 'infinibandGUID is not supported'],
  [{ type: 'ptp', runtimeConfig: { mac: 'x' }, ipam }, 7, 'hardware address "x" is not one'],
  [{ type: 'ptp', ipam: { type: 'static' } }, 7, 'no address; say ipam.addresses'],
  [{ type: 'ptp', ipam: { type: 'static', addresses: [{ address: '10.1.0.2' }] } }, 7, 'with its prefix'],
  [{ type: 'tuning', prevResult, sysctl: { 'kernel.shmmax': '1' } }, 7, 'is not one of net.'],
  [{ type: 'tuning', prevResult, sysctl: { 'net/../kernel/x': '1' } }, 7, 'is not one of net.'],
  [{ type: 'tuning' }, 7, 'prevResult is missing'],
  [{ type: 'sbr', prevResult, table: 254 }, 7, "table 254 is the kernel's own"],
  [{ type: 'vrf', prevResult }, 7, 'vrfname is missing'],
  [{ ...bandwidth, ingressRate: 1000 }, 7, 'both set or neither'],
  [{ ...bandwidth, egressRate: 1e12, egressBurst: 1e12 }, 7, 'less than 32 Gbit'],
  [{ ...bandwidth, ingressRate: 1000, ingressBurst: 1000 }, 7, 'is no end of a pair'],
  [{ ...bandwidth, unshapedSubnets: ['10.0.0.0'] }, 7, 'subnet "10.0.0.0" is not a CIDR'],
  [{ ...bandwidth, unshapedSubnets: ['10.0.0.0/8'], shapedSubnets: ['::/0'] }, 7, 'exclude each other'],
  [{ type: 'sbr', prevResult, gateway: 'x' }, 7, 'gateway "x" is not an address'],
  [{ type: 'bridge', ipam: { type: 'dhcp', priority: -1 } }, 7, 'priority -1 is not from 0'],
  [{ type: 'bridge', ipam: { type: 'dhcp', suppress: ['dns'] } }, 7, 'suppress "dns" is not "gateway"'],
  [{ type: 'firewall', prevResult, backend: 'nftables' }, 2, 'backend nftables is not supported'],
  [{ type: 'firewall', prevResult, iptablesAdminChainName: '-x y' }, 7, 'is not the name of a chain'],
  [{ type: 'firewall' }, 7, 'prevResult is missing'],
  [{ type: 'ptp', ipam: { type: 'dhcp' } }, 7, "asks by the container's link"],
  [{ type: 'dummy', ipam: { type: 'dhcp' } }, 7, "asks by the container's link"],
  [{ type: 'bridge', ipam: { type: 'dhcp', daemonSocketPath: 'dhcp.sock' } }, 7, 'is not an absolute path'],
  [
    { type: 'bridge', ipam: { type: 'dhcp', daemonSocketPath: '/none' } },
    11,
    'ask the daemon at /none: ENOENT',
  ],
  [
    { type: 'bridge', ipam: { type: 'dhcp', provide: [{ option: 'ntp', value: 'x' }] } },
    7,
    'option "ntp" is none of',
  ],
  [
    { type: 'bridge', ipam: { type: 'dhcp', provide: [{ option: '53', value: 'x' }] } },
    7,
    'the protocol itself',
  ],
  [{ type: 'bridge', ipam: { type: 'dhcp', request: [{ option: 300 }] } }, 7, 'nor a number'],
  [{ type: 'flannel', subnetFile: '/none' }, 11, 'is flanneld running?'],
  [{ type: 'bridge', vlan: 4095, ipam }, 7, 'vlan 4095 is not from 1 to 4094'],
];

describe('ADD refuses', () => {
  test.each(rows)('%j', async (config, code, message) => {
    const netlink = createFakeNetlink();
    await netlink.createNetns(netns);
    const invoke = createInvoker({ netlink, nft: createFakeNft() });
    const call = { command: 'ADD', containerId: 'c1', netns, ifname: 'eth0', args: {}, path: [] } as const;
    const document = { cniVersion: '1.1.0', name: 'net', ...config };
    await expect(
      invoke(config.type, { ...call, config: document }, AbortSignal.timeout(50_000)),
    ).rejects.toMatchObject({
      detail: { cniCode: code },
      message: expect.stringContaining(message),
    });
    expect((await netlink.state({ kind: 'path', path: netns })).links).toHaveLength(1);
  });
});
