import { cniError, cniErrorCode } from '#api/cni/cni-error.ts';
import { field } from '#api/cni/json-field.ts';
import type { PluginConfig } from '#api/cni/network-config.ts';
import { bitsOf, cidrContains, formatIp, parseCidr, parseIp, type Ip } from '#base/ip.ts';
import type { NetChange, NetOp, RouteInfo } from '#native/netlink/netlink.ts';
import { createChainedPlugin, type ChainedInput } from '#cni-plugins/skel/chained-plugin.ts';
import { familyOf } from '#cni-plugins/skel/link-plan.ts';
import type { CniPlugin } from '#cni-plugins/skel/plugin.ts';

export interface SbrConfig {
  /** Whose routes are somebody else's to make, as those of a vrf; without, a table of its own for each address. */
  readonly table: number | undefined;
  /** One of a family at most: in place of the one that an address of it has, or has not. */
  readonly gateways: readonly Ip[];
  /** What is on the link stays in the main table, too, with the address as its source: who has bound none reaches it. */
  readonly addsSourceHints: boolean;
}

/** Tables below are left to whoever else numbers them by hand. */
const firstTable = 100;

/** Routing by source: what leaves with an address of the interface leaves by the interface. */
export const sbr: CniPlugin = createChainedPlugin<SbrConfig>({
  name: 'sbr',
  parse: parseSbr,
  plan: (input) => ({ changes: planSbr(input) }),
  planDel: ({ config, request, previous, policy }) => {
    const own = new Set(sourcesOf(previous, request.ifname).map(({ source }) => source));
    const rules = policy.rules.filter(
      ({ source, table }) => own.has(source) && (config.table === undefined || config.table === table),
    );
    const ops = rules.map((rule): NetOp => ({ op: 'removeRule', ...rule }));
    return ops.length === 0 ? [] : [{ netns: { kind: 'path', path: request.netns }, ops }];
  },
  compare: compareSbr,
});

function compareSbr({
  config,
  request,
  previous,
  container,
  policy,
}: ChainedInput<SbrConfig>): readonly string[] {
  const link = container.links.find(({ name }) => name === request.ifname);
  if (link === undefined) return [`${request.ifname} is missing`];
  return sourcesOf(previous, request.ifname).flatMap(({ source }) => {
    const rules = policy.rules.filter((each) => each.source === source);
    const rule = config.table === undefined ? rules[0] : rules.find(({ table }) => table === config.table);
    if (rule === undefined) return [`no rule for ${source}`];
    if (config.table !== undefined) return [];
    const isRouted = policy.routes.some(
      ({ table, linkIndex }) => table === rule.table && linkIndex === link.index,
    );
    return isRouted ? [] : [`table ${rule.table} has no route by ${request.ifname}`];
  });
}

/**
 * A table for each address: the interface's routes of its family move there from the main table, which keeps those of the other
 * interfaces. Pure.
 */
