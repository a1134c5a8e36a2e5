import { cniError, cniErrorCode } from '#api/cni/cni-error.ts';
import { field } from '#api/cni/json-field.ts';
import type { PluginConfig } from '#api/cni/network-config.ts';
import type { LinkInfo, NetChange, NetOp, RouteInfo } from '#native/netlink/netlink.ts';
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

/**
 * Pure. A link that gets a master goes down and up again (cycle_netdev of drivers/net/vrf.c): it loses its IPv6 addresses and all routes
 * but those that come with an address. They are made again, the routes in the domain's table.
 */
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
  const other = links.find(({ index }) => index === link.master && index !== existing?.index);
  if (other !== undefined)
    throw cniError(
      cniErrorCode.invalidNetworkConfig,
      `vrf: ${request.ifname} has the master ${other.name} already`,
    );
  const table = existing === undefined ? freeTable(config, container, policy) : tableOf(config, existing);
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
    ...planRoutes(container.routes, { ...link, name: request.ifname }, table),
  ];
  return [{ netns: { kind: 'path', path: request.netns }, ops }];
}

/** The first that no domain is routed by, and that nobody has put a route in. */
function freeTable(
  config: VrfConfig,
  { links }: ChainedInput<VrfConfig>['container'],
  policy: ChainedInput<VrfConfig>['policy'],
): number {
  if (config.table !== undefined) return config.table;
  const used = new Set([
    ...policy.routes.map(({ table }) => table),
    ...links.flatMap(({ vrfTable }) => (vrfTable === undefined ? [] : [vrfTable])),
  ]);
  let table = 1;
  while (used.has(table) || kernelTables.has(table)) table += 1;
  return table;
}

/** RT_TABLE_COMPAT, RT_TABLE_DEFAULT, RT_TABLE_MAIN, RT_TABLE_LOCAL. */
const kernelTables: ReadonlySet<number> = new Set([252, 253, 254, 255]);

function tableOf({ name, table }: VrfConfig, { vrfTable }: LinkInfo): number {
  if (table === undefined || table === vrfTable) return vrfTable ?? 0;
  throw cniError(
    cniErrorCode.invalidNetworkConfig,
    `vrf: ${name} is there with the table ${vrfTable ?? 'unknown'}, not ${table}`,
  );
}

/** What is on the link first, as gateways are reached by it. */
function planRoutes(
  routes: readonly RouteInfo[],
  { index, name: dev }: Pick<LinkInfo, 'index' | 'name'>,
  table: number,
): readonly NetOp[] {
  const lost = routes.filter(
    ({ linkIndex, protocol, destination }) =>
      linkIndex === index && protocol !== protocolKernel && !/^f[ef]/.test(destination),
  );
  return [
    ...lost.filter(({ gateway }) => gateway === undefined),
    ...lost.filter(({ gateway }) => gateway !== undefined),
  ].map(({ destination, gateway }): NetOp => ({
    op: 'ensureRoute',
    destination,
    dev,
    table,
    ...(gateway === undefined ? {} : { gateway }),
  }));
}

/** RTPROT_KERNEL: the route of an address. */
const protocolKernel = 2;

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
  const table = field.number(config, 'table') ?? 0;
  if (!Number.isInteger(table) || table < 0 || table >= 2 ** 32)
    throw cniError(cniErrorCode.invalidNetworkConfig, `vrf: table ${table} is not from 0 to ${2 ** 32 - 1}`);
  return { name, table: table === 0 ? undefined : table };
}
