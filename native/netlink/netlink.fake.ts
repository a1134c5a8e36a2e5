import { PodwrightError } from '#base/errors.ts';
import { unreachable } from '#base/unreachable.ts';
import { kernelError } from '#native/sys/errno.ts';
import { type FakeLink, FakeNamespace } from './fake-namespace.ts';
import type {
  LinkInfo,
  LinkKind,
  LinkNeighbours,
  NetChange,
  NetEvent,
  Netlink,
  NetnsRef,
  NetOp,
  NetworkState,
  RoutingPolicy,
} from './netlink.ts';
import { opError } from './op-error.ts';
import { renderNetns, renderNetOp } from './render.ts';
import { checkedName, encodeNetOp, type Resolver } from './rtnetlink-encode.ts';
import { sysctlPath } from './sysctl.ts';

export interface FakeNetlink extends Netlink {
  /** The paths of the namespaces that were made and not removed. */
  readonly namespaces: readonly string[];
  /** The links of a namespace with what the port's state does not show. */
  links(netns: NetnsRef): readonly FakeLink[];
  sysctl(netns: NetnsRef, key: string): string | undefined;
  /** Lets the next op of that kind fail. */
  failOnce(op: NetOp['op'] | 'createNetns' | 'removeNetns', errno: string): void;
}

/** Namespaces in memory; the process's own has `lo` and, up and addressed, `eth0` (192.0.2.10/24). */
export function createFakeNetlink(): FakeNetlink {
  return new MemoryNetlink();
}

class MemoryNetlink implements FakeNetlink {
  readonly #own = new FakeNamespace();
  readonly #named = new Map<string, FakeNamespace>();
  readonly #failures: { readonly op: string; readonly errno: string }[] = [];

  constructor() {
    this.#own.change(this.#own.addLink({ name: 'eth0' }), { isUp: true });
    this.#own.ensureAddress('eth0', '192.0.2.10/24');
  }

  get namespaces(): readonly string[] {
    return [...this.#named.keys()].sort();
  }

  async createNetns(path: string): Promise<void> {
    this.#failIfAsked('createNetns', `create network namespace ${path}`);
    if (this.#named.has(path)) throw kernelError(`create network namespace ${path}`, 'EEXIST');
    this.#named.set(path, new FakeNamespace());
  }

  async removeNetns(path: string): Promise<void> {
    this.#failIfAsked('removeNetns', `unmount ${path}`);
    const namespace = this.#named.get(path);
    this.#named.delete(path);
    for (const link of namespace?.links ?? []) link.peer?.namespace.takeLink(link.peer.index);
  }

  async apply(netns: NetnsRef, ops: readonly NetOp[]): Promise<void> {
    const namespace = this.#find(netns);
    ops.forEach((op, index) => {
      try {
        this.#failIfAsked(op.op, renderNetOp(op));
        this.#checkValues(op);
        this.#apply(namespace, op);
      } catch (error) {
        throw opError(error, op, index);
      }
    });
  }

  async applyAll(changes: readonly NetChange[]): Promise<void> {
    for (const { netns, ops } of changes) await this.apply(netns, ops);
  }

  async state(netns: NetnsRef): Promise<NetworkState> {
    return this.#find(netns).state;
  }

  async policy(netns: NetnsRef): Promise<RoutingPolicy> {
    return this.#find(netns).policy;
  }

  /** Those that were set. */
  async sysctls(netns: NetnsRef, keys: readonly string[]): Promise<readonly (string | undefined)[]> {
    return keys.map((key) => this.sysctl(netns, key));
  }

  async neighbours(netns: NetnsRef, link: string): Promise<LinkNeighbours> {
    return this.#find(netns).neighbours(link);
  }

  async watch(netns: NetnsRef, onEvent: (event: NetEvent) => void): Promise<AsyncDisposable> {
    const { watchers } = this.#find(netns);
    watchers.add(onEvent);
    return { [Symbol.asyncDispose]: async () => void watchers.delete(onEvent) };
  }

  links(netns: NetnsRef): readonly FakeLink[] {
    return this.#find(netns).links;
  }

  sysctl(netns: NetnsRef, key: string): string | undefined {
    return this.#find(netns).sysctls.get(sysctlPath(key));
  }

  failOnce(op: string, errno: string): void {
    this.#failures.push({ op, errno });
  }

  #failIfAsked(op: string, attempt: string): void {
    const at = this.#failures.findIndex((failure) => failure.op === op);
    if (at < 0) return;
    const [failure] = this.#failures.splice(at, 1);
    throw kernelError(attempt, failure?.errno ?? 'EIO');
  }

  #find(netns: NetnsRef): FakeNamespace {
    const namespace = netns.kind === 'own' ? this.#own : this.#named.get(netns.path);
    if (namespace === undefined) throw kernelError(`open ${renderNetns(netns)}`, 'ENOENT');
    return namespace;
  }

