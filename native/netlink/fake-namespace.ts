/** One network namespace of the fake: links, IPv4 and IPv6 addresses, routes, by the kernel's rules as far as they show. */
import { bitsOf, cidrContains, formatCidr, formatIp, networkOf } from '#base/ip.ts';
import { unreachable } from '#base/unreachable.ts';
import { kernelError } from '#native/sys/errno.ts';
import { cidrOf, ipOf } from './address.ts';
import { RT_SCOPE_HOST, RT_SCOPE_LINK, RT_SCOPE_UNIVERSE, RT_TABLE_MAIN } from './netlink-constants.ts';
import type {
  AddressInfo,
  LinkInfo,
  LinkNeighbours,
  NetEvent,
  NetOp,
  NetworkState,
  RouteInfo,
  RoutingPolicy,
} from './netlink.ts';
import type { NeighbourOp } from './neighbour-encode.ts';
import { routeProtocolPodwright } from './rtnetlink-encode.ts';

const protocolKernel = 2; // RTPROT_KERNEL

export interface FakeLink extends LinkInfo {
  /** The other end of a veth. */
  readonly peer?: { readonly namespace: FakeNamespace; readonly index: number };
  readonly port?: {
    readonly hairpin: boolean;
    readonly isolated: boolean;
    readonly vlans: readonly number[];
  };
  readonly vlanFiltering?: boolean;
  readonly redirectedTo?: number;
  readonly neighbours?: LinkNeighbours;
}

const noNeighbours: LinkNeighbours = { neighbours: [], forwarding: [] };

const noDevice = (name: string): Error => kernelError(`find link ${name}`, 'ENODEV');

export class FakeNamespace {
  readonly sysctls: Map<string, string> = new Map();
  readonly watchers: Set<(event: NetEvent) => void> = new Set();
  readonly #links = new Map<number, FakeLink>();
  #addresses: readonly AddressInfo[] = [];
  #routes: readonly RouteInfo[] = [];
  #lastIndex = 0;
  #rules: RoutingPolicy['rules'] = [];
  #tableRoutes: RoutingPolicy['routes'] = [];

  constructor() {
    this.addLink({ name: 'lo', mtu: 65_536, mac: '00:00:00:00:00:00' });
  }

