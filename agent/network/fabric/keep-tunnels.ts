import { servedCidrsOf } from '#agent/network/cluster-network.ts';
import { describeError, isPodwrightError, PodwrightError } from '#base/errors.ts';
import type { Node } from '#api/generated/objects.ts';
import { formatCidr, hostCidr, parseIp, type IpFamily } from '#base/ip.ts';
import { ownNetns, type NetworkState } from '#native/netlink/netlink.ts';
import type { FabricChoice } from './choice.ts';
import type { FabricOptions, TunnelFacts } from './fabric-options.ts';
import { isAddressOf, isTunnelDevice } from './fabric-plan.ts';
import type { KernelView } from './kernel-view.ts';
import { macOfNode, type NodeFabric } from './node-fabric.ts';
import {
  computePaths,
  endpointOf,
  fabricIpsOf,
  ipOfFamily,
  isOnLink,
  kindsOf,
  type Path,
  type PathProblem,
  type Paths,
  type TunnelKind,
} from './paths.ts';
import { defaultFabric, type FabricSettings } from './settings.ts';
import { tunnelDevices, tunnelMtu, type Tunnel, type TunnelWanted } from './tunnel.ts';

/** How long a tunnel that nobody asks for any more is kept: others may not have heard yet. */
const lingerMs = 30_000;

/** When a tunnel that could not be had is tried again: an address may come, a module may be loaded. */
const retryMs = 10_000;

/** What is assumed of a link that has no address now. */
const linkMtuDefault = 1500;

interface Look {
  /** As they are after what was done. */
  readonly links: NetworkState['links'];
  readonly problems: readonly PathProblem[];
  /** Why the node is not reached as it was told to be; undefined: it is. */
  readonly refusal: unknown;
  /** When something is due, in ms; undefined: nothing is. */
  readonly againMs: number | undefined;
}

/** The node's devices of tunnels, and how each other node is reached. */
export interface TunnelKeeper {
  look(): Promise<Look>;
  paths(): readonly Path[];
  /** The largest packet of a pod, in bytes. */
  podMtu(): number;
  /** The same of what a path has room for. */
  mtuOf(path: Path): number;
  tunnels(): TunnelFacts;
  /** What the others are told. */
  published(): NodeFabric;
  hasRouteTo(destination: string): boolean;
  isOwnLink(linkIndex: number): boolean;
}

type KeeperOptions = FabricOptions & { readonly choice: FabricChoice; readonly kernel: KernelView };

export function createTunnelKeeper(options: KeeperOptions): TunnelKeeper {
  return new Keeper(options);
}

class Keeper implements TunnelKeeper {
  readonly #options: KeeperOptions;
  readonly #tunnels: ReadonlyMap<TunnelKind, Tunnel>;
  readonly #outerFamily: IpFamily;
  /** What was asked for last, and could be had. */
  #settings: FabricSettings = defaultFabric;
  #paths: readonly Path[] = [];
  #kinds: ReadonlySet<TunnelKind> = new Set();
  #linkMtu = linkMtuDefault;
  #ownLinks: ReadonlySet<number> = new Set();
  #destinations: ReadonlySet<string> = new Set();
  #vxlanPort = 0;
  #said = '';
  /** Since when a kind that is there is not asked for, by the monotonic clock. */
  readonly #unwanted = new Map<TunnelKind, number>();

  constructor(options: KeeperOptions) {
    this.#options = options;
    this.#tunnels = new Map((options.tunnels ?? []).map((tunnel) => [tunnel.kind, tunnel]));
    // Each node has an address of every family of the cluster: so all choose the same.
    this.#outerFamily = options.networks.some(({ family }) => family === 4) ? 4 : 6;
  }

