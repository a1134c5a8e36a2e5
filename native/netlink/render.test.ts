import { describe, expect, it } from 'vitest';
import type { NetOp } from './netlink.ts';
import { renderNetOp } from './render.ts';

const pod = { kind: 'path', path: '/run/netns/pod' } as const;

/** One row per op, and per kind of link. */
const rows: readonly (readonly [NetOp, string])[] = [
  [{ op: 'addLink', name: 'br0', link: { kind: 'bridge' }, mtu: 1450 }, 'add link br0 mtu 1450 type bridge'],
  [
    {
      op: 'addLink',
      name: 'v0',
      link: { kind: 'veth', peerName: 'eth0', peerNetns: pod },
      mac: '0a:58:0a:00:00:01',
    },
    'add link v0 mac 0a:58:0a:00:00:01 type veth peer eth0 netns /run/netns/pod',
  ],
  [
    {
      op: 'ensureLink',
      name: 'vx0',
      link: { kind: 'vxlan', vni: 1, local: '192.0.2.1', dev: 'eth0', port: 8472 },
    },
    'ensure link vx0 type vxlan id 1 local 192.0.2.1 dev eth0 dstport 8472',
  ],
  [
    {
      op: 'ensureLink',
      name: 'vx0',
      link: { kind: 'vxlan', vni: 1, local: 'fd00::1', port: 4789, isLearning: false, hasChecksum: true },
    },
    'ensure link vx0 type vxlan id 1 local fd00::1 dstport 4789 nolearning udpcsum',
  ],
  [
    { op: 'ensureNeighbour', name: 'vx0', address: '10.1.0.0', mac: '0a:00:00:00:00:01' },
    'ensure neighbour 10.1.0.0 lladdr 0a:00:00:00:00:01 dev vx0 permanent',
  ],
  [{ op: 'removeNeighbour', name: 'vx0', address: '10.1.0.0' }, 'remove neighbour 10.1.0.0 dev vx0'],
  [
    { op: 'ensureForwarding', name: 'vx0', mac: '0a:00:00:00:00:01', remote: '192.0.2.2' },
    'ensure forwarding 0a:00:00:00:00:01 dev vx0 dst 192.0.2.2',
  ],
  [
    { op: 'removeForwarding', name: 'vx0', mac: '0a:00:00:00:00:01', remote: '192.0.2.2' },
    'remove forwarding 0a:00:00:00:00:01 dev vx0 dst 192.0.2.2',
  ],
  [
    { op: 'ensureRoute', destination: '10.1.0.0/24', gateway: '10.1.0.0', dev: 'vx0', isOnLink: true },
    'ensure route 10.1.0.0/24 via 10.1.0.0 dev vx0 onlink',
  ],
  [{ op: 'removeLink', name: 'v0' }, 'remove link v0'],
  [{ op: 'setLink', name: 'v0', master: 'br0', up: true }, 'set link v0 master br0 up'],
  [
    { op: 'setLink', name: 'v0', master: null, moveTo: pod, rename: 'eth0', up: false, promiscuous: true },
    'set link v0 name eth0 nomaster netns /run/netns/pod promisc on down',
  ],
  [
    { op: 'setBridgePort', name: 'v0', hairpin: true, isolated: false },
    'set bridge port v0 hairpin on isolated off',
  ],
  [{ op: 'setBridge', name: 'br0', vlanFiltering: true }, 'set bridge br0 vlan_filtering on'],
  [{ op: 'addBridgeVlans', name: 'v0', first: 5, isNative: true }, 'add bridge vlan 5 dev v0 pvid untagged'],
  [{ op: 'addBridgeVlans', name: 'v0', first: 7, last: 9 }, 'add bridge vlan 7-9 dev v0'],
  [{ op: 'removeBridgeVlans', name: 'v0', first: 1 }, 'remove bridge vlan 1 dev v0'],
  [{ op: 'ensureAddress', name: 'v0', address: '10.0.0.1/24' }, 'ensure address 10.0.0.1/24 dev v0'],
  [{ op: 'removeAddress', name: 'v0', address: '10.0.0.1/24' }, 'remove address 10.0.0.1/24 dev v0'],
  [
    {
      op: 'ensureRoute',
      destination: 'default',
      gateway: '10.0.0.1',
      source: '10.0.0.2',
      mtu: 1400,
      protocol: 4,
    },
    'ensure route default via 10.0.0.1 src 10.0.0.2 mtu 1400 proto 4',
  ],
  [
    { op: 'ensureRoute', destination: '10.1.0.0/16', type: 'blackhole' },
    'ensure route blackhole 10.1.0.0/16',
  ],
  [{ op: 'removeRoute', destination: '10.1.0.0/16', dev: 'eth0' }, 'remove route 10.1.0.0/16 dev eth0'],
  [{ op: 'setSysctl', key: 'net.ipv4.ip_forward', value: '1' }, 'set sysctl net.ipv4.ip_forward = 1'],
];

describe('renderNetOp()', () => {
  it.each(rows)('%#: %s', (op, want) => expect(renderNetOp(op)).toBe(want));

  it('has a row for every op', () => {
    expect([...new Set(rows.map(([op]) => op.op))].toSorted()).toEqual([
      'addBridgeVlans',
      'addLink',
      'ensureAddress',
      'ensureForwarding',
      'ensureLink',
      'ensureNeighbour',
      'ensureRoute',
      'removeAddress',
      'removeBridgeVlans',
      'removeForwarding',
      'removeLink',
      'removeNeighbour',
      'removeRoute',
      'setBridge',
      'setBridgePort',
      'setLink',
      'setSysctl',
    ]);
  });
});