  /** What the encoder refuses, the fake refuses: it is run for its checks. */
  #checkValues(op: NetOp): void {
    const anything: Resolver = { linkIndex: (name) => checkedName(name).length, netnsFd: () => 1 };
    if (op.op === 'setSysctl') sysctlPath(op.key);
    else if (op.op === 'addTap') checkedName(op.name);
    else encodeNetOp(op, anything, 1);
  }

  #apply(namespace: FakeNamespace, op: NetOp): void {
    switch (op.op) {
      case 'addLink':
        return this.#addLink(namespace, op);
      case 'ensureLink':
        return this.#ensureLink(namespace, op);
      case 'removeLink':
        return this.#removeLink(namespace, op.name);
      case 'setLink':
        return this.#setLink(namespace, op);
      case 'setBridgePort': {
        const { index, master, port } = namespace.get(op.name);
        if (master === undefined) throw kernelError(renderNetOp(op), 'EOPNOTSUPP');
        const { hairpin, isolated, vlans } = { ...plainPort, ...port };
        return namespace.change(index, {
          port: { hairpin: op.hairpin ?? hairpin, isolated: op.isolated ?? isolated, vlans },
        });
      }
      case 'setBridge':
        return namespace.change(namespace.get(op.name).index, { vlanFiltering: op.vlanFiltering });
      case 'addBridgeVlans':
      case 'removeBridgeVlans':
        return changeVlans(namespace, op);
      case 'ensureAddress':
        return namespace.ensureAddress(op.name, op.address);
      case 'removeAddress':
        return namespace.removeAddress(op.name, op.address);
      case 'ensureRoute':
        return namespace.ensureRoute(op);
      case 'removeRoute':
        return namespace.removeRoute(op);
      case 'ensureNeighbour':
      case 'removeNeighbour':
      case 'ensureForwarding':
      case 'removeForwarding':
        return namespace.changeNeighbour(op);
      case 'ensureRule':
      case 'removeRule':
        return namespace.changeRule(op);
      case 'addTap':
        if (namespace.find(op.name) !== undefined) throw kernelError(renderNetOp(op), 'EBUSY');
        namespace.addLink({ name: op.name, kind: 'tun' });
        return;
      case 'setQueue':
        return namespace.change(
          namespace.get(op.name).index,
          op.queue.kind === 'ingress' ? {} : { queue: op.queue.kind },
        );
      case 'addQueueClass':
      case 'addQueueFilter':
        namespace.get(op.name);
        return;
      case 'redirectIngress':
        return namespace.change(namespace.get(op.name).index, { redirectedTo: namespace.get(op.to).index });
      case 'setSysctl':
        namespace.sysctls.set(sysctlPath(op.key), op.value);
        return;
      default:
        return unreachable(op);
    }
  }

  #addLink(namespace: FakeNamespace, op: Extract<NetOp, { readonly op: 'addLink' | 'ensureLink' }>): void {
    const { link } = op;
    const exists = kernelError(renderNetOp(op), 'EEXIST');
    const place = op.op === 'addLink' && op.netns !== undefined ? this.#find(op.netns) : namespace;
    if (place.find(op.name) !== undefined) throw exists;
    const settings = {
      name: op.name,
      kind: link.kind,
      ...(op.mtu !== undefined && { mtu: op.mtu }),
      ...(op.mac !== undefined && { mac: op.mac }),
      part: partOf(link, namespace),
    };
    if ('dev' in link && link.dev !== undefined) namespace.get(link.dev);
    if (link.kind !== 'veth') {
      place.addLink({ ...settings, ...vxlanOf(link), ...(link.kind === 'vrf' && { vrfTable: link.table }) });
      return;
    }
    const other = link.peerNetns === undefined ? namespace : this.#find(link.peerNetns);
    const isSelf = other === namespace && link.peerName === op.name;
    if (isSelf || other.find(link.peerName) !== undefined) throw exists;
    const index = namespace.addLink(settings);
    const peerIndex = other.addLink({
      name: link.peerName,
      kind: 'veth',
      ...(op.mtu !== undefined && { mtu: op.mtu }),
      ...(link.peerMac !== undefined && { mac: link.peerMac }),
    });
    this.#pair({ namespace, index }, { namespace: other, index: peerIndex });
  }

  #pair(one: NonNullable<FakeLink['peer']>, two: NonNullable<FakeLink['peer']>): void {
    one.namespace.change(one.index, { peer: two, peerIndex: two.index });
    two.namespace.change(two.index, { peer: one, peerIndex: one.index });
  }

  #ensureLink(namespace: FakeNamespace, op: Extract<NetOp, { readonly op: 'ensureLink' }>): void {
    const link = namespace.find(op.name);
    if (link === undefined) return this.#addLink(namespace, op);
    if (link.kind !== op.link.kind) {
      throw kernelError(renderNetOp(op), 'EEXIST', { why: `it is a ${link.kind ?? 'physical link'}` });
    }
    return namespace.change(link.index, {
      ...(op.mtu !== undefined && { mtu: op.mtu }),
      ...(op.mac !== undefined && { mac: op.mac.toLowerCase() }),
    });
  }

  #removeLink(namespace: FakeNamespace, name: string): void {
    const link = namespace.find(name);
    if (link === undefined) return;
    if (name === 'lo') throw kernelError(`remove link ${name}`, 'EOPNOTSUPP');
    namespace.takeLink(link.index);
    link.peer?.namespace.takeLink(link.peer.index);
  }

  #setLink(namespace: FakeNamespace, op: Extract<NetOp, { readonly op: 'setLink' }>): void {
    const link = namespace.get(op.name);
    const target = op.moveTo === undefined ? namespace : this.#find(op.moveTo);
    const name = op.rename ?? op.name;
    const isTaken = target.find(name) !== undefined && (target !== namespace || name !== op.name);
    if (isTaken) throw kernelError(renderNetOp(op), 'EEXIST');
    const master =
      op.master === undefined ? link.master : op.master === null ? undefined : namespace.get(op.master).index;
    let { index } = link;
    if (target !== namespace) {
      if (link.name === 'lo') throw new PodwrightError('E_INVALID', 'move lo to another namespace');
      namespace.takeLink(link.index);
      index = target.putLink(link, name);
      if (link.peer !== undefined) this.#pair({ namespace: target, index }, link.peer);
    }
    target.change(index, {
      name,
      ...(target === namespace && { master }),
      ...(op.up !== undefined && { isUp: op.up }),
      ...(op.mtu !== undefined && { mtu: op.mtu }),
      ...(op.mac !== undefined && { mac: op.mac.toLowerCase() }),
      ...(op.alias !== undefined && { alias: op.alias }),
      ...(op.promiscuous !== undefined && { isPromiscuous: op.promiscuous }),
      ...(op.allMulticast !== undefined && { isAllMulticast: op.allMulticast }),
      ...(op.txQueueLength !== undefined && { txQueueLength: op.txQueueLength }),
    });
  }
}

