import { formatIp, ipOfBytes } from '#base/ip.ts';
import type { Listener, TransportProtocol } from './network-facts.ts';

/** TCP_LISTEN and TCP_CLOSE of include/net/tcp_states.h: the latter is a UDP socket that is connected to nobody. */
const listening: Readonly<Record<string, string>> = { TCP: '0A', UDP: '07' };

/** Sockets that are read of one network; of more, the rest is not looked at. */
export const socketsMax = 10_000;

/**
 * Who listens, by /proc/PID/net/{tcp,tcp6,udp,udp6} (Documentation/networking/proc_net_tcp.rst): addresses are words of the machine's own
 * order. Pure.
 */
export function parseSockets(text: string, protocol: TransportProtocol): readonly Listener[] {
  const found = new Map<string, Listener>();
  for (const line of text.split('\n', socketsMax).slice(1)) {
    const [, local = '', , state] = line.trim().split(/\s+/);
    const [hex = '', portHex = ''] = local.split(':');
    if (state !== listening[protocol] || !/^([0-9A-F]{8}|[0-9A-F]{32})$/.test(hex)) continue;
    const words = hex.match(/.{8}/g) ?? [];
    const ip = ipOfBytes(Buffer.concat(words.map((word) => Buffer.from(word, 'hex').toReversed())));
    if (ip === undefined) continue;
    const listener = { protocol, address: formatIp(ip), port: Number.parseInt(portHex, 16) };
    found.set(`${listener.address} ${listener.port}`, listener);
  }
  return [...found.values()];
}
