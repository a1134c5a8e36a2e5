import type { Service } from '#api/generated/objects.ts';

/** What `up --expose` names: a port of 127.0.0.1 and the node port behind it, or those of all Services. */
export type Exposed = 'services' | PortPair;

export interface PortPair {
  readonly local: number;
  readonly nodePort: number;
}

/** `30080`, `8080:30080` or `services`; undefined: none of them. Pure. */
export function parseExposed(text: string): Exposed | undefined {
  if (text === 'services') return 'services';
  const [, local, nodePort = local] = /^(\d{1,5})(?::(\d{1,5}))?$/.exec(text) ?? [];
  const pair = { local: Number(local), nodePort: Number(nodePort) };
  return Object.values(pair).every((port) => port >= 1 && port <= 65_535) ? pair : undefined;
}

/**
 * The pairs of Services, by TCP: each node port by its own number, and each port of a LoadBalancer as well, which is what its address would
 * have. Of two Services with one port the older has it. Pure.
 */
export function pairsOfServices(services: readonly Service[]): readonly PortPair[] {
  const pairs = new Map<number, PortPair>();
  const byAge = (a: Service, b: Service): number => (keyOf(a) < keyOf(b) ? -1 : 1);
  for (const { spec } of services.toSorted(byAge)) {
    for (const { port, nodePort, protocol = 'TCP' } of spec?.ports ?? []) {
      if (nodePort === undefined || protocol !== 'TCP') continue;
      const locals = spec?.type === 'LoadBalancer' ? [nodePort, port] : [nodePort];
      for (const local of locals) if (!pairs.has(local)) pairs.set(local, { local, nodePort });
    }
  }
  return [...pairs.values()];
}

const keyOf = ({ metadata }: Service): string =>
  `${metadata?.creationTimestamp ?? ''} ${metadata?.namespace ?? ''}/${metadata?.name ?? ''}`;
