import { cniError, cniErrorCode } from '#api/cni/cni-error.ts';
import { field } from '#api/cni/json-field.ts';
import type { PluginConfig } from '#api/cni/network-config.ts';
import type { CniResult } from '#api/cni/result.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { isPodwrightError } from '#base/errors.ts';
import {
  bitsOf,
  formatCidr,
  formatIp,
  isIpv4Mapped,
  networkOf,
  parseCidr,
  parseIp,
  type Cidr,
  type Ip,
  type IpFamily,
} from '#base/ip.ts';
import type { NetOp } from '#native/netlink/netlink.ts';
import { loopbackGuard, loopbackMasquerade, loopbackStays } from '#native/nft/loopback-guard.ts';
import type { NftElement, NftExpr, NftLoad, NftRule, NftSet, NftTable, NftType } from '#native/nft/nft.ts';
import { conditionsDigest, noConditions, parseConditions, type PortConditions } from './conditions.ts';

/** A port of the host that leads to a port of a container (capability portMappings). */
export interface PortMapping {
  readonly hostPort: number;
  readonly containerPort: number;
  readonly protocol: 'tcp' | 'udp' | 'sctp';
  /** undefined: every address of the host. */
  readonly hostIp: string | undefined;
  /** Of host and container; undefined: whichever the container has. */
  readonly family: IpFamily | undefined;
}

/** What one container has in the table of a family, by set. */
export interface PortmapElements {
  readonly table: NftTable;
  readonly sets: readonly { readonly set: NftSet; readonly elements: readonly NftElement[] }[];
  /** Each element begins with its address, and so is nobody else's. */
  readonly areOwn: boolean;
}

/** Which packets are led on by a port of the host, and which of them get the host's address for their source. */
export interface PortRule {
  /** Those of the host's loopback and of the container itself, which else get no answer. */
  readonly snat: boolean;
  /** All of them. */
  readonly masqAll: boolean;
  /** Which of them are led on at all. */
  readonly conditions: PortConditions;
}

const protocolNumber = { tcp: 6, udp: 17, sctp: 132 } as const;

/** What differs between the families. */
const familyFacts = {
  4: {
    family: 'ip',
    address: 'ipv4_addr',
    source: { load: 'ip saddr' },
    target: { load: 'ip daddr' },
    /** Nothing that is an address of the host is left out: see `planLoopback`. */
    isElsewhere: [],
  },
  6: {
    family: 'ip6',
    address: 'ipv6_addr',
    source: { load: 'ip6 saddr' },
    target: { load: 'ip6 daddr' },
    // No sysctl lets packets of ::1 leave the host: its ports are refused there, rather than silent.
    isElsewhere: [{ expr: 'match', left: { load: 'ip6 daddr' }, op: '!=', right: '::1' }],
  },
} as const satisfies Readonly<Record<IpFamily, unknown>>;

interface PortmapSets {
  /** Port of every host address → container. */
  readonly ports: NftSet;
  /** Port of one host address → container. */
  readonly addressPorts: NftSet;
  /**
   * Containers that reach themselves through the host: source and target after translation. By this set a container's own elements
   * are known: its address is nobody else's.
   */
  readonly hairpin: NftSet;
}

/** Of the set that containers are known by. */
export const ownedSetName = 'hairpin';

function setsOf(family: IpFamily): PortmapSets {
  const { address } = familyFacts[family];
  const port: readonly NftType[] = ['inet_proto', 'inet_service'];
  const dataTypes: readonly NftType[] = [address, 'inet_service'];
  return {
    ports: { name: 'ports', keyTypes: port, dataTypes },
    addressPorts: { name: 'address-ports', keyTypes: [address, ...port], dataTypes },
    hairpin: { name: ownedSetName, keyTypes: [address, address] },
  };
}

const protocol: NftLoad = { load: 'meta l4proto' };
const targetPort: NftLoad = { load: 'th dport' };

/** What must be there before an interface is told that packets of 127.0.0.0/8 may pass it. Nobody's elements are in it. */
export const loopbackTable: NftTable = {
  family: 'ip',
  name: 'cni-portmap-loopback',
  sets: [],
  chains: [loopbackGuard, loopbackMasquerade, loopbackStays],
  elements: {},
};

/**
 * The host's ports answer on its loopback, too (as upstream's portmap with snat): packets from there may leave by the interface behind
 * which the container is, and no other. Nothing where the result names none. Pure.
 */
export function planLoopback({ interfaces }: CniResult): readonly NetOp[] {
  const link = interfaces.find(({ sandbox }) => sandbox === undefined || sandbox === '')?.name;
  if (link === undefined || !isLinkName(link)) return [];
  return [{ op: 'setSysctl', key: `net/ipv4/conf/${link}/route_localnet`, value: '1' }];
}

/** What the kernel takes for one (dev_valid_name of net/core/dev.c), but for the names of all interfaces in /proc/sys. */
function isLinkName(name: string): boolean {
  return /^[^/:\s\0]{1,15}$/.test(name) && !['.', '..', 'all', 'default', 'lo'].includes(name);
}