  async look(): Promise<Look> {
    const { kernel, nodes, nodeName, nodeIps, choice } = this.#options;
    const others = nodes.list().filter((node) => node.metadata?.name !== nodeName);
    const { settings: asked, problem } = choice.current();
    const before = await kernel.read();
    this.#linkMtu = linkMtuOf(before, ipOfFamily(nodeIps, this.#outerFamily)) ?? this.#linkMtu;
    this.#kinds = kindsOf(asked.kind, others);
    const { paths, problems } = this.#decide(asked, others, before);
    const refused = await this.#ensure({ asked, others, paths, state: before });
    const isRefused = (kind: string): boolean => refused.errors.has(kind);
    if (!isRefused(asked.kind)) this.#settings = asked;
    this.#paths = paths.filter(({ kind }) => !isRefused(kind));
    const { networks, serviceNetworks } = this.#options;
    const services = (serviceNetworks?.current() ?? networks).flatMap(servedCidrsOf);
    this.#destinations = new Set([...services, ...this.#paths.map(({ destination }) => destination)]);
    const again = await this.#removeUnwanted(before, refused.errors);
    const isAddressed = await this.#ensureOwnAddresses(before);
    if (refused.isChanged || again.isChanged || isAddressed) kernel.forget();
    const { links } = await kernel.read();
    this.#ownLinks = new Set(links.filter(({ name }) => isTunnelDevice(name)).map(({ index }) => index));
    const own = [
      ...(problem === undefined ? [] : [problem]),
      ...[...refused.errors.values()].map(describeError),
    ];
    return {
      links,
      problems: [...own.map((message) => ({ node: '', message })), ...problems],
      refusal: refused.errors.get(asked.kind),
      againMs: again.againMs,
    };
  }

