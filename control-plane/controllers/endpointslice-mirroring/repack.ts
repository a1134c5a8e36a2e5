import type { EndpointAddress, EndpointPort, EndpointSubset } from '#api/generated/objects.ts';

interface Offered {
  readonly address: EndpointAddress;
  readonly isReady: boolean;
}

/**
 * The subsets such that each port is in one of them, and ports that the same addresses offer are together (endpoints.RepackSubsets of
 * Kubernetes). An address that is told of twice is ready only if it is both times.
 */
export function repackSubsets(subsets: readonly EndpointSubset[]): readonly EndpointSubset[] {
  const known = new Map<string, EndpointAddress>();
  const byPort = new Map<string, { readonly port?: EndpointPort; readonly offered: Map<string, Offered> }>();
  for (const { addresses = [], notReadyAddresses = [], ports = [] } of subsets) {
    const all = [
      ...addresses.map((address) => ({ address, isReady: true })),
      ...notReadyAddresses.map((address) => ({ address, isReady: false })),
    ];
    for (const port of ports.length === 0 ? [undefined] : ports) {
      const key = portKey(port);
      const { offered } = byPort.get(key) ?? { offered: new Map<string, Offered>() };
      if (!byPort.has(key)) byPort.set(key, port === undefined ? { offered } : { port, offered });
      for (const { address, isReady } of all) {
        const of = addressKey(address);
        const first = known.get(of) ?? address;
        known.set(of, first);
        offered.set(of, { address: first, isReady: isReady && offered.get(of)?.isReady !== false });
      }
    }
  }
  const together = Map.groupBy(byPort.values(), ({ offered }) =>
    [...offered]
      .map(([key, { isReady }]) => `${key} ${isReady}`)
      .toSorted()
      .join(),
  );
  return [...together.values()].map((same) => {
    const offered = [...(same[0]?.offered.values() ?? [])];
    const addresses = offered.filter(({ isReady }) => isReady).map(({ address }) => address);
    const notReadyAddresses = offered.filter(({ isReady }) => !isReady).map(({ address }) => address);
    return { addresses, notReadyAddresses, ports: same.flatMap(({ port }) => port ?? []) };
  });
}

function portKey(port: EndpointPort | undefined): string {
  const { name = '', port: number = -1, protocol = 'TCP', appProtocol = '' } = port ?? {};
  return JSON.stringify([name, number, protocol, appProtocol]);
}

function addressKey({ ip, targetRef }: EndpointAddress): string {
  return `${ip}/${targetRef?.uid ?? ''}`;
}
