import type { Node, Pod } from '#api/generated/objects.ts';

/** A port that a pod binds on its node. */
export interface HostPort {
  /** `TCP/80` */
  readonly port: string;
  /** `0.0.0.0`: all of the node's. */
  readonly address: string;
}

const anyAddress = '0.0.0.0';

/** The ports that the pod binds on its node; sidecars bind them too. */
export function podHostPorts({ spec }: Pod): readonly HostPort[] {
  return [
    ...(spec?.containers ?? []),
    ...(spec?.initContainers ?? []).filter((one) => one.restartPolicy === 'Always'),
  ]
    .flatMap((container) => container.ports ?? [])
    .filter(({ hostPort = 0 }) => hostPort > 0)
    .map(({ hostPort = 0, hostIP, protocol = 'TCP' }) => ({
      port: `${protocol}/${hostPort}`,
      address: hostIP === undefined || hostIP === '' ? anyAddress : hostIP,
    }));
}

/** Ports of a node that are its own: the kubelet's server, and where load balancers ask for the proxy. */
const kubeletPort = 10_250;
const proxyHealthPort = 10_256;

/** Whether the node listens there itself: a pod that had the port would answer in its place. */
export function isPortOfNode({ port }: HostPort, node?: Node): boolean {
  return port === `TCP/${kubeletPortOf(node)}` || port === `TCP/${proxyHealthPort}`;
}

/** Where the node's kubelet listens; 0 is what a server makes of a status that does not say it. */
export function kubeletPortOf(node?: Node): number {
  return node?.status?.daemonEndpoints?.kubeletEndpoint?.Port || kubeletPort;
}

/** A port of an address can be bound once; one of all addresses conflicts with any. */
export function conflictsWith(wanted: HostPort, used: HostPort): boolean {
  return (
    wanted.port === used.port &&
    (wanted.address === used.address || wanted.address === anyAddress || used.address === anyAddress)
  );
}
