import { createHash } from 'node:crypto';
import { join } from 'node:path';

export const dataDirDefault = '/var/lib/podwright';

/** Among a node's credentials: as whom its proxy, DNS and routes ask. */
export const proxyKubeconfigName = 'proxy.kubeconfig';

/** The repository's root, from which every program of ours is run. */
export const repositoryRoot: string = join(import.meta.dirname, '..');

/** Below that: where Node keeps the code of our programs. The entry script says the same. */
export const compileCachePath: string = join('build', 'compile-cache');

/** What the demo image became when it was last made here, which is the same on all nodes of a machine. */
export const demoImageNotePath: string = join(repositoryRoot, 'build', 'demo-image.json');

/** A short stable name of a data directory, for cgroups and directories under /run. */
export function clusterId(dataDir: string): string {
  return createHash('sha256').update(dataDir).digest('hex').slice(0, 8);
}

/** What of a cluster of `up` lies outside its data directory: named after it, so that it is found again without being told. This is the cgroup; it is below that which `up` stood in. */
export const clusterCgroupName = (dataDir: string): string => `podwright-${clusterId(dataDir)}`;

/** Where the sockets and sandboxes of its nodes are, in mount namespaces of their own. */
export const clusterRunDir = (dataDir: string): string => `/run/podwright-${clusterId(dataDir)}`;

/** Where collectors of logs look for those of pods: the kubelet's podLogsDir. */
export const podLogsDirInstalled = '/var/log/pods';

/** Where an agent has them that was told of no other place. */
export const ownLogsDir = (dataDir: string): string => join(dataDir, 'logs', 'pods');

/** Where an agent keeps what is its own. `run` is volatile (sockets, sandboxes), `data` survives a reboot. */
export interface AgentPaths {
  readonly data: string;
  readonly run: string;
  readonly logs: string;
  /** Volumes that outlive pods. */
  readonly volumes: string;
  /** What drivers of volumes and devices know as the kubelet's root, /var/lib/kubelet: their sockets, and where they mount. */
  readonly kubelet: string;
  readonly controlSocket: string;
  /** Which cluster the node belongs to. */
  readonly clusterFile: string;
}

/** `elsewhere`: what is not in the data directory. */
export function agentPaths(
  dataDir: string,
  runDir: string,
  elsewhere: { readonly logs?: string | undefined; readonly kubelet?: string | undefined } = {},
): AgentPaths {
  return {
    data: dataDir,
    run: runDir,
    logs: elsewhere.logs ?? ownLogsDir(dataDir),
    volumes: join(dataDir, 'volumes'),
    kubelet: elsewhere.kubelet ?? join(dataDir, 'kubelet'),
    controlSocket: join(dataDir, 'agent.sock'),
    clusterFile: join(dataDir, 'cluster.json'),
  };
}