  get state(): NetworkState {
    const plain = (link: FakeLink): LinkInfo => {
      const {
        peer: _peer,
        port: _port,
        redirectedTo: _to,
        vlanFiltering: _vlan,
        neighbours: _,
        ...rest
      } = link;
      return rest;
    };
    return {
      links: [...this.#links.values()].map(plain),
      addresses: this.#addresses,
      routes: this.#routes,
    };
  }

  get policy(): RoutingPolicy {
    return { rules: this.#rules, routes: this.#tableRoutes };
  }

  changeRule({ op, source, table }: Extract<NetOp, { readonly op: 'ensureRule' | 'removeRule' }>): void {
    const rule = { source: formatCidr(networkOf(cidrOf(source))), table };
    const others = this.#rules.filter((each) => each.source !== rule.source || each.table !== table);
    this.#rules = op === 'ensureRule' ? [...others, rule] : others;
  }

  neighbours(name: string): LinkNeighbours {
    return this.find(name)?.neighbours ?? noNeighbours;
  }

  /** One entry for an address, and one for the hardware address of a forwarding database. */
  changeNeighbour(op: NeighbourOp): void {
    const removed = op.op === 'removeNeighbour' || op.op === 'removeForwarding';
    const link = removed ? this.find(op.name) : this.get(op.name);
    if (link === undefined) return;
    const before = link.neighbours ?? noNeighbours;
    const after = changedNeighbours(before, op);
    if (removed && after === before) return;
    this.#links.set(link.index, { ...link, neighbours: after });
    this.tell({ kind: 'neighbour', linkIndex: link.index, removed });
  }

  get links(): readonly FakeLink[] {
    return [...this.#links.values()];
  }

  tell(event: NetEvent): void {
    for (const watcher of this.watchers) watcher(event);
  }

  find(name: string): FakeLink | undefined {
    return this.links.find((link) => link.name === name);
  }

  get(name: string): FakeLink {
    const link = this.find(name);
    if (link === undefined) throw noDevice(name);
    return link;
  }

  /** The new link's index. */
  addLink(link: {
    readonly name: string;
    readonly mtu?: number;
    readonly mac?: string;
    readonly kind?: string;
    readonly vxlan?: LinkInfo['vxlan'];
    readonly vrfTable?: number;
    readonly part?: Partial<LinkInfo>;
  }): number {
    const index = ++this.#lastIndex;
    const mac = link.mac?.toLowerCase() ?? `02:00:00:00:00:${index.toString(16).padStart(2, '0')}`;
    this.#links.set(index, {
      index,
      name: link.name,
      kind: link.kind,
      mac,
      mtu: link.mtu ?? 1500,
      isUp: false,
      master: undefined,
      peerIndex: undefined,
      isPromiscuous: false,
      isAllMulticast: false,
      txQueueLength: 1000,
      ...(link.vxlan !== undefined && { vxlan: link.vxlan }),
      ...(link.vrfTable !== undefined && { vrfTable: link.vrfTable }),
      ...link.part,
    });
    this.tell({ kind: 'link', name: link.name, removed: false });
    return index;
  }

  change(index: number, changes: Partial<FakeLink>): void {
    const link = this.#links.get(index);
    if (link === undefined) return;
    const changed = { ...link, ...changes };
    this.#links.set(index, changed);
    this.tell({ kind: 'link', name: changed.name, removed: false });
    if (changed.isUp && !link.isUp) this.#connect(index);
    if (changed.isUp || !link.isUp) return;
    this.#dropRoutes((route) => route.linkIndex === index);
    // Permanent neighbours go too (neigh_ifdown of net/core/neighbour.c); where frames go, a vxlan device keeps.
    const { forwarding } = link.neighbours ?? noNeighbours;
    this.#links.set(index, { ...changed, neighbours: { neighbours: [], forwarding } });
  }

  /** Takes the link out with all that hangs on it; a veth's other end is left to the caller. */
  takeLink(index: number): FakeLink | undefined {
    const link = this.#links.get(index);
    if (link === undefined) return undefined;
    this.#dropRoutes((route) => route.linkIndex === index);
    this.#tableRoutes = this.#tableRoutes.filter((route) => route.linkIndex !== index);
    for (const address of this.#addresses.filter((entry) => entry.linkIndex === index)) {
      this.removeAddress(link.name, address.address);
    }
    this.#links.delete(index);
    for (const port of this.links.filter((other) => other.master === index)) {
      this.change(port.index, { master: undefined });
    }
    this.tell({ kind: 'link', name: link.name, removed: true });
    return link;
  }

  /** A link from another namespace: down, without addresses. */
  putLink(link: FakeLink, name: string): number {
    const index = this.#links.has(link.index) ? ++this.#lastIndex : link.index;
    this.#lastIndex = Math.max(this.#lastIndex, index);
    this.#links.set(index, { ...link, index, name, isUp: false, master: undefined });
    this.tell({ kind: 'link', name, removed: false });
    return index;
  }

  ensureAddress(name: string, text: string): void {
    const { index, isUp } = this.get(name);
    const address = canonicalAddress(text);
    if (this.#addresses.some((entry) => entry.linkIndex === index && entry.address === address)) return;
    this.#addresses = [...this.#addresses, { linkIndex: index, address, ...scopeOf(address) }];
    this.tell({ kind: 'address', linkIndex: index, removed: false });
    if (isUp) this.#connect(index);
  }

  /** Whether it was there. */
  removeAddress(name: string, text: string): void {
    const index = this.find(name)?.index;
    const address = canonicalAddress(text);
    const found = this.#addresses.find((entry) => entry.linkIndex === index && entry.address === address);
    if (found === undefined) return;
    this.#addresses = this.#addresses.filter((entry) => entry !== found);
    this.tell({ kind: 'address', linkIndex: found.linkIndex, removed: true });
    const network = canonicalNetwork(text);
    this.#dropRoutes(
      (route) =>
        route.linkIndex === index && route.protocol === protocolKernel && route.destination === network,
    );
  }

  ensureRoute(op: Extract<NetOp, { readonly op: 'ensureRoute' }>): void {
    const destination = canonicalDestination(op.destination);
    const isUnicast = (op.type ?? 'unicast') === 'unicast';
    const isUnreachable = op.type === 'unreachable';
    const ofRefusal = destination.includes(':') ? this.find('lo')?.index : undefined;
    const linkIndex = isUnicast ? this.#outgoing(op) : ofRefusal;
    if (op.type === 'local') return; // The local table does not show in the state.
    const direct = op.gateway === undefined && isUnicast;
    const scopes = { global: RT_SCOPE_UNIVERSE, link: RT_SCOPE_LINK, host: RT_SCOPE_HOST } as const;
    const route: RouteInfo = {
      destination,
      gateway: op.gateway === undefined ? undefined : formatIp(ipOf(op.gateway)),
      linkIndex,
      protocol: op.protocol ?? routeProtocolPodwright,
      scope: scopes[op.scope ?? (direct ? 'link' : 'global')],
      ...(op.priority === undefined ? {} : { priority: op.priority }),
      ...(op.source === undefined ? {} : { source: op.source }),
      ...(op.mtu === undefined ? {} : { mtu: op.mtu }),
      ...(op.isOnLink === true ? { isOnLink: true } : {}),
      ...(isUnreachable ? { isUnreachable } : {}),
    };
    if (op.table !== undefined && op.table !== RT_TABLE_MAIN) {
      const { table } = op;
      const others = this.#tableRoutes.filter(
        (other) => other.table !== table || other.destination !== destination,
      );
      this.#tableRoutes = [...others, { ...route, table }];
      return;
    }
    const isSameFamily = (other: RouteInfo): boolean => isIpv6Route(other) === isIpv6Route(route);
    const replaced = this.#routes.find(
      (other) =>
        other.destination === destination && other.priority === route.priority && isSameFamily(other),
    );
    this.#routes =
      replaced === undefined
        ? [...this.#routes, route]
        : this.#routes.map((other) => (other === replaced ? route : other));
    this.tell({ kind: 'route', destination, removed: false });
  }