/** The table of a family with nothing mapped. What is led on under conditions has tables of its own, one for all that have the same. */
export function portmapTable(family: IpFamily, conditions: readonly NftExpr[] = []): NftTable {
  const { source, target, isElsewhere, family: name } = familyFacts[family];
  const { ports, addressPorts, hairpin } = setsOf(family);
  const rules: readonly NftRule[] = [
    {
      exprs: [
        ...conditions,
        { expr: 'dnat map', key: [target, protocol, targetPort], map: addressPorts.name },
      ],
    },
    {
      exprs: [
        ...conditions,
        isLocal(),
        ...isElsewhere,
        { expr: 'dnat map', key: [protocol, targetPort], map: ports.name },
      ],
    },
  ];
  const toItself: NftExpr = { expr: 'lookup', key: [source, target], set: hairpin.name };
  return {
    family: name,
    name: ['cni-portmap', conditionsDigest(conditions)].filter((part) => part !== '').join('-'),
    sets: [ports, addressPorts, hairpin],
    chains: [
      { name: 'prerouting', hook: { type: 'nat', hook: 'prerouting', priority: -101 }, rules },
      { name: 'output', hook: { type: 'nat', hook: 'output', priority: -101 }, rules },
      {
        name: 'postrouting',
        hook: { type: 'nat', hook: 'postrouting', priority: 100 },
        rules: [{ exprs: [toItself, { expr: 'masquerade' }] }],
      },
    ],
    elements: {},
  };
}

/**
 * Beside that of all mappings, and only where a configuration has `masqAll`: what was led to one of these ports leaves with the host's
 * address. By a Service, too: whose port a packet came by is not to be seen any more.
 */
function masqueradeTable(family: IpFamily): NftTable {
  const { target, family: name } = familyFacts[family];
  const { name: set } = masqueradedSet(family);
  const rule: NftRule = {
    exprs: [
      { expr: 'match', left: { load: 'ct status' }, op: '==', right: 'dnat' },
      { expr: 'lookup', key: [target, protocol, targetPort], set },
      { expr: 'masquerade' },
    ],
  };
  const hook = { type: 'nat', hook: 'postrouting', priority: 100 } as const;
  return {
    family: name,
    name: 'cni-portmap-masquerade',
    sets: [masqueradedSet(family)],
    chains: [{ name: 'postrouting', hook, rules: [rule] }],
    elements: {},
  };
}

/** Container, protocol, port of the container. */
function masqueradedSet(family: IpFamily): NftSet {
  const { address } = familyFacts[family];
  return { name: 'masqueraded', keyTypes: [address, 'inet_proto', 'inet_service'] };
}

/**
 * Beside that of all mappings, and only where a container shares a link with others of its subnet: their packets come back to them past the
 * host, which would not be whom they asked, unless they leave with the host's address (containernetworking/plugins#469). Of a `routed`
 * bridge a container's address has no subnet, and its neighbours keep theirs.
 */
function neighboursTable(family: IpFamily): NftTable {
  const { source, target, family: name } = familyFacts[family];
  const set = neighboursSet(family);
  const rule: NftRule = {
    exprs: [
      { expr: 'match', left: { load: 'ct status' }, op: '==', right: 'dnat' },
      { expr: 'lookup', key: [target, source, protocol, targetPort], set: set.name },
      { expr: 'masquerade' },
    ],
  };
  const hook = { type: 'nat', hook: 'postrouting', priority: 100 } as const;
  return {
    family: name,
    name: 'cni-portmap-neighbours',
    sets: [set],
    chains: [{ name: 'postrouting', hook, rules: [rule] }],
    elements: {},
  };
}

/** Container, its subnet, protocol, port of the container. */
function neighboursSet(family: IpFamily): NftSet {
  const { address } = familyFacts[family];
  return {
    name: 'neighbours',
    keyTypes: [address, address, 'inet_proto', 'inet_service'],
    interval: true,
  };
}

/**
 * `snat` (default: true), and `masqAll`, which without it means nothing. `markMasqBit` and `externalSetMarkChain` say how rules of
 * iptables tell each other of those; ours need not.
 * @throws {E_INVALID, E_UNSUPPORTED}
 */
export function parsePortRule(config: PluginConfig): PortRule {
  const backend = field.string(config, 'backend') || 'nftables';
  if (backend !== 'nftables')
    throw cniError(
      cniErrorCode.unsupportedField,
      `portmap: backend ${backend} is not supported: ports are led on by nftables, leave it out`,
    );
  const [bit, chain] = [field.number(config, 'markMasqBit'), field.string(config, 'externalSetMarkChain')];
  if (bit !== undefined && chain !== undefined)
    throw cniError(
      cniErrorCode.invalidNetworkConfig,
      'portmap: markMasqBit and externalSetMarkChain exclude each other',
    );
  if (bit !== undefined && (!Number.isInteger(bit) || bit < 0 || bit > 31))
    throw cniError(cniErrorCode.invalidNetworkConfig, `portmap: markMasqBit ${bit} is not from 0 to 31`);
  const snat = field.boolean(config, 'snat') ?? true;
  const masqAll = snat && (field.boolean(config, 'masqAll') ?? false);
  return { snat, masqAll, conditions: parseConditions(config) };
}

