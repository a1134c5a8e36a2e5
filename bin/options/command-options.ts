import type { FastPath } from '#agent/network/fast-path/choice.ts';
import type { ProxyMode } from '#agent/proxy/service-rules.ts';
import type { AdmissionCommandOptions } from '#bin/admission/add-options.ts';
import type { KubeletAccessCommandOptions } from '#bin/authorization/kubelet-access.ts';
import type { AuthorizationCommandOptions } from '#bin/authorization/add-options.ts';
import type { AuthenticationCommandOptions } from './authentication-options.ts';
import type { ControllerCommandOptions } from './controller-options.ts';
import type { FlowControlCommandOptions } from './flow-control-options.ts';
import type { RuntimeConfigCommandOptions } from './runtime-config.ts';
import type { NodePrefixOptions } from './network-options.ts';
import type { AuditFlags } from '#bin/audit/audit-flags.ts';
import type { EncryptionFlags } from '#bin/encryption/encryption-flags.ts';

export type PodEgress = 'masquerade' | 'routed' | 'none';

/** What `podwright agent` was told. */
export interface AgentCommandOptions extends KubeletAccessCommandOptions {
  readonly data: string;
  readonly run: string;
  /** Default: the one in the certificate. */
  readonly nodeName?: string;
  /** One, or one of each family; the first is the InternalIP that all use who know but one. */
  readonly nodeIp: readonly string[];
  readonly credentials: string;
  /** A cloud's controller initializes the node. */
  readonly cloudProvider?: 'external';
  /** The node asks for its certificates anew before they end. */
  readonly rotateCertificates?: boolean;
  readonly cgroup?: string;
  /** Where its runtime is served as CRI; undefined: nowhere. */
  readonly criSocket?: string;
  /** `unix:///run/containerd/containerd.sock`: another runtime makes the containers, asked by CRI; undefined: this process does. */
  readonly containerRuntimeEndpoint?: string;
  /** Of its images, where they have one of their own. */
  readonly imageServiceEndpoint?: string;
  /** A file of CredentialProviderConfig, and where its programs are. */
  readonly imageCredentialProviderConfig?: string;
  readonly imageCredentialProviderBinDir?: string;
  /** As these: one, or one of each family. */
  readonly clusterDns: readonly string[];
  readonly clusterDomain: string;
  readonly clusterCidr: readonly string[];
  readonly serviceCidr: readonly string[];
  readonly loadBalancerCidr?: readonly string[];
  readonly proxyMode: ProxyMode;
  readonly fastPath: FastPath;
  readonly linkCidr?: readonly string[];
  /** How the node's pods are reached, in the words of agent/network/fabric/settings.ts. */
  readonly fabric: string;
  /** How pods reach what is outside the cluster: with the node's address, with their own, or not. */
  readonly podEgress: PodEgress;
  /** Default: the host's, with systemd-resolved's real resolvers. */
  readonly resolvConf?: string;
  readonly egressSocket?: string;
  readonly insecureRegistry: readonly string[];
  /** `crun=/usr/bin/crun`: who else makes containers. */
  readonly runtimeHandler?: readonly string[];
  /** `nofile=1024:1048576`: of the processes of containers. */
  readonly defaultUlimit?: readonly string[];
  /** Of hosts.toml, as containerd's certs.d. */
  readonly registryConfigDir?: string;
  /** Default: in `data`; /var/log/pods of an installed agent. */
  readonly podLogsDir?: string;
  readonly pluginsDir?: string;
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
  /** FIRST:COUNT of the host's ids, for user namespaces of pods; default: those of user kubelet in /etc/subuid, or from 65536 on. */
  readonly subordinateIds?: string;
  /** Files of KubeletConfiguration; what the command line says is taken instead of theirs. */
  readonly config?: string;
  readonly configDir?: string;
  /** A KubeProxyConfiguration, in the same way. */
  readonly proxyConfig?: string;
  /** Of static pods. */
  readonly podManifestPath?: string;
  /** Names of options that somebody gave, which no file overrules; undefined: all. */
  readonly givenOptions?: readonly string[];
}

/** What `podwright server` was told. */
export interface ServerCommandOptions
  extends
    AuthenticationCommandOptions,
    AuthorizationCommandOptions,
    AdmissionCommandOptions,
    FlowControlCommandOptions,
    ControllerCommandOptions,
    NodePrefixOptions,
    RuntimeConfigCommandOptions,
    AuditFlags,
    EncryptionFlags {
  readonly data: string;
  readonly listen: readonly string[];
  readonly listenFd?: number;
  readonly advertiseAddress: string;
  /** One network, or one of each family, the default first. */
  readonly serviceCidr: readonly string[];
  /** Default: load balancers are somebody else's. */
  readonly loadBalancerCidr?: readonly string[];
  readonly clusterCidr: readonly string[];
  readonly clusterDns: readonly string[];
  readonly node: readonly string[];
  readonly adminKubeconfig?: string;
  readonly adminServer?: string;
  /** That all servers of the cluster have in common, one of each family at most. */
  readonly virtualAddress?: readonly string[];
  readonly podRoutes?: boolean;
  /** A KubeSchedulerConfiguration. */
  readonly schedulerConfig?: string;
  /** A folder of modules, each a SchedulerPlugin. */
  readonly schedulerPlugins?: string;
  /** 0: none. */
  readonly schedulerPort?: number;
  /** Another program binds pods to nodes. */
  readonly disableScheduler?: boolean;
  /** Of the default StorageClass, whose volumes nodes make; `none`: there is none. */
  readonly localStorageClass: string;
  /** A duration as Go writes it. */
  readonly clusterSigningDuration: string;
  readonly etcdServers?: readonly string[];
  readonly etcdCafile?: string;
  readonly etcdCertfile?: string;
  readonly etcdKeyfile?: string;
  readonly etcdListen?: readonly string[];
  readonly etcdListenCafile?: string;
  readonly etcdListenCertfile?: string;
  readonly etcdListenKeyfile?: string;
}

/** What `podwright cri` was told. */
export interface CriCommandOptions {
  readonly socket: string;
  readonly data: string;
  readonly run: string;
  /** Default: where cgroup v2 is mounted. */
  readonly cgroup?: string;
  /** Default: of its own, from `podCidr`. */
  readonly cniConfDir?: string;
  readonly podCidr?: readonly string[];
  readonly resolvConf?: string;
  readonly egressSocket?: string;
  readonly insecureRegistry: readonly string[];
  /** `crun=/usr/bin/crun`: who else makes containers. */
  readonly runtimeHandler?: readonly string[];
  /** `nofile=1024:1048576`: of the processes of containers. */
  readonly defaultUlimit?: readonly string[];
  /** Of hosts.toml, as containerd's certs.d. */
  readonly registryConfigDir?: string;
}
