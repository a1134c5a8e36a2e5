import { cniError, cniErrorCode } from '#api/cni/cni-error.ts';
import { field } from '#api/cni/json-field.ts';
import type { PluginConfig } from '#api/cni/network-config.ts';
import type { CniResult } from '#api/cni/result.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { isPodwrightError } from '#base/errors.ts';
import { formatIp, parseCidr, parseIp, type Ip } from '#base/ip.ts';
import type { NftElement, NftExpr, NftLoad, NftRule, NftSet, NftTable, TableRef } from '#native/nft/nft.ts';

/** A port of the host that leads to a port of a container (capability portMappings). */
export interface PortMapping {
  readonly hostPort: number;
  readonly containerPort: number;
  readonly protocol: 'tcp' | 'udp' | 'sctp';
  /** undefined: every address of the host. */
  readonly hostIp: string | undefined;
}

/** What one container has in the table, by set. */
export interface PortmapElements {
  readonly table: TableRef;
  readonly sets: readonly { readonly set: NftSet; readonly elements: readonly NftElement[] }[];
}

const protocolNumber = { tcp: 6, udp: 17, sctp: 132 } as const;

const table: TableRef = { family: 'ip', name: 'cni-portmap' };

/** Port of every host address → container. */
const portSet: NftSet = {
  name: 'ports',
  keyTypes: ['inet_proto', 'inet_service'],
  dataTypes: ['ipv4_addr', 'inet_service'],
};

/** Port of one host address → container. */
const addressPortSet: NftSet = {
  name: 'address-ports',
  keyTypes: ['ipv4_addr', 'inet_proto', 'inet_service'],
  dataTypes: ['ipv4_addr', 'inet_service'],
};

/** By this set a container's own elements are known: its address is nobody else's. */
export { hairpinSet as ownedSet };

/** Containers that reach themselves through the host: source and target after translation. */
const hairpinSet: NftSet = { name: 'hairpin', keyTypes: ['ipv4_addr', 'ipv4_addr'] };

const source: NftLoad = { load: 'ip saddr' };
const target: NftLoad = { load: 'ip daddr' };
const protocol: NftLoad = { load: 'meta l4proto' };
const targetPort: NftLoad = { load: 'th dport' };

const translate: readonly NftRule[] = [
  { exprs: [{ expr: 'dnat map', key: [target, protocol, targetPort], map: addressPortSet.name }] },
  {
    exprs: [
      isLocal(),
      // 127.0.0.0/8 cannot leave through another interface unless route_localnet is set, which is the host's to decide.
      { expr: 'match', left: target, op: '!=', right: '127.0.0.0/8' },
      { expr: 'dnat map', key: [protocol, targetPort], map: portSet.name },
    ],
  },
];

/** The table with nothing mapped. */
export const portmapTable: NftTable = {
  ...table,
  sets: [portSet, addressPortSet, hairpinSet],
  chains: [
    { name: 'prerouting', hook: { type: 'nat', hook: 'prerouting', priority: -101 }, rules: translate },
    { name: 'output', hook: { type: 'nat', hook: 'output', priority: -101 }, rules: translate },
    {
      name: 'postrouting',
      hook: { type: 'nat', hook: 'postrouting', priority: 100 },
      rules: [
        { exprs: [{ expr: 'lookup', key: [source, target], set: hairpinSet.name }, { expr: 'masquerade' }] },
      ],
    },
  ],
  elements: {},
};

/** What ADD makes. One for an IPv6 address of the host is left out: there is no such container behind it. @throws {E_INVALID} */
export function parsePortMappings(config: PluginConfig): readonly PortMapping[] {
  return mappingsIn(config).flatMap(parseMapping);
}

/** What ADD may have made: DEL asks, and what cannot be read was refused then. */
export function madePortMappings(config: PluginConfig): readonly PortMapping[] {
  return mappingsIn(config).flatMap((item) => {
    try {
      return parseMapping(item);
    } catch (error) {
      if (isPodwrightError(error)) return [];
      throw error;
    }
  });
}

function mappingsIn(config: PluginConfig): readonly JsonObject[] {
  return field.objects(field.object(config, 'runtimeConfig') ?? {}, 'portMappings');
}

function parseMapping(item: JsonObject): readonly PortMapping[] {
  const hostPort = field.number(item, 'hostPort') ?? 0;
  if (hostPort === 0) return []; // A port that the container only declares.
  const containerPort = field.number(item, 'containerPort') ?? 0;
  const text = (field.string(item, 'protocol') ?? 'tcp').toLowerCase();
  const known = Object.keys(protocolNumber).find((name) => name === text) as
    | PortMapping['protocol']
    | undefined;
  if (known === undefined || !isPort(hostPort) || !isPort(containerPort)) {
    throw cniError(
      cniErrorCode.invalidNetworkConfig,
      `portmap: ${JSON.stringify(item)} is not a port mapping`,
    );
  }
  const hostIp = field.string(item, 'hostIP') ?? '';
  if (hostIp === '' || hostIp === '0.0.0.0' || hostIp === '::')
    return [{ hostPort, containerPort, protocol: known, hostIp: undefined }];
  const ip = parseIp(hostIp);
  if (ip === undefined) {
    throw cniError(cniErrorCode.unsupportedField, `portmap: host address ${hostIp} is not an IP address`);
  }
  return ip.family === 4 ? [{ hostPort, containerPort, protocol: known, hostIp: formatIp(ip) }] : [];
}

/** Pure: what a container with these addresses needs in the table. IPv4 only: an IPv6 container's ports are refused. */
export function planPortmap(mappings: readonly PortMapping[], result: CniResult): PortmapElements {
  const address = ipv4Of(result);
  if (address === undefined) {
    if (mappings.length === 0) return { table, sets: [] };
    throw cniError(cniErrorCode.unsupportedField, 'portmap: the container has no IPv4 address');
  }
  const containerIp = formatIp(address);
  const everywhere: NftElement[] = [];
  const somewhere: NftElement[] = [];
  for (const { hostPort, containerPort, protocol: name, hostIp } of mappings) {
    const key = [protocolNumber[name], hostPort];
    const data = [containerIp, containerPort];
    if (hostIp === undefined) everywhere.push({ key, data });
    else somewhere.push({ key: [hostIp, ...key], data });
  }
  const sets = [
    { set: portSet, elements: everywhere },
    { set: addressPortSet, elements: somewhere },
    // Last, so that a removal that was cut off is known to have more to remove.
    { set: hairpinSet, elements: mappings.length === 0 ? [] : [{ key: [containerIp, containerIp] }] },
  ];
  return { table, sets: sets.filter(({ elements }) => elements.length > 0) };
}

/** Whether the container can have ports of the host at all. */
export function hasIpv4(result: CniResult): boolean {
  return ipv4Of(result) !== undefined;
}

function ipv4Of(result: CniResult): Ip | undefined {
  return result.ips.map((ip) => parseCidr(ip.address)?.ip).find((ip) => ip?.family === 4);
}

function isLocal(): NftExpr {
  return { expr: 'match', left: { load: 'fib daddr type' }, op: '==', right: 'local' };
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port > 0 && port <= 65_535;
}
