import type { ConntrackMatch } from '#native/nft/nft.ts';
import type { Backend, Frontend, ProxyPort } from './service-map.ts';

const UDP = 17;

/**
 * UDP has no end of connection: a client that keeps sending keeps its conntrack entry, and so the address and port that answered
 * before, whatever has become of the Service since. A flow stays with a backend that serves, wherever a policy, or what is near, has
 * new ones go, and also while it terminates, as connections of TCP do (kube-proxy since 1.33). These are the flows of one Service that do not lead where they should: to what
 * answers no more, or untranslated to an address that nobody answered at. Pure. `nodeIps` are the addresses that node ports are known
 * to be reached by; by others, only flows to backends that are gone are told from flows that are nobody's business.
 */
export function computeStaleFlows(
  old: readonly ProxyPort[],
  current: readonly ProxyPort[],
  nodeIps: readonly string[],
): readonly ConntrackMatch[] {
  const before = backendsByFrontend(old, nodeIps);
  const now = backendsByFrontend(current, nodeIps);
  const stale: ConntrackMatch[] = [];
  for (const key of new Set([...before.keys(), ...now.keys()])) {
    const was = before.get(key);
    const is = now.get(key);
    const gone = [...(was?.backends ?? [])].filter(([backend]) => is?.backends.has(backend) !== true);
    const isFirst = (was?.backends.size ?? 0) === 0 && (is?.backends.size ?? 0) > 0;
    if (gone.length === 0 && !isFirst) continue;
    const { address, port } = (was ?? is)?.frontend ?? {};
    if (port === undefined) continue;
    if (address !== undefined) {
      const except = [...(is?.backends.values() ?? [])];
      stale.push({ protocol: UDP, originalDestination: address, port, replies: { except } });
    } else if (gone.length > 0) {
      stale.push({ protocol: UDP, port, replies: { only: gone.map(([, backend]) => backend) } });
    }
  }
  return stale;
}

/** Without an address: a port of any address of this node. */
type Place = Pick<Frontend, 'port'> & Partial<Frontend>;

interface Reached {
  readonly frontend: Place;
  /** By `ip port`. */
  readonly backends: Map<string, ConntrackBackend>;
}

type ConntrackBackend = Pick<Backend, 'ip' | 'port'>;

/** What answers at each address and port, whichever port of the Service it belongs to, and however that is called. */
function backendsByFrontend(
  ports: readonly ProxyPort[],
  nodeIps: readonly string[],
): ReadonlyMap<string, Reached> {
  const reached = new Map<string, Reached>();
  const add = (frontend: Place, backends: readonly Backend[]): void => {
    const key = `${frontend.address ?? '*'} ${frontend.port}`;
    const known = reached.get(key) ?? { frontend, backends: new Map() };
    for (const { ip, port } of backends) known.backends.set(`${ip} ${port}`, { ip, port });
    reached.set(key, known);
  };
  for (const item of ports.filter(({ protocol }) => protocol === UDP)) {
    const all = [...(item.flowBackends ?? []), ...item.backends, ...item.localBackends];
    for (const frontend of [...item.clusterIps, ...item.externals]) add(frontend, all);
    if (item.nodePort === undefined) continue;
    for (const address of nodeIps) add({ address, port: item.nodePort }, all);
    add({ port: item.nodePort }, all);
  }
  return reached;
}
