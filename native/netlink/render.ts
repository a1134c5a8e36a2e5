import { unreachable } from '#base/unreachable.ts';
import type { NeighbourOp } from './neighbour-encode.ts';
import type { LinkKind, NetnsRef, NetOp } from './netlink.ts';

/** A NetOp in words close to ip(8)'s, one line: for plans, error messages and golden tests. */
export function renderNetOp(op: NetOp): string {
  switch (op.op) {
    case 'addLink':
    case 'ensureLink': {
      const verb = op.op === 'addLink' ? 'add' : 'ensure';
      return words(
        verb,
        'link',
        op.name,
        setting('mtu', op.mtu),
        setting('mac', op.mac),
        renderKind(op.link),
        'netns' in op && op.netns !== undefined ? `in ${renderNetns(op.netns)}` : undefined,
      );
    }
    case 'removeLink':
      return `remove link ${op.name}`;
    case 'setLink':
      return words('set link', op.name, ...linkChanges(op));
    case 'setBridge':
    case 'setBridgePort':
    case 'addBridgeVlans':
    case 'removeBridgeVlans':
      return renderBridgeOp(op);
    case 'ensureAddress':
    case 'removeAddress':
      return `${op.op === 'ensureAddress' ? 'ensure' : 'remove'} address ${op.address} dev ${op.name}`;
    case 'ensureRoute':
      return renderRoute(op);
    case 'removeRoute':
      return words(
        'remove route',
        op.destination,
        setting('via', op.gateway),
        setting('dev', op.dev),
        setting('table', op.table),
      );
    case 'ensureNeighbour':
    case 'removeNeighbour':
    case 'ensureForwarding':
    case 'removeForwarding':
      return renderNeighbour(op);
    case 'ensureRule':
    case 'removeRule':
      return `${op.op === 'ensureRule' ? 'ensure' : 'remove'} rule from ${op.source} table ${op.table}`;
    case 'addTap':
      return words('add tap', op.name, ...tapWords(op));
    case 'setQueue':
      return words('set queue', op.name, ...queueWords(op.queue));
    case 'addQueueClass':
      return words(
        `add queue class ${op.name} ${op.id} rate ${op.rateBytes}Bps`,
        setting('burst', op.burstBytes),
      );
    case 'addQueueFilter':
      return `add queue filter ${op.name} ${op.match} ${op.network} to class ${op.to}`;
    case 'redirectIngress':
      return `redirect ingress ${op.name} to ${op.to}`;
    case 'setSysctl':
      return `set sysctl ${op.key} = ${op.value}`;
    default:
      return unreachable(op);
  }
}

function renderRoute(op: Extract<NetOp, { readonly op: 'ensureRoute' }>): string {
  return words(
    'ensure route',
    op.type,
    op.destination,
    setting('via', op.gateway),
    setting('dev', op.dev),
    op.isOnLink === true ? 'onlink' : undefined,
    setting('scope', op.scope),
    setting('src', op.source),
    setting('mtu', op.mtu),
    setting('advmss', op.advmss),
    setting('proto', op.protocol),
    setting('table', op.table),
    setting('metric', op.priority),
  );
}

function renderBridgeOp(
  op: Extract<NetOp, { readonly op: 'setBridge' | 'setBridgePort' | 'addBridgeVlans' | 'removeBridgeVlans' }>,
): string {
  switch (op.op) {
    case 'setBridge':
      return words('set bridge', op.name, onOff('vlan_filtering', op.vlanFiltering));
    case 'setBridgePort':
      return words('set bridge port', op.name, onOff('hairpin', op.hairpin), onOff('isolated', op.isolated));
    case 'addBridgeVlans': {
      const native = op.isNative === true ? 'pvid untagged' : undefined;
      return words('add bridge vlan', vlans(op), 'dev', op.name, native);
    }
    case 'removeBridgeVlans':
      return words('remove bridge vlan', vlans(op), 'dev', op.name);
    default:
      return unreachable(op);
  }
}

