/** What a server's ACK gives to a container. Pure. */
import type { CniDns, CniRoute } from '#api/cni/result.ts';
import { firstOf, formatCidr, formatIp, ipOfBytes, maskIp, networkOf, parseIp, type Cidr } from '#base/ip.ts';
import { addressesOf, dhcpOption, isAddress, uint32Of, type DhcpMessage } from './message.ts';

export interface Lease {
  readonly address: string; // 10.1.0.7/24
  readonly gateway: string | undefined;
  readonly routes: readonly CniRoute[];
  readonly dns: CniDns;
  /** Who gave it, and by which neighbour of the container. */
  readonly server: string;
  readonly serverMac: string;
  /** From the request that was answered: when it is asked of its server, when of all, when it is nobody's. */
  readonly renewMs: number;
  readonly rebindMs: number;
  readonly expiryMs: number;
}

/** RFC 2131 section 4.4.5, where the server says nothing. */
const [renewPart, rebindPart] = [0.5, 0.875];
/** A lease that is shorter keeps asking. */
const secondsMin = 10;
/** All bits set: for ever, which is a hundred years here. */
const infiniteSeconds = 0xffff_ffff;
const foreverMs = 100 * 365 * 86_400_000;

/** Undefined: it names no address, no server, or no time. */
export function leaseOf(ack: DhcpMessage, serverMac: string): Lease | undefined {
  const { options, yourAddress } = ack;
  const [server] = addressesOf(options.get(dhcpOption.serverIdentifier) ?? Buffer.alloc(0));
  const seconds = uint32Of(options.get(dhcpOption.leaseSeconds));
  const ip = parseIp(yourAddress);
  if (ip === undefined || !isAddress(yourAddress) || server === undefined || seconds === undefined)
    return undefined;
  const cidr = { ip, prefix: prefixOf(options.get(dhcpOption.subnetMask)) ?? classPrefix(ip.w3) };
  const routers = addressesOf(options.get(dhcpOption.routers) ?? Buffer.alloc(0)).filter(isAddress);
  const expiry = Math.max(seconds, secondsMin);
  const rebind = within(uint32Of(options.get(dhcpOption.rebindSeconds)), expiry * rebindPart, expiry);
  const renew = within(uint32Of(options.get(dhcpOption.renewSeconds)), expiry * renewPart, rebind);
  const isForever = seconds === infiniteSeconds;
  return {
    address: formatCidr(cidr),
    gateway: routers[0],
    routes: routesOf(options, routers),
    dns: dnsOf(options),
    server,
    serverMac,
    renewMs: isForever ? foreverMs : renew * 1000,
    rebindMs: isForever ? foreverMs : rebind * 1000,
    expiryMs: isForever ? foreverMs : expiry * 1000,
  };
}

/** What was said, if it is before the later one. */
function within(said: number | undefined, otherwise: number, later: number): number {
  return said !== undefined && said > 0 && said <= later ? said : Math.min(otherwise, later);
}

/** The number of leading ones; undefined: it is no mask. */
function prefixOf(mask: Uint8Array | undefined): number | undefined {
  const bits = uint32Of(mask);
  if (bits === undefined) return undefined;
  const prefix = Math.clz32(~bits);
  return maskIp(4, prefix).w3 === bits && prefix > 0 ? prefix : undefined;
}

/** Classes of RFC 791, which a server relies on that says no mask. */
function classPrefix(address: number): number {
  if (address >>> 31 === 0) return 8;
  return address >>> 30 === 0b10 ? 16 : 24;
}

/** With classless routes the others are not looked at (RFC 3442). */
function routesOf(options: ReadonlyMap<number, Uint8Array>, routers: readonly string[]): readonly CniRoute[] {
  const classless = options.get(dhcpOption.classlessRoutes);
  if (classless !== undefined) return classlessRoutes(classless);
  const pairs = addressesOf(options.get(dhcpOption.staticRoutes) ?? Buffer.alloc(0));
  const hosts = Array.from({ length: Math.floor(pairs.length / 2) }, (_, i) => pairs.slice(i * 2, i * 2 + 2));
  const [gw] = routers;
  return [
    ...hosts.flatMap(([dst = '', via = '']) =>
      isAddress(dst) && isAddress(via) ? [{ dst: `${dst}/32`, gw: via }] : [],
    ),
    ...(gw === undefined ? [] : [{ dst: '0.0.0.0/0', gw }]),
  ];
}

/** RFC 3442: the length of a prefix, as many bytes of it as count, a router; zeros: it is on the link. As many as are whole. */
function classlessRoutes(value: Uint8Array): readonly CniRoute[] {
  const routes: CniRoute[] = [];
  for (let offset = 0; offset < value.length;) {
    const prefix = value[offset] ?? 33;
    const bytes = Math.ceil(prefix / 8);
    if (prefix > 32 || offset + 1 + bytes + 4 > value.length) break;
    const destination = Buffer.alloc(4);
    destination.set(value.subarray(offset + 1, offset + 1 + bytes));
    const ip = ipOfBytes(destination);
    const [gw = ''] = addressesOf(value.subarray(offset + 1 + bytes, offset + 5 + bytes));
    offset += 1 + bytes + 4;
    if (ip === undefined) continue;
    const network: Cidr = networkOf({ ip, prefix });
    const dst = `${formatIp(firstOf(network))}/${prefix}`;
    routes.push(isAddress(gw) ? { dst, gw } : { dst });
  }
  return routes;
}

function dnsOf(options: ReadonlyMap<number, Uint8Array>): CniDns {
  const nameservers = addressesOf(options.get(dhcpOption.nameServers) ?? Buffer.alloc(0)).filter(isAddress);
  const domain = textOf(options.get(dhcpOption.domainName));
  return {
    ...(nameservers.length === 0 ? {} : { nameservers }),
    ...(domain === undefined ? {} : { domain }),
  };
}

/** A name as resolv.conf takes it, without the NUL that some servers end it with; what else there is in it is not believed. */
function textOf(value: Uint8Array | undefined): string | undefined {
  const text = Buffer.from(value ?? [])
    .toString('latin1')
    .replace(/\0+$/, '');
  return /^[a-zA-Z0-9]([a-zA-Z0-9_.-]{0,252})$/.test(text) ? text : undefined;
}
