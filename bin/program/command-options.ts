export type PodEgress = 'masquerade' | 'routed' | 'none';

/** What `podwright agent` was told. */
export interface AgentCommandOptions {
  readonly data: string;
  readonly run: string;
  /** Default: the one in the certificate. */
  readonly nodeName?: string;
  readonly nodeIp: string;
  readonly credentials: string;
  readonly cgroup?: string;
  readonly clusterDns: string;
  readonly clusterDomain: string;
  readonly clusterCidr: string;
  readonly serviceCidr: string;
  readonly linkCidr?: string;
  /** How pods reach what is outside the cluster: with the node's address, with their own, or not. */
  readonly podEgress: PodEgress;
  /** Default: the host's, with systemd-resolved's real resolvers. */
  readonly resolvConf?: string;
  readonly egressSocket?: string;
  readonly insecureRegistry: readonly string[];
  /** Default: in `data`; /var/log/pods of an installed agent. */
  readonly podLogsDir?: string;
  /** A quantity of bytes. */
  readonly containerLogMaxSize: string;
  /** With the one being written. */
  readonly containerLogMaxFiles: number;
  /** Percent of the disk. */
  readonly imageGcHighThreshold: number;
  readonly imageGcLowThreshold: number;
  /** Durations as Go writes them. */
  readonly minimumImageTtlDuration: string;
  readonly imageMaximumGcAge: string;
  readonly maxPods: number;
}

/** What `podwright server` was told. */
export interface ServerCommandOptions {
  readonly data: string;
  readonly listen: readonly string[];
  readonly listenFd?: number;
  readonly advertiseAddress: string;
  readonly serviceCidr: string;
  readonly clusterCidr: string;
  /** The prefix of each node's range of pod addresses. */
  readonly nodeCidrMaskSize: number;
  readonly clusterDns: string;
  readonly node: readonly string[];
  readonly adminKubeconfig?: string;
  readonly adminServer?: string;
  readonly podRoutes?: boolean;
  /** Who is asked what a request may do: `Node,RBAC`. */
  readonly authorizationMode: string;
  readonly etcdServers?: readonly string[];
  readonly etcdCafile?: string;
  readonly etcdCertfile?: string;
  readonly etcdKeyfile?: string;
  readonly etcdListen?: readonly string[];
  readonly etcdListenCafile?: string;
  readonly etcdListenCertfile?: string;
  readonly etcdListenKeyfile?: string;
}
