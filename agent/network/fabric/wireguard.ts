/**
 * Pods' packets encrypted, by the kernel's WireGuard: each node a peer, known by the key of its annotation. A peer's allowed addresses are those
 * of its pods, and its own in their ranges, which is what a host sends with (tunnel.ts): nothing of a node comes with any other.
 */
import { readFile } from 'node:fs/promises';
import { writeDurably } from '#base/durable-file.ts';
import { errnoOf, isPodwrightError, PodwrightError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { Node } from '#api/generated/objects.ts';
import { formatCidr, networkOf, parseCidr } from '#base/ip.ts';
import { ownNetns, type Netlink } from '#native/netlink/netlink.ts';
import { renderNetOp } from '#native/netlink/render.ts';
import { makePrivateKey, publicKeyOf } from '#native/wireguard/keys.ts';
import type {
  WireGuard,
  WireGuardChange,
  WireGuardDevice,
  WireGuardPeer,
  WireGuardPeerChange,
} from '#native/wireguard/wireguard.ts';
import { podCidrsOf } from './fabric-plan.ts';
import { nodeFabricOf } from './node-fabric.ts';
import type { Path } from './paths.ts';
import { planDevice, tunnelDevices, type Tunnel } from './tunnel.ts';

const name = tunnelDevices.wireguard;

/** The kernel tells nobody of peers that are changed: so they are looked at. */
const lookMs = 1_000;

export interface WireGuardTunnelOptions {
  readonly netlink: Netlink;
  readonly wireguard: WireGuard;
  /** The node's own; asked for when a device is first needed. */
  readonly privateKey: () => Promise<string>;
  readonly log: Logger;
}

export interface WireGuardTunnel extends Tunnel {
  /** undefined: there is no device yet. */
  publicKey(): string | undefined;
}

export function createWireGuardTunnel({
  netlink,
  wireguard,
  privateKey,
  log,
}: WireGuardTunnelOptions): WireGuardTunnel {
  let publicKey: string | undefined;
  /** By key, as it was given last: a peer that speaks from elsewhere is left where it is. */
  let told: ReadonlyMap<string, string> = new Map();
  return {
    kind: 'wireguard',
    lookMs,
    publicKey: () => publicKey,
    ensure: async (wanted, given) => {
      const isMade = !given.links.some((link) => link.name === name && link.kind === 'wireguard');
      if (isMade) {
        await makeLink(netlink, wanted.mtu);
        told = new Map();
        log.info({ name }, 'wireguard device made');
      }
      const key = await privateKey();
      const peers = peersOf(wanted.nodes, wanted.paths);
      const change = planWireGuard(
        { privateKey: key, listenPort: wanted.port, peers },
        await wireguard.device(ownNetns, name),
        told,
      );
      if (change !== undefined) {
        await wireguard.change(ownNetns, name, change);
        log.info({ peers: change.peers.map((peer) => peer.publicKey) }, 'wireguard changed');
      }
      told = new Map(peers.map((peer) => [peer.publicKey, endpointText(peer.endpoint)]));
      publicKey = publicKeyOf(key);
      // Up only with its key: until then it would send nothing anyway.
      const state = isMade ? await netlink.state(ownNetns) : given;
      const link = state.links.find((each) => each.name === name);
      if (link === undefined) return true;
      const ops = planDevice(link, wanted, state);
      if (ops.length > 0) {
        log.info({ ops: ops.map(renderNetOp) }, 'wireguard device changed');
        await netlink.apply(ownNetns, ops);
      }
      return isMade || ops.length > 0;
    },
    remove: () => netlink.apply(ownNetns, [{ op: 'removeLink', name }]),
  };
}

/** @throws E_UNSUPPORTED, in one clear word, where the kernel has none */
async function makeLink(netlink: Netlink, mtu: number): Promise<void> {
  try {
    await netlink.apply(ownNetns, [{ op: 'ensureLink', name, link: { kind: 'wireguard' }, mtu }]);
  } catch (error) {
    if (!isPodwrightError(error, 'E_UNSUPPORTED')) throw error;
    throw new PodwrightError(
      'E_UNSUPPORTED',
      'use WireGuard: this kernel has none (module wireguard, Linux 5.6)',
      {
        cause: error,
      },
    );
  }
}

/**
 * All nodes with a key: one that is reached by WireGuard has an endpoint, any other may send by it and is learned of when it speaks. Of two that
 * claim one address or key the path's owner has it (paths.ts); what has no path has what is left. Pure.
 */
export function peersOf(nodes: readonly Node[], paths: readonly Path[]): readonly WireGuardPeer[] {
  const owners = new Map(paths.map((path) => [path.destination, path.node]));
  const taken = new Set<string>();
  const endpoints = new Map(
    paths.flatMap((path) =>
      path.kind === 'wireguard' ? [[path.node, { ip: path.remote, port: path.port }] as const] : [],
    ),
  );
  return nodes
    .toSorted((a, b) => ((a.metadata?.name ?? '') < (b.metadata?.name ?? '') ? -1 : 1))
    .flatMap((node): readonly WireGuardPeer[] => {
      const nodeName = node.metadata?.name ?? '';
      const key = nodeFabricOf(node)?.publicKey;
      if (key === undefined || taken.has(key)) return [];
      const allowedIps = podCidrsOf(node)
        .flatMap((text) => parseCidr(text) ?? [])
        .map((cidr) => formatCidr(networkOf(cidr)))
        .filter((cidr) => (owners.get(cidr) ?? nodeName) === nodeName && !taken.has(cidr));
      for (const claim of [key, ...allowedIps]) taken.add(claim);
      return [{ publicKey: key, endpoint: endpoints.get(nodeName), allowedIps }];
    });
}

interface WireGuardWanted {
  readonly privateKey: string;
  readonly listenPort: number;
  readonly peers: readonly WireGuardPeer[];
}

const endpointText = (endpoint: WireGuardPeer['endpoint']): string =>
  endpoint === undefined ? '' : `${endpoint.ip} ${endpoint.port}`;

/**
 * What makes the device so; undefined if it is. Peers that go first, for an address belongs to one of them. `told`: the endpoints that
 * were given last. Pure.
 */
export function planWireGuard(
  { privateKey, listenPort, peers }: WireGuardWanted,
  actual: WireGuardDevice,
  told: ReadonlyMap<string, string>,
): WireGuardChange | undefined {
  const wanted = new Set(peers.map(({ publicKey }) => publicKey));
  const present = new Map(actual.peers.map((peer) => [peer.publicKey, peer]));
  const changes: readonly WireGuardPeerChange[] = [
    ...actual.peers
      .filter(({ publicKey }) => !wanted.has(publicKey))
      .map(({ publicKey }) => ({ publicKey, isRemoved: true })),
    ...peers.flatMap((peer) => changeOf(peer, present.get(peer.publicKey), told)),
  ];
  const isKeyed = actual.publicKey === publicKeyOf(privateKey);
  const isListening = actual.listenPort === listenPort;
  if (changes.length === 0 && isKeyed && isListening) return undefined;
  return {
    ...(isKeyed ? {} : { privateKey }),
    ...(isListening ? {} : { listenPort }),
    peers: changes,
  };
}

function changeOf(
  { publicKey, endpoint, allowedIps }: WireGuardPeer,
  actual: WireGuardPeer | undefined,
  told: ReadonlyMap<string, string>,
): readonly WireGuardPeerChange[] {
  const sorted = (ips: readonly string[]): string => ips.toSorted().join(' ');
  const isAllowed = actual !== undefined && sorted(actual.allowedIps) === sorted(allowedIps);
  // Once told, the kernel follows it to wherever it speaks from.
  const isThere =
    endpoint === undefined ||
    (actual?.endpoint !== undefined && told.get(publicKey) === endpointText(endpoint));
  if (isAllowed && isThere) return [];
  return [{ publicKey, ...(isThere ? {} : { endpoint }), ...(isAllowed ? {} : { allowedIps }) }];
}

/** The node's own key: made once, and kept where only root reads it. @throws E_DAMAGED where what is there is no key */
export async function ensurePrivateKey(file: string): Promise<string> {
  try {
    const key = (await readFile(file, 'utf8')).trim();
    if (publicKeyOf(key) !== undefined) return key;
    throw new PodwrightError(
      'E_DAMAGED',
      `read WireGuard key ${file}: it is none; remove it to have another made`,
    );
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
  const key = makePrivateKey();
  await writeDurably(file, `${key}\n`, { mode: 0o600 });
  return key;
}
