import { cniError, cniErrorCode } from '#api/cni/cni-error.ts';
import { field } from '#api/cni/json-field.ts';
import type { PluginConfig } from '#api/cni/network-config.ts';
import type { NetChange, NetOp } from '#native/netlink/netlink.ts';
import { createChainedPlugin, type ChainedInput } from '#cni-plugins/skel/chained-plugin.ts';
import type { CniPlugin } from '#cni-plugins/skel/plugin.ts';

export interface VrfConfig {
  readonly name: string;
  readonly table: number | undefined;
}

/** The interface, and others of the container, in a routing domain of their own. */
export const vrf: CniPlugin = createChainedPlugin<VrfConfig>({
  name: 'vrf',
  parse: parseVrf,
  plan: (input) => ({ changes: planVrf(input) }),
  planDel: planVrfDel,
  compare: ({ config, request, container: { links } }) => {
    const master = links.find(({ name, kind }) => name === config.name && kind === 'vrf');
    if (master === undefined) return [`vrf ${config.name} is missing`];
    const link = links.find(({ name }) => name === request.ifname);
    return link?.master === master.index ? [] : [`${request.ifname} is not of ${config.name}`];
  },
});

/** Pure. A link that gets a master loses its IPv6 addresses (net/ipv6/addrconf.c): they are given again. */
export function planVrf({
  config,
  request,
  container,
  policy,
}: ChainedInput<VrfConfig>): readonly NetChange[] {
  const { links, addresses } = container;
  const link = links.find(({ name }) => name === request.ifname);
  if (link === undefined) throw cniError(cniErrorCode.unknownContainer, `vrf: ${request.ifname} is missing`);
  const existing = links.find(({ name }) => name === config.name);
  if (existing !== undefined && existing.kind !== 'vrf')
    throw cniError(cniErrorCode.invalidNetworkConfig, `vrf: ${config.name} is a link of another kind`);
  const used = new Set(policy.routes.map(({ table }) => table));
  let table = config.table ?? 1;
  while (config.table === undefined && used.has(table)) table += 1;
  const lost = addresses.filter(
    ({ linkIndex, address }) =>
      linkIndex === link.index && address.includes(':') && !address.startsWith('fe80'),
  );
  const ops: readonly NetOp[] = [
    ...(existing === undefined
      ? [{ op: 'addLink', name: config.name, link: { kind: 'vrf', table } } as const]
      : []),
    { op: 'setLink', name: config.name, up: true },
    { op: 'setLink', name: request.ifname, master: config.name },
    ...lost.map(({ address }): NetOp => ({ op: 'ensureAddress', name: request.ifname, address })),
  ];
  return [{ netns: { kind: 'path', path: request.netns }, ops }];
}

/** The last one that leaves takes the domain along. */
function planVrfDel({
  config,
  request,
  container: { links },
}: ChainedInput<VrfConfig>): readonly NetChange[] {
  const master = links.find(({ name, kind }) => name === config.name && kind === 'vrf');
  if (master === undefined) return [];
  const members = links.filter((link) => link.master === master.index);
  const isMember = members.some(({ name }) => name === request.ifname);
  const isLast = members.every(({ name }) => name === request.ifname);
  const ops: readonly NetOp[] = [
    ...(isMember ? [{ op: 'setLink', name: request.ifname, master: null } as const] : []),
    ...(isLast ? [{ op: 'removeLink', name: config.name } as const] : []),
  ];
  return ops.length === 0 ? [] : [{ netns: { kind: 'path', path: request.netns }, ops }];
}

function parseVrf(config: PluginConfig): VrfConfig {
  const name = field.string(config, 'vrfname') ?? '';
  if (name === '') throw cniError(cniErrorCode.invalidNetworkConfig, 'vrf: vrfname is missing');
  return { name, table: field.number(config, 'table') || undefined };
}
