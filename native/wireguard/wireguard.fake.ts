import { formatCidr, networkOf } from '#base/ip.ts';
import { cidrOf } from '#native/netlink/address.ts';
import type { Netlink, NetnsRef } from '#native/netlink/netlink.ts';
import { kernelError } from '#native/sys/errno.ts';
import { publicKeyOf } from './keys.ts';
import type { WireGuard, WireGuardChange, WireGuardDevice, WireGuardPeer } from './wireguard.ts';

/** WireGuard on the links of another fake, by the kernel's rules as far as they show. */
export function createFakeWireGuard(netlink: Netlink): WireGuard {
  const devices = new Map<number, WireGuardDevice>();
  const indexOf = async (netns: NetnsRef, name: string): Promise<number> => {
    const link = (await netlink.state(netns)).links.find((each) => each.name === name);
    if (link === undefined) throw kernelError(`find ${name}`, 'ENODEV');
    if (link.kind !== 'wireguard') throw kernelError(`find ${name}`, 'EOPNOTSUPP');
    return link.index;
  };
  const empty: WireGuardDevice = { publicKey: undefined, listenPort: 0, peers: [] };
  return {
    device: async (netns, name) => devices.get(await indexOf(netns, name)) ?? empty,
    change: async (netns, name, change) => {
      const index = await indexOf(netns, name);
      devices.set(index, changedDevice(devices.get(index) ?? empty, change));
    },
  };
}

function changedDevice(before: WireGuardDevice, change: WireGuardChange): WireGuardDevice {
  const publicKey = change.privateKey === undefined ? before.publicKey : publicKeyOf(change.privateKey);
  let { peers } = before;
  for (const peer of change.peers) {
    const old = peers.find((each) => each.publicKey === peer.publicKey);
    const others = peers.filter((each) => each !== old);
    // A device is no peer of itself (set_peer of drivers/net/wireguard/netlink.c).
    if (peer.isRemoved === true || peer.publicKey === publicKey) {
      peers = others;
      continue;
    }
    const allowedIps =
      peer.allowedIps?.map((text) => formatCidr(networkOf(cidrOf(text)))) ?? old?.allowedIps ?? [];
    const taken = new Set(allowedIps);
    const made: WireGuardPeer = {
      publicKey: peer.publicKey,
      endpoint: peer.endpoint ?? old?.endpoint,
      allowedIps,
    };
    // Whoever had an address before has it no more (allowedips.c: one trie for all peers).
    const left = others.map((each) => ({
      ...each,
      allowedIps: each.allowedIps.filter((ip) => !taken.has(ip)),
    }));
    peers = [...left, made];
  }
  return { publicKey, listenPort: change.listenPort ?? before.listenPort, peers };
}
