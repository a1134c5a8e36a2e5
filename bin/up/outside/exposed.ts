import type { Service } from '#api/generated/objects.ts';

/** What `up --expose` names: a port of 127.0.0.1 and the node port behind it, or those of all Services. */
export type Exposed = 'services' | PortPair;

export interface PortPair {
  readonly local: number;
  /** Of a node, or of the address. */
  readonly port: number;
  /** Of a load balancer whose Service has no node ports. */
  readonly ip?: string;
}

/** `30080`, `8080:30080` or `services`; undefined: none of them. Pure. */
export function parseExposed(text: string): Exposed | undefined {
  if (text === 'services') return 'services';
  const [, local, nodePort = local] = /^(\d{1,5})(?::(\d{1,5}))?$/.exec(text) ?? [];
  const pair = { local: Number(local), port: Number(nodePort) };
  return Object.values(pair).every((port) => port >= 1 && port <= 65_535) ? pair : undefined;
}

/**
 * The pairs of Services, by TCP: each node port by its own number, and each port of a LoadBalancer as well, which is what its address
 * has. Of two Services with one port the older has it. Pure.
 */
export function pairsOfServices(services: readonly Service[]): readonly PortPair[] {
  const pairs = new Map<number, PortPair>();
  const byAge = (a: Service, b: Service): number => (keyOf(a) < keyOf(b) ? -1 : 1);
  for (const service of services.toSorted(byAge)) {
    const isBalanced = service.spec?.type === 'LoadBalancer';
    for (const { port, nodePort = 0, protocol = 'TCP' } of service.spec?.ports ?? []) {
      if (protocol !== 'TCP') continue;
      const ip = isBalanced && nodePort === 0 ? addressOf(service) : undefined;
      const locals = [...(nodePort === 0 ? [] : [nodePort]), ...(isBalanced ? [port] : [])];
      for (const local of locals) {
        if (pairs.has(local)) continue;
        if (nodePort !== 0) pairs.set(local, { local, port: nodePort });
        else if (ip !== undefined) pairs.set(local, { local, port, ip });
      }
    }
  }
  return [...pairs.values()];
}

/** An address of its load balancer that the nodes' rules lead on; undefined: it has none. */
function addressOf({ status }: Service): string | undefined {
  return status?.loadBalancer?.ingress?.find(({ ip, ipMode }) => ip !== undefined && ipMode !== 'Proxy')?.ip;
}

const keyOf = ({ metadata }: Service): string =>
  `${metadata?.creationTimestamp ?? ''} ${metadata?.namespace ?? ''}/${metadata?.name ?? ''}`;
