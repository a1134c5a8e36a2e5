import { describe, expect, test } from 'vitest';
import { emptyResult, type CniResult } from '#api/cni/result.ts';
import { renderNetOp } from '#native/netlink/render.ts';
import { parseBridgeConfig } from './bridge-config.ts';
import { hostVethName } from '#cni-plugins/skel/link-plan.ts';
import { planBridgeAdd } from './plan.ts';

const request = { containerId: 'c1', ifname: 'eth0', netns: '/run/netns/c1' };
const ipam: CniResult = { ...emptyResult, ips: [{ address: '10.1.0.2/24', gateway: '10.1.0.1' }] };

function plan(options: object, from: CniResult = ipam): string {
  const config = parseBridgeConfig({ type: 'bridge', name: 'net', ...options });
  const [host, container] = planBridgeAdd({ config, request, ipam: from }).changes;
  return [
    'host',
    ...(host?.ops ?? []).map(renderNetOp),
    'container',
    ...(container?.ops ?? []).map(renderNetOp),
  ].join('\n');
}

describe('planBridgeAdd()', () => {
  test('plain: a link and an address', () => {
    expect(plan({})).toMatchInlineSnapshot(`
      "host
      ensure link cni0 mac 02:cf:f4:9f:b1:ef type bridge
      set sysctl net/ipv6/conf/cni0/accept_ra = 0
      set sysctl net/ipv6/conf/cni0/accept_redirects = 0
      set sysctl net/ipv6/conf/cni0/accept_dad = 0
      set link cni0 up
      remove link veth042df0179a
      add link veth042df0179a mac 02:d4:22:7a:f9:1d type veth peer eth0 mac 0a:58:0a:01:00:02 netns /run/netns/c1
      set link veth042df0179a master cni0 up
      container
      set sysctl net/ipv6/conf/eth0/accept_ra = 0
      set sysctl net/ipv6/conf/eth0/accept_redirects = 0
      set sysctl net/ipv6/conf/eth0/accept_dad = 0
      set sysctl net/ipv4/conf/eth0/arp_notify = 1
      set sysctl net/ipv6/conf/eth0/ndisc_notify = 1
      ensure address 10.1.0.2/24 dev eth0
      set link eth0 up"
    `);
  });

  test('default gateway, MTU, hairpin', () => {
    expect(plan({ isDefaultGateway: true, mtu: 1400, hairpinMode: true })).toMatchInlineSnapshot(`
      "host
      ensure link cni0 mtu 1400 mac 0a:58:0a:01:00:01 type bridge
      set sysctl net/ipv6/conf/cni0/accept_ra = 0
      set sysctl net/ipv6/conf/cni0/accept_redirects = 0
      set sysctl net/ipv6/conf/cni0/accept_dad = 0
      set link cni0 up
      ensure address 10.1.0.1/24 dev cni0
      set sysctl net.ipv4.ip_forward = 1
      remove link veth042df0179a
      add link veth042df0179a mtu 1400 mac 02:d4:22:7a:f9:1d type veth peer eth0 mac 0a:58:0a:01:00:02 netns /run/netns/c1
      set link veth042df0179a master cni0 up
      set bridge port veth042df0179a hairpin on
      container
      set link eth0 mtu 1400
      set sysctl net/ipv6/conf/eth0/accept_ra = 0
      set sysctl net/ipv6/conf/eth0/accept_redirects = 0
      set sysctl net/ipv6/conf/eth0/accept_dad = 0
      set sysctl net/ipv4/conf/eth0/arp_notify = 1
      set sysctl net/ipv6/conf/eth0/ndisc_notify = 1
      ensure address 10.1.0.2/24 dev eth0
      set link eth0 up
      ensure route default via 10.1.0.1 dev eth0"
    `);
  });

  test('routed: single addresses, neighbours by way of the gateway', () => {
    expect(plan({ isDefaultGateway: true, routed: true })).toMatchInlineSnapshot(`
      "host
      ensure link cni0 mac 0a:58:0a:01:00:01 type bridge
      set sysctl net/ipv6/conf/cni0/accept_ra = 0
      set sysctl net/ipv6/conf/cni0/accept_redirects = 0
      set sysctl net/ipv6/conf/cni0/accept_dad = 0
      set link cni0 up
      ensure address 10.1.0.1/24 dev cni0
      set sysctl net.ipv4.ip_forward = 1
      set sysctl net.ipv4.conf.all.send_redirects = 0
      set sysctl net.ipv4.conf.cni0.send_redirects = 0
      set sysctl net/ipv4/neigh/cni0/retrans_time_ms = 50
      remove link veth042df0179a
      add link veth042df0179a mac 02:d4:22:7a:f9:1d type veth peer eth0 mac 0a:58:0a:01:00:02 netns /run/netns/c1
      set link veth042df0179a master cni0 up
      container
      set sysctl net/ipv6/conf/eth0/accept_ra = 0
      set sysctl net/ipv6/conf/eth0/accept_redirects = 0
      set sysctl net/ipv6/conf/eth0/accept_dad = 0
      ensure address 10.1.0.2/32 dev eth0
      set link eth0 up
      ensure route 10.1.0.1/32 dev eth0 scope link
      ensure route 10.1.0.0/24 via 10.1.0.1 dev eth0
      ensure route default via 10.1.0.1 dev eth0"
    `);
  });

  test('two families', () => {
    const ips = [...ipam.ips, { address: 'fd00::2/64', gateway: 'fd00::1' }];
    expect(plan({ isDefaultGateway: true, portIsolation: true, promiscMode: true }, { ...ipam, ips }))
      .toMatchInlineSnapshot(`
        "host
        ensure link cni0 mac 0a:58:0a:01:00:01 type bridge
        set sysctl net/ipv6/conf/cni0/accept_ra = 0
        set sysctl net/ipv6/conf/cni0/accept_redirects = 0
        set sysctl net/ipv6/conf/cni0/accept_dad = 0
        set link cni0 promisc on up
        ensure address 10.1.0.1/24 dev cni0
        ensure address fd00::1/64 dev cni0
        set sysctl net.ipv4.ip_forward = 1
        set sysctl net.ipv6.conf.all.forwarding = 1
        remove link veth042df0179a
        add link veth042df0179a mac 02:d4:22:7a:f9:1d type veth peer eth0 mac 0a:58:0a:01:00:02 netns /run/netns/c1
        set link veth042df0179a master cni0 up
        set bridge port veth042df0179a isolated on
        remove neighbour fd00::2 dev cni0
        container
        set sysctl net/ipv6/conf/eth0/accept_ra = 0
        set sysctl net/ipv6/conf/eth0/accept_redirects = 0
        set sysctl net/ipv6/conf/lo/disable_ipv6 = 0
        set sysctl net/ipv6/conf/eth0/disable_ipv6 = 0
        set sysctl net/ipv6/conf/eth0/accept_dad = 0
        set sysctl net/ipv4/conf/eth0/arp_notify = 1
        set sysctl net/ipv6/conf/eth0/ndisc_notify = 1
        ensure address 10.1.0.2/24 dev eth0
        ensure address fd00::2/64 dev eth0
        set link eth0 up
        ensure route default via 10.1.0.1 dev eth0
        ensure route default via fd00::1 dev eth0"
      `);
  });

  const vlanLines = (options: object): readonly string[] =>
    plan(options)
      .split('\n')
      .filter((line) => /vlan|master|veth042df0179a up|vgw/.test(line));

  test('a VLAN of its own: no frame passes in another, and the gateway is in it', () => {
    expect(vlanLines({ vlan: 100, preserveDefaultVlan: false, isGateway: true })).toMatchInlineSnapshot(`
      [
        "set bridge cni0 vlan_filtering on",
        "ensure link cni0.100 mac 0a:58:0a:01:00:01 type veth peer vgwe8b62e5a92",
        "set link vgwe8b62e5a92 master cni0",
        "remove bridge vlan 1 dev vgwe8b62e5a92",
        "add bridge vlan 100 dev vgwe8b62e5a92 pvid untagged",
        "set link vgwe8b62e5a92 up",
        "set link veth042df0179a master cni0",
        "remove bridge vlan 1 dev veth042df0179a",
        "add bridge vlan 100 dev veth042df0179a pvid untagged",
        "set link veth042df0179a up",
      ]
    `);
  });

  test('a trunk beside the VLAN of the bridge', () => {
    const vlanTrunk = [{ id: 5 }, { minID: 7, maxID: 9 }];
    expect(vlanLines({ vlanTrunk })).toMatchInlineSnapshot(`
      [
        "set bridge cni0 vlan_filtering on",
        "set link veth042df0179a master cni0",
        "add bridge vlan 5 dev veth042df0179a",
        "add bridge vlan 7-9 dev veth042df0179a",
        "set link veth042df0179a up",
      ]
    `);
  });

  test('a link that is left down, with a hardware address that DEL knows', () => {
    const lines = plan({ disableContainerInterface: true, macspoofchk: true }, emptyResult).split('\n');
    expect(lines.slice(lines.indexOf('container'))).not.toContain('set link eth0 up');
    const macs = [ipam, emptyResult].map(
      (from) => /peer eth0 mac (\S+)/.exec(plan({ macspoofchk: true }, from))?.[1],
    );
    expect(new Set(macs).size).toBe(1);
  });

  test('names fit the kernel and differ by attachment', () => {
    const names = ['eth0', 'eth1'].map((ifname) => hostVethName({ ...request, ifname }));
    expect(new Set(names).size).toBe(2);
    expect(names.every((name) => name.length <= 15)).toBe(true);
  });
});