export function planSbr({
  config,
  request,
  previous,
  container,
  policy,
}: ChainedInput<SbrConfig>): readonly NetChange[] {
  const dev = request.ifname;
  const link = container.links.find(({ name }) => name === dev);
  if (link === undefined) throw cniError(cniErrorCode.unknownContainer, `sbr: ${dev} is missing`);
  if (sourcesOf(previous, dev).length === 0) throw invalid(`prevResult has no address of ${dev}`);
  const netns = { kind: 'path', path: request.netns } as const;
  const { table: given } = config;
  if (given !== undefined) {
    const rules = sourcesOf(previous, dev).map(({ source }): NetOp => ({
      op: 'ensureRule',
      source,
      table: given,
    }));
    return [{ netns, ops: rules }];
  }
  const used = new Set([...policy.rules, ...policy.routes].map(({ table }) => table));
  const routes = container.routes.filter(({ linkIndex }) => linkIndex === link.index);
  const moved: NetOp[] = [];
  const ops: NetOp[] = [];
  let table = firstTable - 1;
  const hinted = new Set<string>();
  for (const { source, ...ip } of sourcesOf(previous, dev)) {
    const other = config.gateways.find(({ family }) => family === familyOf(source));
    const gateway = other === undefined ? ip.gateway : formatIp(other);
    do table += 1;
    while (used.has(table));
    const own = routes.filter((route) => familyOfRoute(route) === familyOf(source) && !isLinkLocal(route));
    for (const { destination, gateway: via } of own) {
      if (destination === 'default' && other !== undefined) {
        moved.push({ op: 'removeRoute', destination, dev, ...(via === undefined ? {} : { gateway: via }) });
        continue;
      }
      ops.push({
        op: 'ensureRoute',
        destination,
        dev,
        table,
        ...(via === undefined ? {} : { gateway: via }),
      });
      if (config.addsSourceHints && via === undefined && isWithin(source, destination)) {
        if (!hinted.has(destination))
          ops.push({ op: 'ensureRoute', destination, dev, scope: 'link', source: addressOf(source) });
        hinted.add(destination);
        continue;
      }
      moved.push({ op: 'removeRoute', destination, dev, ...(via === undefined ? {} : { gateway: via }) });
    }
    if (
      gateway !== undefined &&
      (other !== undefined || !own.some(({ destination }) => destination === 'default'))
    )
      ops.push({ op: 'ensureRoute', destination: 'default', gateway, dev, table });
    ops.push({ op: 'ensureRule', source, table });
  }
  // A route goes where each address of the family has its copy; those by gateways before what leads to these.
  const kept = moved.filter((op) => !('destination' in op && hinted.has(op.destination)));
  const gone = kept.filter(
    (op, i) => kept.findIndex((other) => JSON.stringify(other) === JSON.stringify(op)) === i,
  );
  return [{ netns, ops: [...sorted(ops), ...sorted(gone).toReversed()] }];
}

const addressOf = (source: string): string => source.replace(/\/.*/, '');

function isWithin(source: string, network: string): boolean {
  const [ip, cidr] = [parseCidr(source)?.ip, parseCidr(network)];
  return ip !== undefined && cidr !== undefined && cidrContains(cidr, ip);
}

/** A default route says it by its gateway. */
function familyOfRoute({ destination, gateway }: RouteInfo): 4 | 6 | undefined {
  if (destination !== 'default') return familyOf(destination);
  return gateway?.includes(':') === true ? 6 : 4;
}

/** Each link has these of its own. */
const isLinkLocal = ({ destination }: RouteInfo): boolean => /^f[ef]/.test(destination);

/** What is on the link first, as gateways are reached by it. */
function sorted(ops: readonly NetOp[]): readonly NetOp[] {
  const rank = (op: NetOp): number => ('gateway' in op && op.gateway !== undefined ? 1 : 0);
  return ops.toSorted((a, b) => rank(a) - rank(b));
}

function sourcesOf(
  previous: ChainedInput<SbrConfig>['previous'],
  ifname: string,
): readonly { readonly source: string; readonly gateway: string | undefined }[] {
  const own = previous.interfaces.findIndex(({ name, sandbox }) => name === ifname && sandbox !== undefined);
  return previous.ips
    .filter((ip) => ip.interface === undefined || ip.interface === own)
    .flatMap(({ address, gateway }) => {
      const ip = parseCidr(address)?.ip;
      return ip === undefined ? [] : [{ source: `${formatIp(ip)}/${bitsOf(ip.family)}`, gateway }];
    });
}

function parseSbr(config: PluginConfig): SbrConfig {
  const table = field.number(config, 'table');
  const addsSourceHints = field.boolean(config, 'addSourceHints') ?? false;
  if (
    table === undefined ||
    (Number.isInteger(table) && table > 0 && table < 2 ** 32 && (table < 253 || table > 255))
  )
    return { table, gateways: parseGateways(config), addsSourceHints };
  throw invalid(`table ${table} is the kernel's own, or none`);
}

/** `gateways`; `gateway`, as upstream's proposal had it, is the only one. */
function parseGateways(config: PluginConfig): readonly Ip[] {
  const single = field.string(config, 'gateway') ?? '';
  const texts = [...(single === '' ? [] : [single]), ...field.strings(config, 'gateways')];
  const gateways = texts.map((text) => {
    const ip = parseIp(text);
    if (ip === undefined) throw invalid(`gateway ${JSON.stringify(text)} is not an address`);
    return ip;
  });
  if (new Set(gateways.map(({ family }) => family)).size < gateways.length)
    throw invalid('gateways has more than one of a family');
  return gateways;
}

function invalid(message: string): Error {
  return cniError(cniErrorCode.invalidNetworkConfig, `sbr: ${message}`);
}
