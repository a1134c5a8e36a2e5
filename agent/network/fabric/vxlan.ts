/**
 * Pods' packets in VXLAN (RFC 7348): a kernel device without flooding and learning. Each other node is a neighbour of it, and an entry that
 * says where its frames go; both are written down before a packet asks.
 *
 *   10.244.2.0/24 via 10.244.2.0 dev podwright-vx onlink   route
 *   10.244.2.0 lladdr MAC of the node's device             neighbour
 *   MAC dst the node's address                             forwarding
 *
 * Of IPv6 the neighbour is fe80:: with the hardware address (tunnel.ts).
 */
import type { Logger } from '#base/log.ts';
import {
  ownNetns,
  type LinkNeighbours,
  type Netlink,
  type NetOp,
  type NetworkState,
} from '#native/netlink/netlink.ts';
import { renderNetOp } from '#native/netlink/render.ts';
import type { Path } from './paths.ts';
import { neighbourOf, planDevice, tunnelDevices, type Tunnel, type TunnelWanted } from './tunnel.ts';

const name = tunnelDevices.vxlan;

export interface VxlanOptions {
  readonly netlink: Netlink;
  /** Of the node's device. */
  readonly mac: string;
  readonly log: Logger;
}

export function createVxlan({ netlink, mac, log }: VxlanOptions): Tunnel {
  const apply = async (ops: readonly NetOp[]): Promise<void> => {
    if (ops.length === 0) return;
    log.info({ ops: ops.map(renderNetOp) }, 'vxlan changed');
    await netlink.apply(ownNetns, ops);
  };
  return {
    kind: 'vxlan',
    ensure: async (wanted, given) => {
      const made = planVxlanLink(wanted, mac, given);
      await apply(made);
      const state = made.length === 0 ? given : await netlink.state(ownNetns);
      const link = state.links.find((each) => each.name === name);
      if (link === undefined) return true; // Somebody took it meanwhile: its event brings us back.
      const finished = planDevice(link, { ...wanted, mac }, state);
      await apply(finished);
      await apply(planNeighbours(wanted.paths, await netlink.neighbours(ownNetns, name)));
      return made.length + finished.length > 0;
    },
    remove: async () => {
      const { links } = await netlink.state(ownNetns);
      if (links.some((link) => link.name === name)) await apply([{ op: 'removeLink', name }]);
    },
  };
}

/**
 * Made, or made anew where what it was made with is another: that cannot be changed. It is bound to no link, so that it stays when
 * the node's is made anew. Without a checksum over IPv4, as RFC 7348 recommends: some hardware and hypervisors get it wrong. Pure.
 */
export function planVxlanLink(
  { local, port, vni, mtu }: TunnelWanted,
  mac: string,
  { links }: Pick<NetworkState, 'links'>,
): readonly NetOp[] {
  const link = links.find((each) => each.name === name);
  const made = link?.vxlan;
  if (made?.vni === vni && made.port === port && made.local === local && !made.isLearning) return [];
  const kind = { kind: 'vxlan', vni, local, port, isLearning: false, hasChecksum: false } as const;
  return [
    ...(link === undefined ? [] : [{ op: 'removeLink', name } as const]),
    { op: 'addLink', name, link: kind, mtu, mac },
  ];
}

/** Neighbours and entries that are missing, other than wanted, or of nobody. By address and entry, so that a stale twin is seen. Pure. */
export function planNeighbours(paths: readonly Path[], actual: LinkNeighbours): readonly NetOp[] {
  const wanted = paths.filter((path) => path.kind === 'vxlan');
  const macs = new Map(wanted.map((path) => [neighbourOf(path), path.mac]));
  const remotes = new Map(wanted.map((path) => [path.mac, path.remote]));
  const known = new Map(actual.neighbours.map(({ address, mac }) => [address, mac]));
  const isForwarded = (mac: string, remote: string): boolean =>
    actual.forwarding.some((entry) => entry.mac === mac && entry.remote === remote);
  return [
    // What is not wanted first: of one hardware address there may be two.
    ...actual.forwarding
      .filter(({ mac, remote }) => remotes.get(mac) !== remote)
      .map(({ mac, remote }): NetOp => ({ op: 'removeForwarding', name, mac, remote })),
    ...actual.neighbours
      .filter(({ address }) => !macs.has(address))
      .map(({ address }): NetOp => ({ op: 'removeNeighbour', name, address })),
    ...[...remotes]
      .filter(([mac, remote]) => !isForwarded(mac, remote))
      .map(([mac, remote]): NetOp => ({ op: 'ensureForwarding', name, mac, remote })),
    ...[...macs]
      .filter(([address, mac]) => known.get(address) !== mac)
      .map(([address, mac]): NetOp => ({ op: 'ensureNeighbour', name, address, mac })),
  ];
}