describe('parseBridgeConfig() refuses', () => {
  test.each([
    [{ vlan: 4095 }, 'vlan 4095 is not from 1 to 4094'],
    [{ vlan: -1 }, 'vlan -1'],
    [{ vlanTrunk: [{}] }, 'an item has id, or minID and maxID'],
    [{ vlanTrunk: [{ minID: 5 }] }, 'both set or neither'],
    [{ vlanTrunk: [{ minID: 5, maxID: 4 }] }, 'minID 5 is more than maxID 4'],
    [{ vlanTrunk: [{ id: 0 }] }, 'vlanTrunk 0 is not from 1 to 4094'],
    [{ vlanTrunk: Array.from({ length: 129 }, () => ({ id: 2 })) }, 'more than 128'],
    [{ vlan: 4000, isGateway: true, bridge: 'a-long-bridge' }, 'more than 15 characters'],
    [{ disableContainerInterface: true, ipam: { type: 'static' } }, 'leaves the link down'],
    [{ ipMasqBackend: 'iptables' }, 'iptables'],
    [{ hairpinMode: true, promiscMode: true }, 'exclude'],
    [{ mtu: 'big' }, 'mtu'],
  ])('%j', (options, message) => {
    expect(() => parseBridgeConfig({ type: 'bridge', name: 'net', ...options })).toThrow(message);
  });
});