  #decide(asked: FabricSettings, others: readonly Node[], state: NetworkState): Paths {
    const vxlan = endpointOf('vxlan', asked, others);
    this.#vxlanPort = vxlan.port;
    return computePaths({
      nodes: others,
      ownName: this.#options.nodeName,
      outerFamily: this.#outerFamily,
      vxlan,
      isDirect: asked.isDirect,
      isOnLink: (ip) => isOnLink(state, ip),
    });
  }

  /** One kind that cannot be had keeps no other from being there. */
  async #ensure({ asked, others, paths, state }: EnsureInput): Promise<Ensured> {
    const errors = new Map<string, unknown>();
    let isChanged = false;
    for (const kind of this.#kinds) {
      this.#unwanted.delete(kind);
      try {
        const tunnel = this.#tunnels.get(kind);
        if (tunnel === undefined)
          throw new PodwrightError('E_UNSUPPORTED', `use fabric ${kind}: this node has none`);
        const ofKind = paths.filter((path) => path.kind === kind);
        const wanted = this.#wanted(kind, endpointOf(kind, asked, others), asked);
        if (await tunnel.ensure({ ...wanted, paths: ofKind, nodes: others }, state)) isChanged = true;
      } catch (error) {
        if (!isPodwrightError(error)) throw error;
        errors.set(kind, error);
        isChanged = true;
      }
    }
    this.#sayRefusals(errors);
    return { errors, isChanged };
  }

  /** Once, however often it is tried again. */
  #sayRefusals(errors: ReadonlyMap<string, unknown>): void {
    const texts = [...errors].map(([kind, error]) => `${kind}: ${describeError(error)}`);
    const said = texts.join('; ');
    if (said !== this.#said && said !== '')
      this.#options.log.warn({ error: said }, 'the fabric lacks a tunnel that was asked for');
    this.#said = said;
  }

  #wanted(
    kind: TunnelKind,
    endpoint: Pick<NodeFabric, 'port' | 'vni'>,
    { mtu }: FabricSettings,
  ): Omit<TunnelWanted, 'paths' | 'nodes'> {
    const { nodeIps, nodes, nodeName, networks } = this.#options;
    const local = ipOfFamily(nodeIps, this.#outerFamily);
    const own = nodes.get(nodeName);
    if (local === undefined || own === undefined)
      throw new PodwrightError('E_NOT_FOUND', `make the ${kind} tunnel: the node has no address for it`);
    const most = tunnelMtu(kind, this.#outerFamily, this.#linkMtu);
    checkMtu(kind, Math.min(mtu ?? most, most), networks);
    return {
      local,
      port: endpoint.port,
      vni: endpoint.vni,
      mtu: Math.min(mtu ?? most, most),
      addresses: fabricIpsOf(own),
      clusterCidrs: networks.map(({ clusterCidr }) => clusterCidr),
    };
  }

  /**
   * Of its ranges the node has the first, whatever it is reached by: others ask there whether packets of pods pass. On lo, where it is no
   * matter which links come and go.
   */
  async #ensureOwnAddresses({ links, addresses }: NetworkState): Promise<boolean> {
    const { netlink, nodes, nodeName } = this.#options;
    const lo = links.find(({ name }) => name === 'lo')?.index;
    const there = new Set(
      addresses.filter(({ linkIndex }) => linkIndex === lo).map(({ address }) => address),
    );
    const missing = fabricIpsOf(nodes.get(nodeName) ?? {})
      .flatMap((text) => parseIp(text) ?? [])
      .map((ip) => formatCidr(hostCidr(ip)))
      .filter((address) => !there.has(address));
    if (missing.length === 0) return false;
    await netlink.apply(
      ownNetns,
      missing.map((address) => ({ op: 'ensureAddress', name: 'lo', address })),
    );
    return true;
  }

  /** Of what is there and nobody asks for; others go on sending by it until they have heard. */
  async #removeUnwanted(
    { links }: NetworkState,
    errors: ReadonlyMap<string, unknown>,
  ): Promise<{ isChanged: boolean; againMs: number | undefined }> {
    const now = this.#options.clock.monotonic();
    let [isChanged, againMs] = [false, Number.POSITIVE_INFINITY];
    for (const [kind, tunnel] of this.#tunnels) {
      if (this.#kinds.has(kind) || !links.some(({ name }) => name === tunnelDevices[kind])) continue;
      const since = this.#unwanted.get(kind) ?? now;
      this.#unwanted.set(kind, since);
      const leftMs = since + lingerMs - now;
      if (leftMs <= 0) {
        await tunnel.remove();
        this.#unwanted.delete(kind);
        isChanged = true;
      } else againMs = Math.min(againMs, leftMs);
    }
    for (const kind of this.#kinds) {
      const dueMs = errors.has(kind) ? retryMs : this.#tunnels.get(kind)?.lookMs;
      againMs = Math.min(againMs, dueMs ?? againMs);
    }
    return { isChanged, againMs: Number.isFinite(againMs) ? againMs : undefined };
  }

  paths(): readonly Path[] {
    return this.#paths;
  }

  podMtu(): number {
    const { kind } = this.#settings;
    return this.#mtuBy(kind === 'host-gw' ? undefined : kind);
  }

  mtuOf({ kind }: Path): number {
    // A pod sends no more than its own link takes.
    return Math.min(this.podMtu(), this.#mtuBy(kind === 'direct' ? undefined : kind));
  }

  #mtuBy(kind: TunnelKind | undefined): number {
    const most = kind === undefined ? this.#linkMtu : tunnelMtu(kind, this.#outerFamily, this.#linkMtu);
    return Math.min(this.#settings.mtu ?? most, most);
  }

  tunnels(): TunnelFacts {
    const behind = this.#paths.filter(({ kind }) => kind !== 'direct');
    return {
      nodes: new Set(behind.map(({ node }) => node)),
      vxlanPort: this.#kinds.has('vxlan') ? this.#vxlanPort : undefined,
      outerFamily: this.#outerFamily,
    };
  }

  published(): NodeFabric {
    const { kind, port, vni } = this.#settings;
    const publicKey = this.#kinds.has('wireguard') ? this.#options.publicKey?.() : undefined;
    return {
      ...{ kind, port, vni },
      ...(kind === 'vxlan' ? { mac: macOfNode(this.#options.nodeName) } : {}),
      ...(publicKey === undefined ? {} : { publicKey }),
    };
  }

  hasRouteTo(destination: string): boolean {
    return this.#destinations.has(destination);
  }

  isOwnLink(linkIndex: number): boolean {
    return this.#ownLinks.has(linkIndex);
  }
}

interface EnsureInput {
  readonly asked: FabricSettings;
  readonly others: readonly Node[];
  readonly paths: readonly Path[];
  readonly state: NetworkState;
}

interface Ensured {
  /** By kind. */
  readonly errors: ReadonlyMap<string, unknown>;
  readonly isChanged: boolean;
}

/** A link with a smaller MTU has no IPv6 (RFC 8200, section 5), and below that of IPv4 hosts nobody means it. */
function checkMtu(kind: TunnelKind, mtu: number, networks: FabricOptions['networks']): void {
  const least = networks.some(({ family }) => family === 6) ? 1280 : 576;
  if (mtu >= least) return;
  throw new PodwrightError(
    'E_LIMIT',
    `make the ${kind} tunnel: pods' packets would have ${mtu} bytes at most, and must have ${least}; the link of the nodes needs a larger MTU`,
  );
}

function linkMtuOf({ links, addresses }: NetworkState, ip: string | undefined): number | undefined {
  const own = addresses.find(({ address }) => ip !== undefined && isAddressOf(address, ip));
  return links.find(({ index }) => index === own?.linkIndex)?.mtu;
}
