import type { EndpointSlice, Service } from '#api/generated/objects.ts';

/** Service number `n` of a big cluster with so many endpoints, and its slice. Pure. */
export function serviceObjects(
  n: number,
  endpoints: number,
  resourceVersion: number,
): { readonly service: Service; readonly slice: EndpointSlice } {
  const metadata = {
    name: `s${n}`,
    namespace: 'bench',
    resourceVersion: String(resourceVersion),
    uid: `s${n}`,
  };
  return {
    service: {
      metadata,
      spec: {
        clusterIP: `10.96.${n >> 8}.${n & 255}`,
        ports: [{ name: 'http', port: 80, protocol: 'TCP', targetPort: 8080 }],
      },
    },
    slice: {
      metadata: { ...metadata, labels: { 'kubernetes.io/service-name': `s${n}` } },
      addressType: 'IPv4',
      ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
      endpoints: Array.from({ length: endpoints }, (_, i) => ({
        addresses: [endpointAddress(n, i, endpoints)],
        conditions: { ready: true },
        nodeName: 'node-2',
      })),
    },
  };
}

/** Each its own, up to 8 million of them. */
function endpointAddress(n: number, i: number, endpoints: number): string {
  const host = n * Math.max(6, endpoints) + i;
  return `10.${128 + (host >> 16)}.${(host >> 8) & 255}.${host & 255}`;
}

/** The same Services as kube-proxy's nftables mode has them: a chain for each Service and each endpoint, found by a map. Pure. */
export function renderChains(table: string, from: number, to: number, endpoints: number): string {
  const chains: string[] = [];
  const elements: string[] = [];
  for (let n = from; n < to; n++) {
    const targets = Array.from({ length: endpoints }, (_, i) => `e${n}x${i}`);
    targets.forEach((name, i) =>
      chains.push(
        `add chain ip ${table} ${name}`,
        `add rule ip ${table} ${name} meta l4proto tcp dnat to ${endpointAddress(n, i, endpoints)}:8080`,
      ),
    );
    const choice = targets.map((name, i) => `${i} : goto ${name}`).join(', ');
    chains.push(
      `add chain ip ${table} s${n}`,
      `add rule ip ${table} s${n} numgen random mod ${endpoints} vmap { ${choice} }`,
    );
    elements.push(`10.96.${n >> 8}.${n & 255} . tcp . 80 : goto s${n}`);
  }
  return [...chains, `add element ip ${table} services { ${elements.join(', ')} }`, ''].join('\n');
}

/** The table that {@link renderChains} adds to. Pure. */
export function renderChainsTable(table: string): string {
  return `table ip ${table} {
  map services { type ipv4_addr . inet_proto . inet_service : verdict; }
  chain prerouting {
    type nat hook prerouting priority -100;
    ip daddr . meta l4proto . th dport vmap @services
  }
}
`;
}
