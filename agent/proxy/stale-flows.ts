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
 * UDP has no end of connection: a client that keeps sending keeps its conntrack entry, and so its old backend, even when the
 * address that it sends to is no longer the Service's. Pure. `nodeIps` are the addresses that node ports are reached by.
 */
export function computeStaleFlows(
  old: readonly ProxyPort[],
  current: readonly ProxyPort[],
  nodeIps: readonly string[],
): readonly StaleFlow[] {
  const now = new Map(current.map((port) => [port.id, port]));
  const before = new Map(old.map((port) => [port.id, port]));
  const gone = old.filter(isUdp).flatMap((port) => {
    const successor = now.get(port.id);
    const kept = new Set(backendIps(successor));
    const reached = new Set(frontends(successor, nodeIps).map(keyOf));
    return frontends(port, nodeIps).flatMap((flow) =>
      backendIps(port)
        .filter((ip) => !kept.has(ip) || !reached.has(keyOf(flow)))
        .map((replySource): StaleFlow => ({ ...flow, replySource })),
    );
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

const keyOf = (flow: StaleFlow): string => `${flow.originalDestination} ${flow.port}`;

function frontends(port: ProxyPort | undefined, nodeIps: readonly string[]): readonly StaleFlow[] {
  if (port === undefined) return [];
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
