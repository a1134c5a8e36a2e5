import { unreachable } from '#base/unreachable.ts';
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
      );
    }
    case 'removeLink':
      return `remove link ${op.name}`;
    case 'setLink':
      return words('set link', op.name, ...linkChanges(op));
    case 'setBridgePort':
      return words('set bridge port', op.name, onOff('hairpin', op.hairpin), onOff('isolated', op.isolated));
    case 'ensureAddress':
      return `ensure address ${op.address} dev ${op.name}`;
    case 'removeAddress':
      return `remove address ${op.address} dev ${op.name}`;
    case 'ensureRoute':
      return words(
        'ensure route',
        op.type,
        op.destination,
        setting('via', op.gateway),
        setting('dev', op.dev),
        setting('scope', op.scope),
        setting('src', op.source),
        setting('mtu', op.mtu),
        setting('proto', op.protocol),
      );
    case 'removeRoute':
      return words('remove route', op.destination, setting('via', op.gateway), setting('dev', op.dev));
    case 'setSysctl':
      return `set sysctl ${op.key} = ${op.value}`;
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

const onOff = (name: string, value: boolean | undefined): Word =>
  value === undefined ? undefined : `${name} ${value ? 'on' : 'off'}`;

function linkChanges(op: Extract<NetOp, { readonly op: 'setLink' }>): readonly Word[] {
  return [
    setting('name', op.rename),
    setting('mtu', op.mtu),
    setting('mac', op.mac),
    setting('alias', op.alias),
    op.master === null ? 'nomaster' : setting('master', op.master),
    op.moveTo === undefined ? undefined : `netns ${renderNetns(op.moveTo)}`,
    onOff('promisc', op.promiscuous),
    op.up === undefined ? undefined : op.up ? 'up' : 'down',
  ];
}

function renderKind(link: LinkKind): string {
  switch (link.kind) {
    case 'bridge':
      return 'type bridge';
    case 'veth':
      return words(
        'type veth peer',
        link.peerName,
        setting('mac', link.peerMac),
        link.peerNetns === undefined ? undefined : `netns ${renderNetns(link.peerNetns)}`,
      );
    case 'vxlan':
      return `type vxlan id ${link.vni} local ${link.local} dev ${link.dev} dstport ${link.port}`;
    default:
      return unreachable(link);
  }
}