  removeRoute(op: Extract<NetOp, { readonly op: 'removeRoute' }>): void {
    const destination = canonicalDestination(op.destination);
    const gateway = op.gateway === undefined ? undefined : formatIp(ipOf(op.gateway));
    const dev = op.dev === undefined ? undefined : this.find(op.dev)?.index;
    if (op.dev !== undefined && dev === undefined) return;
    if (op.table !== undefined) {
      this.#tableRoutes = this.#tableRoutes.filter(
        (route) => route.table !== op.table || route.destination !== destination,
      );
      return;
    }
    const found = this.#routes.find(
      (route) =>
        route.destination === destination &&
        (gateway === undefined || route.gateway === gateway) &&
        (dev === undefined || route.linkIndex === dev),
    );
    this.#dropRoutes((route) => route === found);
  }

  /** The link that a route leaves by. */
  #outgoing(op: Extract<NetOp, { readonly op: 'ensureRoute' }>): number | undefined {
    const { gateway } = op;
    const link = op.dev === undefined ? undefined : this.get(op.dev);
    if (link?.isUp === false)
      throw kernelError('add route', 'ENETDOWN', { why: 'Device for nexthop is not up' });
    if (op.isOnLink === true && link !== undefined) return link.index;
    if (gateway === undefined) {
      if (link === undefined) throw kernelError('add route', 'ENODEV');
      return link.index;
    }
    const onLink = this.#routes.find(
      (route) =>
        route.gateway === undefined &&
        route.linkIndex !== undefined &&
        covers(route.destination, gateway) &&
        (link === undefined || route.linkIndex === link.index),
    );
    if (onLink?.linkIndex !== undefined) return onLink.linkIndex;
    throw kernelError('add route', 'ENETUNREACH', { why: 'Nexthop has invalid gateway' });
  }

  /** An address on a link that is up makes its network reachable. */
  #connect(index: number): void {
    for (const { address } of this.#addresses.filter((entry) => entry.linkIndex === index)) {
      const { ip, prefix } = cidrOf(address);
      const destination = canonicalNetwork(address);
      const isHost = prefix === bitsOf(ip.family) || (ip.family === 4 && ip.w3 >>> 24 === 127);
      if (
        isHost ||
        this.#routes.some((route) => route.destination === destination && route.linkIndex === index)
      ) {
        continue;
      }
      const route: RouteInfo = {
        destination,
        gateway: undefined,
        linkIndex: index,
        protocol: protocolKernel,
        scope: ip.family === 4 ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE,
      };
      this.#routes = [...this.#routes, route];
      this.tell({ kind: 'route', destination, removed: false });
    }
  }

  #dropRoutes(isDropped: (route: RouteInfo) => boolean): void {
    const dropped = this.#routes.filter(isDropped);
    this.#routes = this.#routes.filter((route) => !isDropped(route));
    for (const { destination } of dropped) this.tell({ kind: 'route', destination, removed: true });
  }
}

