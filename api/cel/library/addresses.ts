import {
  cidrContains,
  compareIps,
  firstOf,
  formatCidr,
  formatIp,
  isIpv4Mapped,
  networkOf,
  parseCidr,
  parseIp,
  type Cidr,
  type Ip,
} from '#base/ip.ts';
import { functionsOf, type CelFunction, type Row } from '#api/cel/eval/function.ts';
import { Fault, Opaque, type Value } from '#api/cel/eval/values.ts';
import { making, traversal } from './costs.ts';

class IpValue extends Opaque {
  readonly typeName = 'net.IP';
  readonly ip: Ip;

  constructor(ip: Ip) {
    super();
    this.ip = ip;
  }

  equals(other: Opaque): boolean {
    return (
      other instanceof IpValue && other.ip.family === this.ip.family && compareIps(this.ip, other.ip) === 0
    );
  }
}

class CidrValue extends Opaque {
  readonly typeName = 'net.CIDR';
  readonly cidr: Cidr;

  constructor(cidr: Cidr) {
    super();
    this.cidr = cidr;
  }

  equals(other: Opaque): boolean {
    return other instanceof CidrValue && formatCidr(other.cidr) === formatCidr(this.cidr);
  }
}

/** As Kubernetes reads addresses here: no zones, and no IPv4 in IPv6. */
function readIp(text: Value): Ip | Fault {
  const given = String(text);
  const ip = parseIp(given);
  if (ip === undefined)
    return new Fault(
      `IP Address ${JSON.stringify(given)} parse error during conversion from string: ParseAddr(${JSON.stringify(given)}): unable to parse IP`,
    );
  return isIpv4Mapped(ip)
    ? new Fault(`IPv4-mapped IPv6 address ${JSON.stringify(given)} is not allowed`)
    : ip;
}

function readCidr(text: Value): Cidr | Fault {
  const given = String(text);
  const cidr = parseCidr(given);
  if (cidr === undefined)
    return new Fault(
      `CIDR ${JSON.stringify(given)} parse error during conversion from string: netip.ParsePrefix(${JSON.stringify(given)}): no '/'`,
    );
  return isIpv4Mapped(cidr.ip)
    ? new Fault(`IPv4-mapped IPv6 address ${JSON.stringify(given)} is not allowed`)
    : cidr;
}

function within(value: Value, ...networks: readonly string[]): boolean {
  if (!(value instanceof IpValue)) return false;
  return networks.some((network) => {
    const cidr = parseCidr(network);
    return cidr !== undefined && cidr.ip.family === value.ip.family && cidrContains(cidr, value.ip);
  });
}

function holds(value: Value, other: Ip | Fault): Value {
  if (other instanceof Fault) return other;
  return (
    value instanceof CidrValue && value.cidr.ip.family === other.family && cidrContains(value.cidr, other)
  );
}

function holdsCidr(value: Value, other: Cidr | Fault): Value {
  if (other instanceof Fault) return other;
  return (
    value instanceof CidrValue &&
    value.cidr.ip.family === other.ip.family &&
    other.prefix >= value.cidr.prefix &&
    cidrContains(value.cidr, other.ip)
  );
}

const ipOf = (value: Value): Ip | Fault =>
  value instanceof IpValue ? value.ip : new Fault('no such overload');
const cidrOf = (value: Value): Cidr | Fault =>
  value instanceof CidrValue ? value.cidr : new Fault('no such overload');
const made = (ip: Ip | Fault): Value => (ip instanceof Fault ? ip : new IpValue(ip));

/** Of comparing two addresses as far as the prefix goes; of a text, reading it as well (library/cost.go). */
function holding([value, other]: readonly Value[]): number {
  const reading = typeof other === 'string' ? traversal([other], undefined) : 0;
  return Math.ceil(2 * prefixBytes(value) * 0.1) + reading;
}

/** Masking it comes on top. */
function holdingCidr(args: readonly Value[]): number {
  return holding(args) + Math.ceil(prefixBytes(args[0]) * 0.1) + 1;
}

function prefixBytes(value: Value): number {
  return value instanceof CidrValue ? Math.ceil(value.cidr.prefix / 8) : 1;
}

/** Kubernetes' own (apiserver/pkg/cel/library/ip.go, cidr.go). */
const rows: Readonly<Record<string, Row>> = {
  'ip(string): net.IP': [(text) => made(readIp(text)), traversal],
  'isIP(string): bool': [(text) => !(readIp(text) instanceof Fault), traversal],
  'ip.isCanonical(string): bool': [
    (text) => {
      const ip = readIp(text);
      return ip instanceof Fault ? ip : formatIp(ip) === text;
    },
    making,
  ],
  'string(net.IP): string': (value) =>
    value instanceof IpValue ? formatIp(value.ip) : new Fault('no such overload'),
  'net.IP.family(): int': (value) => (value instanceof IpValue ? value.ip.family : 0),
  'net.IP.isUnspecified(): bool': (value) => within(value, '0.0.0.0/32', '::/128'),
  'net.IP.isLoopback(): bool': (value) => within(value, '127.0.0.0/8', '::1/128'),
  'net.IP.isLinkLocalMulticast(): bool': (value) => within(value, '224.0.0.0/24', 'ff02::/16'),
  'net.IP.isLinkLocalUnicast(): bool': (value) => within(value, '169.254.0.0/16', 'fe80::/10'),
  'net.IP.isGlobalUnicast(): bool': (value) =>
    !within(
      value,
      ...['0.0.0.0/32', '255.255.255.255/32', '127.0.0.0/8', '224.0.0.0/4', '169.254.0.0/16'],
      ...['::/128', '::1/128', 'ff00::/8', 'fe80::/10'],
    ),
  'cidr(string): net.CIDR': [
    (text) => {
      const cidr = readCidr(text);
      return cidr instanceof Fault ? cidr : new CidrValue(cidr);
    },
    traversal,
  ],
  'isCIDR(string): bool': [(text) => !(readCidr(text) instanceof Fault), traversal],
  'string(net.CIDR): string': (value) =>
    value instanceof CidrValue ? formatCidr(value.cidr) : new Fault('no such overload'),
  'net.CIDR.containsIP(string): bool': [(value, text) => holds(value, readIp(text)), holding],
  'net.CIDR.containsIP(net.IP): bool': [(value, other) => holds(value, ipOf(other)), holding],
  'net.CIDR.containsCIDR(string): bool': [(value, text) => holdsCidr(value, readCidr(text)), holdingCidr],
  'net.CIDR.containsCIDR(net.CIDR): bool': [(value, other) => holdsCidr(value, cidrOf(other)), holdingCidr],
  'net.CIDR.ip(): net.IP': (value) =>
    value instanceof CidrValue ? new IpValue(value.cidr.ip) : new Fault('no such overload'),
  'net.CIDR.masked(): net.CIDR': (value) =>
    value instanceof CidrValue
      ? new CidrValue({ ip: firstOf(networkOf(value.cidr)), prefix: value.cidr.prefix })
      : new Fault('no such overload'),
  'net.CIDR.prefixLength(): int': (value) => (value instanceof CidrValue ? value.cidr.prefix : 0),
};

export const addresses: readonly CelFunction[] = functionsOf(rows);
