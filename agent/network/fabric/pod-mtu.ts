/** Links of pods have the MTU of the fabric, so that what they send passes whole. */
import {
  ownNetns,
  type LinkInfo,
  type NetChange,
  type Netlink,
  type NetworkState,
} from '#native/netlink/netlink.ts';
import type { FabricState } from './fabric-options.ts';

/** The bridge of the node's own network (conflist-dir.ts). */
export const podBridge = 'cni0';

/**
 * Pods that run get another MTU where theirs differs, up or down: a link drops without a word what is larger than the other end's MTU, so the
 * links of one bridge must agree; to change one interrupts nothing. Pods of somebody else's network are left alone.
 */
export async function applyPodMtu(
  netlink: Netlink,
  { links, podMtu: mtu }: Pick<FabricState, 'links' | 'podMtu'>,
  podNetns: () => readonly string[],
): Promise<number> {
  const host = { links };
  if (planHostMtu(host, mtu).ops.length === 0) return 0;
  const changes: NetChange[] = [];
  for (const path of podNetns()) {
    const netns = { kind: 'path', path } as const;
    const { links } = await netlink.state(netns);
    const link = links.find(({ name }) => name === 'eth0');
    if (link !== undefined && link.mtu !== mtu && isOnBridge(host, link))
      changes.push({ netns, ops: [{ op: 'setLink', name: link.name, mtu }] });
  }
  // Their own ends first: then no packet of a pod is larger than what the node takes from it.
  await netlink.applyAll([...changes, planHostMtu(host, mtu)]);
  return changes.length;
}

/** The bridge, and the host's ends of its pods. Pure. */
export function planHostMtu({ links }: Pick<NetworkState, 'links'>, mtu: number): NetChange {
  const bridge = links.find(({ name, kind }) => name === podBridge && kind === 'bridge');
  const own = bridge === undefined ? [] : [...links.filter(({ master }) => master === bridge.index), bridge];
  return {
    netns: ownNetns,
    ops: own.filter((link) => link.mtu !== mtu).map(({ name }) => ({ op: 'setLink', name, mtu })),
  };
}

/** Whether the other end of a pod's link is a port of the bridge. */
function isOnBridge({ links }: Pick<NetworkState, 'links'>, pod: LinkInfo): boolean {
  const bridge = links.find(({ name }) => name === podBridge);
  const other = links.find(({ index, kind }) => kind === 'veth' && index === pod.peerIndex);
  return bridge !== undefined && other?.master === bridge.index;
}