/** `/run/netns/x`, or `own`. */
export function renderNetns(netns: NetnsRef): string {
  return netns.kind === 'own' ? 'own' : netns.path;
}

type Word = string | undefined;

const words = (...parts: readonly Word[]): string => parts.filter((part) => part !== undefined).join(' ');

const setting = (name: string, value: string | number | undefined): Word =>
  value === undefined ? undefined : `${name} ${value}`;

const vlans = ({ first, last = first }: { readonly first: number; readonly last?: number }): string =>
  first === last ? String(first) : `${first}-${last}`;

const onOff = (name: string, value: boolean | undefined): Word =>
  value === undefined ? undefined : `${name} ${value ? 'on' : 'off'}`;

/** As ip(8) has switches of a kind of link: `learning`, `nolearning`. */
const prefixed = (name: string, value: boolean | undefined): Word =>
  value === undefined ? undefined : `${value ? '' : 'no'}${name}`;

function renderNeighbour(op: NeighbourOp): string {
  switch (op.op) {
    case 'ensureNeighbour':
      return `ensure neighbour ${op.address} lladdr ${op.mac} dev ${op.name} permanent`;
    case 'removeNeighbour':
      return `remove neighbour ${op.address} dev ${op.name}`;
    case 'ensureForwarding':
      return `ensure forwarding ${op.mac} dev ${op.name} dst ${op.remote}`;
    case 'removeForwarding':
      return `remove forwarding ${op.mac} dev ${op.name} dst ${op.remote}`;
    default:
      return unreachable(op);
  }
}

function linkChanges(op: Extract<NetOp, { readonly op: 'setLink' }>): readonly Word[] {
  return [
    setting('name', op.rename),
    setting('mtu', op.mtu),
    setting('mac', op.mac),
    setting('alias', op.alias),
    op.master === null ? 'nomaster' : setting('master', op.master),
    op.moveTo === undefined ? undefined : `netns ${renderNetns(op.moveTo)}`,
    onOff('promisc', op.promiscuous),
    onOff('allmulticast', op.allMulticast),
    setting('txqueuelen', op.txQueueLength),
    op.up === undefined ? undefined : op.up ? 'up' : 'down',
  ];
}

function tapWords(op: Extract<NetOp, { readonly op: 'addTap' }>): readonly Word[] {
  return [setting('user', op.owner), setting('group', op.group), onOff('multi_queue', op.multiQueue)];
}

function queueWords(queue: Extract<NetOp, { readonly op: 'setQueue' }>['queue']): readonly Word[] {
  if (queue.kind === 'ingress') return ['ingress'];
  if (queue.kind === 'htb') return ['htb', setting('default', queue.defaultClass)];
  const { rateBytes, burstBytes, limitBytes } = queue;
  return ['tbf', `rate ${rateBytes}Bps`, setting('burst', burstBytes), setting('limit', limitBytes)];
}

function renderKind(link: LinkKind): string {
  switch (link.kind) {
    case 'bridge':
    case 'dummy':
    case 'ifb':
    case 'wireguard':
      return `type ${link.kind}`;
    case 'macvlan':
      return words(
        `type macvlan link ${link.dev} mode ${link.mode}`,
        setting('bcqueuelen', link.broadcastQueueLength),
      );
    case 'ipvlan':
      return `type ipvlan link ${link.dev} mode ${link.mode}`;
    case 'vlan':
      return `type vlan link ${link.dev} id ${link.id}`;
    case 'vrf':
      return `type vrf table ${link.table}`;
    case 'veth':
      return words(
        'type veth peer',
        link.peerName,
        setting('mac', link.peerMac),
        link.peerNetns === undefined ? undefined : `netns ${renderNetns(link.peerNetns)}`,
      );
    case 'vxlan':
      return words(
        `type vxlan id ${link.vni} local ${link.local}`,
        setting('dev', link.dev),
        `dstport ${link.port}`,
        prefixed('learning', link.isLearning),
        prefixed('udpcsum', link.hasChecksum),
      );
    default:
      return unreachable(link);
  }
}
