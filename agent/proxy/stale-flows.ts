import type { Backend, ProxyPort } from './service-map.ts';

const UDP = 17;

/** A UDP flow that conntrack still sends to where nobody is, or nowhere. */
export interface StaleFlow {
  readonly protocol: 17;
  readonly originalDestination: string;
  readonly port: number;
  /** The backend that is gone; absent: flows that went untranslated before there was one. */
  readonly replySource?: string;
}

/**
 * UDP has no end of connection: a client that keeps sending keeps its conntrack entry, and so its old backend. Pure.
 * `nodeIps` are the addresses that node ports are reached by.
 */
export function computeStaleFlows(
  old: readonly ProxyPort[],
  current: readonly ProxyPort[],
  nodeIps: readonly string[],
): readonly StaleFlow[] {
  const now = new Map(current.map((port) => [port.id, port]));
  const before = new Map(old.map((port) => [port.id, port]));
  const gone = old.filter(isUdp).flatMap((port) => {
    const kept = new Set(backendIps(now.get(port.id)));
    const lost = backendIps(port).filter((ip) => !kept.has(ip));
    return lost.flatMap((replySource) => frontends(port, nodeIps).map((flow) => ({ ...flow, replySource })));
  });
  const first = current
    .filter(isUdp)
    .filter((port) => backendIps(port).length > 0 && backendIps(before.get(port.id)).length === 0)
    .flatMap((port) => frontends(port, nodeIps));
  return [...gone, ...first];
}

function isUdp(port: ProxyPort): boolean {
  return port.protocol === UDP;
}

function backendIps(port: ProxyPort | undefined): readonly string[] {
  const all: readonly Backend[] = port === undefined ? [] : [...port.backends, ...port.localBackends];
  return [...new Set(all.map((backend) => backend.ip))];
}

function frontends(port: ProxyPort, nodeIps: readonly string[]): readonly StaleFlow[] {
  const { nodePort } = port;
  const services = [...port.clusterIps, ...port.externals].map((item): StaleFlow => ({
    protocol: UDP,
    originalDestination: item.address,
    port: item.port,
  }));
  if (nodePort === undefined) return services;
  return [
    ...services,
    ...nodeIps.map((ip): StaleFlow => ({ protocol: UDP, originalDestination: ip, port: nodePort })),
  ];
}
