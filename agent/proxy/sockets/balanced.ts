import type { BalancedFrontend, SocketEnd } from '#native/bpf/sockets/socket-balancer.ts';
import type { ProxyPort } from '#agent/proxy/service-map.ts';

const tcp = 6;

/**
 * What of a Service's ports sockets may be led by, as rules would: its cluster addresses, TCP, any of the backends that its policy lets
 * the node's pods have. Left to the rules: UDP, whose flows stay with a backend until it goes, and then must leave it (a connected socket
 * cannot); SCTP; clients that come back to their backend (sessionAffinity); what is refused or dropped, for want of a backend; addresses
 * that are for others, where sources and masquerade matter. Pure.
 */
export function balancedFrontends(ports: readonly ProxyPort[]): readonly BalancedFrontend[] {
  return ports.flatMap((port) => {
    if (port.protocol !== tcp || port.affinitySeconds !== undefined) return [];
    const backends: readonly SocketEnd[] = (port.isInternalLocal ? port.localBackends : port.backends).map(
      ({ ip, port: number }) => ({ ip, port: number }),
    );
    if (backends.length === 0) return [];
    return port.clusterIps.map(({ address, port: number }) => ({
      frontend: { ip: address, port: number },
      backends,
    }));
  });
}
