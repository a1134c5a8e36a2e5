import type { BalancedFrontend, LedProtocol, SocketEnd } from '#native/bpf/sockets/socket-balancer.ts';
import type { ProxyPort } from '#agent/proxy/service-map.ts';

const ledProtocols: Readonly<Record<ProxyPort['protocol'], LedProtocol | undefined>> = {
  6: 'tcp',
  17: 'udp',
  132: undefined,
};

/**
 * What of a Service's ports sockets may be led by, as rules would: its cluster addresses, TCP and UDP, any of the backends that its policy
 * lets the node's pods have. Left to the rules: SCTP; clients that come back to their backend (sessionAffinity: which client came where is
 * known by the rules); what is refused or dropped, for want of a backend; addresses that are for others, where sources and masquerade
 * matter. Pure.
 */
export function balancedFrontends(ports: readonly ProxyPort[]): readonly BalancedFrontend[] {
  return ports.flatMap((port) => {
    const protocol = ledProtocols[port.protocol];
    if (protocol === undefined || port.affinitySeconds !== undefined) return [];
    const backends: readonly SocketEnd[] = (port.isInternalLocal ? port.localBackends : port.backends).map(
      ({ ip, port: number }) => ({ ip, port: number }),
    );
    if (backends.length === 0) return [];
    return port.clusterIps.map(({ address, port: number }) => ({
      protocol,
      frontend: { ip: address, port: number },
      backends,
    }));
  });
}
