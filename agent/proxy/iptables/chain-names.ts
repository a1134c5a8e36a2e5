import { createHash } from 'node:crypto';
import type { Backend, ProxyPort } from '#agent/proxy/service-map.ts';
import type { XtProtocol, XtTableName } from '#native/xtables/xtables.ts';

export const protocolNames: Readonly<Record<ProxyPort['protocol'], XtProtocol>> = {
  6: 'tcp',
  17: 'udp',
  132: 'sctp',
};

/** An empty chain in each table of ours: what has the names of below in a table that has it is ours. */
export const markerChain = 'PODWRIGHT-PROXY';

/** Chains of a table that all Services share, in kube-proxy's names. */
export const sharedChains: Readonly<Record<XtTableName, readonly string[]>> = {
  raw: ['KUBE-PROXY-LOOPBACK'],
  nat: ['KUBE-SERVICES', 'KUBE-NODEPORTS', 'KUBE-POSTROUTING', 'KUBE-MARK-MASQ'],
  filter: ['KUBE-SERVICES', 'KUBE-EXTERNAL-SERVICES', 'KUBE-PROXY-FIREWALL', 'KUBE-FORWARD'],
};

const ownPrefix = /^KUBE-(?:SVC|SVL|SEP|EXT|FW)-/;

/** Whether a Service proxy makes chains of that name in that table. Pure. */
export function isProxyChain(table: string, name: string): boolean {
  const shared = Object.hasOwn(sharedChains, table) ? sharedChains[table as XtTableName] : [];
  return shared.includes(name) || ownPrefix.test(name);
}

/** Chains of a port of a Service: its backends, those on this node, clients from outside, sources that may. */
export type PortChain = 'SVC' | 'SVL' | 'EXT' | 'FW';

/** `KUBE-SVC-` and the hash that kube-proxy makes of the port's name and protocol. Pure. */
export function portChainName(kind: PortChain, port: ProxyPort): string {
  return `KUBE-${kind}-${hashOf(portName(port), protocolNames[port.protocol])}`;
}

/** The chain of one backend of a port, and the name of the list of clients that it keeps. Pure. */
export function backendChainName(port: ProxyPort, { ip, port: number }: Backend): string {
  const place = ip.includes(':') ? `[${ip}]:${number}` : `${ip}:${number}`;
  return `KUBE-SEP-${hashOf(portName(port), protocolNames[port.protocol], place)}`;
}

/** `namespace/name:port name`, without the colon where the port has no name. Pure. */
export function portName({ id }: ProxyPort): string {
  return id.endsWith(':') ? id.slice(0, -1) : id;
}

const base32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'; // RFC 4648 section 6
const hashLength = 16;

/** The first characters of the SHA-256 in base32: ten bytes of it. */
function hashOf(...parts: readonly string[]): string {
  const digest = createHash('sha256').update(parts.join('')).digest();
  let bits = BigInt(`0x${digest.subarray(0, (hashLength * 5) / 8).toString('hex')}`);
  let text = '';
  for (let i = 0; i < hashLength; i++) {
    text = `${base32[Number(bits & 31n)]}${text}`;
    bits >>= 5n;
  }
  return text;
}
