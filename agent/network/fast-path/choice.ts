/** What of the way between pods goes by programs in the kernel (bpf(2)) instead of rules; rules are always there, too. */
export const fastPaths = ['off', 'services', 'pods', 'all'] as const;

export type FastPath = (typeof fastPaths)[number];

/** Connections and datagrams to Services are led when a socket connects or sends. */
export const leadsSockets = (fastPath: FastPath): boolean => fastPath === 'services' || fastPath === 'all';

/** Packets of connections between pods pass by the node's own network stack. */
export const redirectsPackets = (fastPath: FastPath): boolean => fastPath === 'pods' || fastPath === 'all';

/** What the proxy of these options cannot do; undefined: all. What chooses backends by itself has none to lead sockets to. Pure. */
export function fastPathProblem(fastPath: FastPath, proxyMode: string): string | undefined {
  return leadsSockets(fastPath) && proxyMode === 'userspace'
    ? `--fast-path ${fastPath}: with --proxy-mode userspace the agent itself takes connections; choose another mode, or off`
    : undefined;
}
