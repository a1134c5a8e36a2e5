import { createHash } from 'node:crypto';
import { join } from 'node:path';

export const dataDirDefault = '/var/lib/podwright';

/** Among a node's credentials: as whom its proxy, DNS and routes ask. */
export const proxyKubeconfigName = 'proxy.kubeconfig';

/** The repository's root, from which every program of ours is run. */
export const repositoryRoot: string = join(import.meta.dirname, '..');

/** A short stable name of a data directory, for cgroups and directories under /run. */
export function clusterId(dataDir: string): string {
  return createHash('sha256').update(dataDir).digest('hex').slice(0, 8);
}

/** What of a cluster of `up` lies outside its data directory: named after it, so that it is found again without being told. This is the cgroup; it is below that which `up` stood in. */
export const clusterCgroupName = (dataDir: string): string => `podwright-${clusterId(dataDir)}`;

/** Where the sockets and sandboxes of its nodes are, in mount namespaces of their own. */
export const clusterRunDir = (dataDir: string): string => `/run/podwright-${clusterId(dataDir)}`;

/** Where an agent keeps what is its own. `run` is volatile (sockets, sandboxes), `data` survives a reboot. */
export interface AgentPaths {
  readonly data: string;
  readonly run: string;
  readonly logs: string;
  readonly controlSocket: string;
  /** Which cluster the node belongs to. */
  readonly clusterFile: string;
}

export function agentPaths(dataDir: string, runDir: string): AgentPaths {
  return {
    data: dataDir,
    run: runDir,
    logs: join(dataDir, 'logs', 'pods'),
    controlSocket: join(dataDir, 'agent.sock'),
    clusterFile: join(dataDir, 'cluster.json'),
  };
}
