/** What an OCI runtime starts, as data without choices: a bundle's container, and processes that join one. */
import type {
  ContainerLaunch,
  IdRange,
  LaunchMount,
  LaunchRlimit,
  LaunchUser,
  SeccompFilter,
} from '#native/launch/launch.ts';

export const namespaceKinds = ['pid', 'network', 'mount', 'ipc', 'uts', 'user', 'cgroup', 'time'] as const;
export type NamespaceKind = (typeof namespaceKinds)[number];

/** Of a file system type other than those of pods, too. Options that are not of the mount itself are in `data`. */
export type BundleMount = Omit<LaunchMount, 'type'> & { readonly type: string };

/** CAP_* names, as capabilities(7) has the sets. */
export interface CapabilitySets {
  readonly bounding: readonly string[];
  readonly effective: readonly string[];
  readonly permitted: readonly string[];
  readonly inheritable: readonly string[];
  readonly ambient: readonly string[];
}

export interface BundleProcess {
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly user: LaunchUser;
  readonly umask: number;
  readonly capabilities: CapabilitySets;
  readonly noNewPrivileges: boolean;
  readonly seccomp: SeccompFilter | undefined;
  readonly rlimits: readonly LaunchRlimit[];
  readonly oomScoreAdj: number | undefined;
  readonly terminal: { readonly columns: number; readonly rows: number } | 'default' | undefined;
  /** Loaded into the kernel already; AppArmor is on. */
  readonly apparmorProfile: string | undefined;
  /** As ioprio_set(2) takes it. */
  readonly ioPriority: number | undefined;
  /** struct sched_attr of sched_setattr(2). */
  readonly scheduler: Buffer | undefined;
  /** CPUs of sched_setaffinity(2). */
  readonly cpus: readonly number[] | undefined;
  /** Of 0, 1, 2: the streams that are to belong to the user. */
  readonly ownStreams: readonly number[];
  /** A session keyring of its own, in place of the caller's. */
  readonly hasOwnKeyring: boolean;
}

/** How ids of a user namespace are the host's. */
export interface IdMapping {
  readonly containerId: number;
  readonly hostId: number;
  readonly size: number;
}

export interface BundleUsers {
  /** What is 0 and up in the namespace, for what is made as its root. */
  readonly ids: IdRange;
  /** Of the group 0. */
  readonly firstGid: number;
  readonly uidMappings: readonly IdMapping[];
  readonly gidMappings: readonly IdMapping[];
}

export interface BundleLaunch {
  readonly process: BundleProcess;
  readonly root: { readonly path: string; readonly isReadonly: boolean };
  readonly mounts: readonly BundleMount[];
  readonly devices: ContainerLaunch['devices'];
  /** No device of what is mounted can be opened (LaunchSecurity). */
  readonly isNodev: boolean;
  readonly pipes: readonly {
    readonly path: string;
    readonly mode: number;
    readonly uid: number;
    readonly gid: number;
  }[];
  /** In what order they are entered is the compiler's. A kind that is not there is the caller's own. */
  readonly namespaces: readonly { readonly kind: NamespaceKind; readonly path: string | undefined }[];
  readonly users: BundleUsers | undefined;
  readonly hostname: string | undefined;
  readonly domainname: string | undefined;
  readonly sysctls: Readonly<Record<string, string>>;
  readonly maskedPaths: readonly string[];
  readonly readonlyPaths: readonly string[];
  readonly rootPropagation: 'shared' | 'slave' | 'private' | 'unbindable';
  /** PER_* of personality(2). */
  readonly personality: number | undefined;
  readonly timeOffsets: readonly {
    readonly clock: string;
    readonly seconds: number;
    readonly nanoseconds: number;
  }[];
  /** Where it waits a second time: everything is mounted, and the host's root is still there. */
  readonly pausesMounted: boolean;
}

/** A process that joins a container: of an exec, or a hook that runs in the container's namespaces. */
export interface JoinLaunch {
  readonly process: BundleProcess;
  /** Of the container, by its first process. */
  readonly namespaces: readonly NamespaceKind[];
  readonly users: BundleUsers | undefined;
}
