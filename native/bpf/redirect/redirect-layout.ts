/** What the maps of redirected packets hold. Addresses are of 16 bytes, IPv4 as ::ffff:a.b.c.d. Pure. */
import { Buffer } from 'node:buffer';
import { PodwrightError } from '#base/errors.ts';
import { familyOfIp, parseCidr, writeIpText } from '#base/ip.ts';
import type { MapEntry, MapShape } from '#native/bpf/map.linux.ts';
import { flowsMax, podsMax, routesMax, type PodRoute } from './packet-redirector.ts';

/** pods: address → of its cable; the generation is another each time that a pod is let in. */
export const podValue = { ifindex: 0, generation: 4, mac: 8, bytes: 16 } as const;
/** flows: source, destination, both ports (as in the packet), 0 → generations of both, whether it is established, whether it leaves the node. */
export const flowKey = { source: 0, destination: 16, ports: 32, bytes: 40 } as const;
export const flowValue = { source: 0, destination: 4, isEstablished: 8, isRemote: 12, bytes: 16 } as const;
/** routes: length of the prefix 4, address → interface, then struct bpf_redir_neigh: family, address. */
export const routeKey = { prefix: 0, address: 4, bytes: 20 } as const;
export const routeValue = { ifindex: 0, neighbour: 4, bytes: 24 } as const;
export const neighbourBytes = 20;

const AF_INET = 2;
const AF_INET6 = 10;
const mappedBits = 96;

export const redirectMaps: Readonly<Record<'pods' | 'flows' | 'routes', MapShape>> = {
  pods: {
    ...{ name: 'pw_pods', kind: 'hash', keyBytes: 16, valueBytes: podValue.bytes, entriesMax: podsMax },
  },
  flows: {
    ...{ name: 'pw_flows', kind: 'lruHash', entriesMax: flowsMax },
    ...{ keyBytes: flowKey.bytes, valueBytes: flowValue.bytes },
  },
  routes: {
    ...{ name: 'pw_routes', kind: 'prefixes', entriesMax: routesMax },
    ...{ keyBytes: routeKey.bytes, valueBytes: routeValue.bytes },
  },
};

/** @throws E_INVALID */
export function encodeAddress(text: string): Buffer {
  const bytes = Buffer.alloc(16);
  const family = familyOfIp(text);
  if (family === 4) bytes.writeUInt32BE(0xffff, 8);
  const isWritten = family !== undefined && writeIpText(family, text, bytes, family === 4 ? 12 : 0);
  if (!isWritten) throw new PodwrightError('E_INVALID', `redirect packets: ${text} is no IP address`);
  return bytes;
}

/** @throws E_INVALID */
export function encodePod(cable: {
  readonly ifindex: number;
  readonly generation: number;
  readonly mac: string;
}): Buffer {
  const mac = Buffer.from(cable.mac.replaceAll(':', ''), 'hex');
  if (mac.length !== 6)
    throw new PodwrightError('E_INVALID', `redirect packets: ${cable.mac} is no hardware address`);
  const value = Buffer.alloc(podValue.bytes);
  value.writeUInt32LE(cable.ifindex, podValue.ifindex);
  value.writeUInt32LE(cable.generation, podValue.generation);
  mac.copy(value, podValue.mac);
  return value;
}

/** @throws E_INVALID */
export function encodeRoute({ destination, gateway, linkIndex }: PodRoute): MapEntry {
  const cidr = parseCidr(destination);
  if (cidr === undefined)
    throw new PodwrightError('E_INVALID', `redirect packets: ${destination} is no network`);
  const key = Buffer.alloc(routeKey.bytes);
  key.writeUInt32LE(cidr.prefix + (cidr.ip.family === 4 ? mappedBits : 0), routeKey.prefix);
  encodeAddress(destination.split('/')[0] ?? '').copy(key, routeKey.address);
  const value = Buffer.alloc(routeValue.bytes);
  const family = familyOfIp(gateway);
  value.writeUInt32LE(linkIndex, routeValue.ifindex);
  value.writeUInt32LE(family === 4 ? AF_INET : AF_INET6, routeValue.neighbour);
  const address = encodeAddress(gateway);
  address.copy(value, routeValue.neighbour + 4, family === 4 ? 12 : 0);
  return { key, value };
}