function changedNeighbours(before: LinkNeighbours, op: NeighbourOp): LinkNeighbours {
  const { neighbours, forwarding } = before;
  switch (op.op) {
    case 'ensureNeighbour': {
      const [address, mac] = [formatIp(ipOf(op.address)), op.mac.toLowerCase()];
      const others = neighbours.filter((each) => each.address !== address);
      return { forwarding, neighbours: [...others, { address, mac }] };
    }
    case 'removeNeighbour': {
      const others = neighbours.filter(({ address }) => address !== formatIp(ipOf(op.address)));
      return others.length === neighbours.length ? before : { forwarding, neighbours: others };
    }
    case 'ensureForwarding': {
      const [mac, remote] = [op.mac.toLowerCase(), formatIp(ipOf(op.remote))];
      const others = forwarding.filter((each) => each.mac !== mac);
      return { neighbours, forwarding: [...others, { mac, remote }] };
    }
    case 'removeForwarding': {
      const isIt = (each: (typeof forwarding)[number]): boolean =>
        each.mac === op.mac.toLowerCase() && each.remote === formatIp(ipOf(op.remote));
      return forwarding.some(isIt)
        ? { neighbours, forwarding: forwarding.filter((each) => !isIt(each)) }
        : before;
    }
    default:
      return unreachable(op);
  }
}

function canonicalAddress(text: string): string {
  return formatCidr(cidrOf(text));
}

function canonicalNetwork(text: string): string {
  return formatCidr(networkOf(cidrOf(text)));
}

function canonicalDestination(text: string): string {
  if (text === 'default' || cidrOf(text).prefix === 0) return 'default';
  return canonicalNetwork(text);
}

/** As the kernel scopes an address that somebody gives a link without saying more. */
function scopeOf(address: string): Pick<AddressInfo, 'scope'> {
  if (/^(127\.|::1\/)/.test(address)) return { scope: RT_SCOPE_HOST };
  return address.startsWith('fe80') ? { scope: RT_SCOPE_LINK } : {};
}

const isIpv6Route = (route: RouteInfo): boolean => (route.gateway ?? route.destination).includes(':');

function covers(destination: string, address: string): boolean {
  return destination !== 'default' && cidrContains(cidrOf(destination), ipOf(address));
}