/** What ADD may have made: DEL asks, and what cannot be read was refused then. */
export function madePortRule(config: PluginConfig): PortRule | undefined {
  const snat = config['snat'] !== false;
  try {
    return { snat, masqAll: snat && config['masqAll'] === true, conditions: parseConditions(config) };
  } catch (error) {
    if (isPodwrightError(error)) return undefined;
    throw error;
  }
}

/** The result with the addresses of one interface of the container: a chain may have given others to others. */
export function ofInterface(result: CniResult, ifname: string): CniResult {
  const isOther = (index: number | undefined): boolean => {
    const link = index === undefined ? undefined : result.interfaces[index];
    return link !== undefined && (link.name !== ifname || !link.sandbox);
  };
  return { ...result, ips: result.ips.filter((ip) => !isOther(ip.interface)) };
}

/** What ADD makes. One for an address of IPv4 within IPv6 is left out: no packet has it. @throws {E_INVALID} */
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
  const mapping = { hostPort, containerPort, protocol: known };
  // As a socket that listens there: at :: on both families.
  if (hostIp === '' || hostIp === '::') return [{ ...mapping, hostIp: undefined, family: undefined }];
  if (hostIp === '0.0.0.0') return [{ ...mapping, hostIp: undefined, family: 4 }];
  const ip = parseIp(hostIp);
  if (ip === undefined) {
    throw cniError(cniErrorCode.unsupportedField, `portmap: host address ${hostIp} is not an IP address`);
  }
  return isIpv4Mapped(ip) ? [] : [{ ...mapping, hostIp: formatIp(ip), family: ip.family }];
}

/**
 * Pure: what a container with these addresses needs in the tables of each family that it has. Mappings of the family that it lacks are
 * left out. Sources first: by a port that leads somewhere no packet keeps the wrong one.
 */
export function planPortmap(
  mappings: readonly PortMapping[],
  result: CniResult,
  source: PortRule = { snat: true, masqAll: false, conditions: noConditions },
): readonly PortmapElements[] {
  const addresses = addressesOf(result);
  if (addresses.length === 0 && mappings.length > 0)
    throw cniError(cniErrorCode.unsupportedField, 'portmap: the container has no address');
  return addresses.flatMap((address) => {
    const { ip, prefix } = address;
    const own = mappings.filter(({ family }) => family === undefined || family === ip.family);
    if (own.length === 0) return [];
    return [
      ...(source.masqAll ? [masqueradedOf(own, ip)] : []),
      ...(source.snat && !source.masqAll && prefix < bitsOf(ip.family) ? [neighboursOf(own, address)] : []),
      elementsOf(own, ip, source),
    ];
  });
}

function elementsOf(
  mappings: readonly PortMapping[],
  address: Ip,
  { snat, conditions }: PortRule,
): PortmapElements {
  const { ports, addressPorts, hairpin } = setsOf(address.family);
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
    { set: ports, elements: everywhere },
    { set: addressPorts, elements: somewhere },
    // Last, so that a removal that was cut off is known to have more to remove.
    // To no address nothing goes: it says only whose the ports are.
    { set: hairpin, elements: [{ key: [containerIp, snat ? containerIp : noAddress[address.family]] }] },
  ];
  return {
    table: portmapTable(address.family, conditions[address.family]),
    sets: sets.filter(({ elements }) => elements.length > 0),
    areOwn: false,
  };
}

function masqueradedOf(mappings: readonly PortMapping[], address: Ip): PortmapElements {
  const { family } = address;
  const elements = containerPortsOf(mappings).map((port): NftElement => ({
    key: [formatIp(address), ...port],
  }));
  return { table: masqueradeTable(family), sets: [{ set: masqueradedSet(family), elements }], areOwn: true };
}

function neighboursOf(mappings: readonly PortMapping[], address: Cidr): PortmapElements {
  const { family } = address.ip;
  const elements = containerPortsOf(mappings).map((port): NftElement => ({
    key: [formatIp(address.ip), formatCidr(networkOf(address)), ...port],
  }));
  return { table: neighboursTable(family), sets: [{ set: neighboursSet(family), elements }], areOwn: true };
}

/** Protocol and port, each once: two ports of the host may lead to one of the container. */
function containerPortsOf(mappings: readonly PortMapping[]): readonly (readonly number[])[] {
  const keys = mappings.map(
    ({ protocol: name, containerPort }) => `${protocolNumber[name]} ${containerPort}`,
  );
  return [...new Set(keys)].map((key) => key.split(' ').map(Number));
}

const noAddress: Readonly<Record<IpFamily, string>> = { 4: '0.0.0.0', 6: '::' };

/** The first of each family. */
function addressesOf(result: CniResult): readonly Cidr[] {
  const all = result.ips.flatMap((ip) => parseCidr(ip.address) ?? []);
  return all.filter(({ ip }, index) => all.findIndex((each) => each.ip.family === ip.family) === index);
}

function isLocal(): NftExpr {
  return { expr: 'match', left: { load: 'fib daddr type' }, op: '==', right: 'local' };
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port > 0 && port <= 65_535;
}