function vxlanOf(link: LinkKind): Pick<LinkInfo, 'vxlan'> {
  if (link.kind !== 'vxlan') return {};
  const { vni, local, port, isLearning = true } = link;
  return { vxlan: { vni, local, port, isLearning } };
}

/** What a link that is part of another has besides. */
function partOf(link: LinkKind, namespace: FakeNamespace): Partial<LinkInfo> {
  switch (link.kind) {
    case 'macvlan':
      return { peerIndex: namespace.get(link.dev).index, macvlanMode: link.mode };
    case 'ipvlan':
      return { peerIndex: namespace.get(link.dev).index, ipvlanMode: link.mode };
    case 'vlan':
      return { peerIndex: namespace.get(link.dev).index, vlanId: link.id };
    default:
      return {};
  }
}

/** A port that was told nothing. */
const plainPort = { hairpin: false, isolated: false, vlans: [1] };

function changeVlans(
  namespace: FakeNamespace,
  op: Extract<NetOp, { readonly op: 'addBridgeVlans' | 'removeBridgeVlans' }>,
): void {
  const link = op.op === 'removeBridgeVlans' ? namespace.find(op.name) : namespace.get(op.name);
  if (link === undefined) return;
  if (link.master === undefined) throw kernelError(renderNetOp(op), 'EINVAL');
  const { first, last = first } = op;
  const port = { ...plainPort, ...link.port };
  const others = port.vlans.filter((id) => id < first || id > last);
  const own = Array.from({ length: last - first + 1 }, (_, i) => first + i);
  const vlans = op.op === 'addBridgeVlans' ? [...others, ...own].toSorted((a, b) => a - b) : others;
  namespace.change(link.index, { port: { ...port, vlans } });
}
