/**
 * Pods' packets in UDP, by the agent itself (native/tun): a device whose packets the agent reads, and sends to the node whose they are. It
 * goes wherever UDP goes and needs no kernel module, at the price of two copies and two changes of thread for each packet; while the
 * agent is away nothing passes.
 */
import type { Logger } from '#base/log.ts';
import { ownNetns, type Netlink } from '#native/netlink/netlink.ts';
import { renderNetOp } from '#native/netlink/render.ts';
import type { OpenRelay, Relay, RelayPeer } from '#native/tun/relay.ts';
import { internalIpsOf, podCidrsOf } from './fabric-plan.ts';
import { ipOfFamily } from './paths.ts';
import { familyOfIp } from '#base/ip.ts';
import { planDevice, tunnelDevices, type Tunnel, type TunnelWanted } from './tunnel.ts';

const name = tunnelDevices.udp;

export interface UdpOptions {
  readonly netlink: Netlink;
  readonly openRelay: OpenRelay;
  /** Path of the network namespace; absent: the process's own. */
  readonly netns?: string;
  readonly log: Logger;
}

/** Disposing it ends the relay; the device stays for the next. */
export function createUdp({ netlink, openRelay, netns, log }: UdpOptions): Tunnel & AsyncDisposable {
  let open: { readonly relay: Relay; readonly at: string; peers: string } | undefined;
  const close = async (): Promise<void> => {
    const { relay } = open ?? {};
    open = undefined;
    await relay?.[Symbol.asyncDispose]();
  };
  const ensureRelay = async ({ local, port }: TunnelWanted, isThere: boolean): Promise<boolean> => {
    const at = `${local} ${port}`;
    if (open?.at === at && isThere) return false;
    await close();
    const onDeath = (): void => void close(); // The device is gone: its event has the next look make another.
    const relay = await openRelay({ name, local, port, onDeath, ...(netns === undefined ? {} : { netns }) });
    open = { relay, at, peers: '' };
    log.info({ local, port }, 'udp relay opened');
    return true;
  };
  return {
    kind: 'udp',
    ensure: async (wanted, given) => {
      const isThere = given.links.some((link) => link.name === name);
      const isOpened = await ensureRelay(wanted, isThere);
      const state = isOpened ? await netlink.state(ownNetns) : given;
      const link = state.links.find((each) => each.name === name);
      if (link === undefined || open === undefined) return true;
      const ops = planDevice(link, wanted, state);
      if (ops.length > 0) {
        log.info({ ops: ops.map(renderNetOp) }, 'udp device changed');
        await netlink.apply(ownNetns, ops);
      }
      const peers = relayPeersOf(wanted);
      const text = JSON.stringify(peers);
      if (text !== open.peers) open.relay.setPeers(peers);
      open.peers = text;
      return isOpened || ops.length > 0;
    },
    remove: async () => {
      await close();
      await netlink.apply(ownNetns, [{ op: 'removeLink', name }]);
    },
    [Symbol.asyncDispose]: close,
  };
}

/** All nodes, since each may send by UDP; those that are reached so have a port. Pure. */
export function relayPeersOf({
  local,
  paths,
  nodes,
}: Pick<TunnelWanted, 'local' | 'paths' | 'nodes'>): readonly RelayPeer[] {
  const ports = new Map(paths.flatMap((path) => (path.kind === 'udp' ? [[path.node, path.port]] : [])));
  return nodes.flatMap((node): readonly RelayPeer[] => {
    const ip = ipOfFamily(internalIpsOf(node), familyOfIp(local) ?? 4);
    const networks = podCidrsOf(node);
    if (ip === undefined || networks.length === 0) return [];
    return [{ ip, port: ports.get(node.metadata?.name ?? '') ?? 0, networks }];
  });
}
