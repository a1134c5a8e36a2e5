/**
 * The runtime port: what the kubelet asks of sandboxes, containers, images and logs. Observation is event-driven: the
 * runtime tells which pod changed, and `observe` answers from what it knows (never a polling loop).
 */
import type { OciConfig } from '#api/oci/runtime/config.ts';
import type { PullProgress } from '#agent/runtime/images/pull-progress.ts';
import type { CgroupStats } from '#native/cgroup/cgroup.ts';
import type { Duplex, Readable } from 'node:stream';
import type {
  ContainerLaunch,
  IdRange,
  LaunchMount,
  LaunchStdio,
  LaunchUser,
  ProcessStreams,
} from '#native/launch/launch.ts';

/** What is fixed for a pod's sandbox; ids, names, addresses and paths are chosen by the caller. */
export interface SandboxConfig {
  readonly uid: string; // pod uid
  /** What network plugins are told that the pod's uid is, where that is another: CRI has several sandboxes of a pod. */
  readonly podUid?: string;
  readonly namespace: string;
  readonly name: string;
  /** Counts up with each new sandbox of the same pod. */
  readonly attempt: number;
  readonly hostname: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly hostNetwork: boolean;
  readonly hostPid: boolean;
  readonly hostIpc: boolean;
  readonly sharePidNamespace: boolean;
  /** A user namespace of the pod's own (hostUsers: false). */
  readonly hasOwnUsers?: boolean;
  /** Its ids on the host, the same for each sandbox of a pod; undefined: chosen by the runtime, which knows those that are given. */
  readonly ids?: IdRange | undefined;
  readonly sysctls: Readonly<Record<string, string>>;
  readonly portMappings: readonly {
    readonly hostPort: number;
    readonly containerPort: number;
    readonly protocol: string;
    readonly hostIp: string;
  }[];
  /** Pod cgroup, relative to the node's root cgroup: `kubepods/burstable/pod<uid>`; with its limits. */
  readonly cgroupParent: string;
  readonly resources: CgroupResources;
  /** Where logs of its containers are; a runtime that is asked by CRI is told so when the sandbox is made. */
  readonly logDirectory?: string | undefined;
  /** Who makes its containers, as its RuntimeClass says; undefined, or '': the runtime itself. */
  readonly runtimeHandler?: string | undefined;
  /** One of its containers is privileged. */
  readonly hasPrivileged?: boolean;
  /** What a runtime that is asked by CRI is told besides. Our own has no use for it: its sandboxes have no container of their own. */
  readonly words?: SandboxWords | undefined;
}

/** What a kubelet says of a pod as it asks another runtime for its sandbox. */
export interface SandboxWords {
  /** Who the sandbox's own container runs as, by the pod's securityContext. */
  readonly user: Pick<LaunchUser, 'additionalGids'> & Partial<Pick<LaunchUser, 'uid' | 'gid'>>;
  /** supplementalGroupsPolicy Strict. */
  readonly leavesImageGroups?: boolean;
  readonly selinux?: SelinuxLabel | undefined;
  /** What its containers resolve names by, as resolv.conf(5) has it. */
  readonly dns: {
    readonly servers: readonly string[];
    readonly searches: readonly string[];
    readonly options: readonly string[];
  };
  /** Of what the pod asks for, without its overhead. */
  readonly resources: CgroupResources;
  readonly overhead: CgroupResources | undefined;
}

/** Parts of a label; what is left out is the runtime's choice. */
export interface SelinuxLabel {
  readonly user?: string;
  readonly role?: string;
  readonly type?: string;
  readonly level?: string;
}

/** Already in kernel terms; undefined leaves the kernel's default. */
export interface CgroupResources {
  readonly cpuWeight?: number | undefined; // 1..10000
  readonly cpuQuotaUs?: number | undefined; // per cpuPeriodUs; -1: no limit
  readonly cpuPeriodUs?: number | undefined;
  readonly memoryMaxBytes?: number | undefined; // -1: no limit
  readonly pidsMax?: number | undefined;
  /** What is in memory alone beside: never reclaimed, reclaimed last, reclaimed hard above. */
  readonly memoryMinBytes?: number | undefined;
  readonly memoryLowBytes?: number | undefined;
  readonly memoryHighBytes?: number | undefined;
  readonly swapMaxBytes?: number | undefined;
  /** Out of memory, all of it ends. */
  readonly isOomGroup?: boolean | undefined;
  /** Bytes by size of pages, as the files of hugetlb are named: `2MB`. */
  readonly hugePages?: Readonly<Record<string, number>> | undefined;
  /** Other files of cgroup v2 by name, `cpuset.cpus`: as the kernel takes them (OCI runtime specification, `unified`). */
  readonly unified?: Readonly<Record<string, string>> | undefined;
}

/** What a container mounts: of the host, or of an image. */
export type ContainerMount = LaunchMount | ImageMount;

/** The files of an image of the store, or what is at a path inside it; never written to. */
export interface ImageMount extends Pick<LaunchMount, 'target' | 'options'> {
  readonly type: 'image';
  /** The image's id. */
  readonly source: string;
  /** Undefined: all of it. */
  readonly subPath?: string | undefined;
}

/** An image that a container mounts. */
export interface MountedImage {
  readonly target: string;
  /** As a container's own is named. */
  readonly imageId: string;
}

export interface ContainerConfig {
  readonly id: string; // chosen by the caller: 64 hex digits
  readonly name: string; // of the container in the pod
  readonly attempt: number; // restart count
  /** Image id as resolved by the image store (sha256:…). */
  readonly imageId: string;
  readonly image: string; // as the pod names it
  readonly command: readonly string[]; // empty: the image's entrypoint
  readonly args: readonly string[]; // with empty command and args: the image's cmd
  readonly env: readonly { readonly name: string; readonly value: string }[]; // laid over the image's
  readonly workingDir: string | undefined; // undefined: the image's
  readonly mounts: readonly ContainerMount[]; // volumes, /etc/hosts, resolv.conf, termination log, in order
  /** runAsUser, runAsGroup, additional groups as asked; a user name of the image is looked up in its /etc/passwd. */
  readonly user: Partial<LaunchUser> & {
    readonly fsGroups: readonly number[];
    /** supplementalGroupsPolicy Strict: the groups that the image's /etc/group gives the user are left out. */
    readonly leavesImageGroups?: boolean;
    /** Instead of the image's USER, and as it may be: `name`, `uid`, either with `:group`. */
    readonly name?: string;
  };
  readonly runAsNonRoot: boolean;
  readonly security: ContainerLaunch['security'];
  readonly devices: readonly HostDevice[];
  /** What devices want run at points of its life (CDI): by a handler that is an OCI runtime, or the start is refused. */
  readonly hooks?: ContainerHooks | undefined;
  /** For a runtime that is asked by CRI: devices of CDI, which it finds by itself. */
  readonly cdiDevices?: readonly string[] | undefined;
  readonly rlimits: ContainerLaunch['rlimits'];
  readonly oomScoreAdj: number;
  /** The running container of the pod whose pid namespace this one joins (CRI: NamespaceMode TARGET). Undefined: the sandbox's choice. */
  readonly pidTarget?: string | undefined;
  readonly resources: CgroupResources;
  readonly stdio: LaunchStdio; // logPath chosen by the caller: /var/log/pods/NS_NAME_UID/CONTAINER/N.log
  readonly stopSignal: string | undefined; // undefined: the image's, else SIGTERM
  /** Where `terminationMessagePath` lies on the host (the caller also mounts it); read when the container has ended. */
  readonly termination?: TerminationMessage | undefined;
  /** For a runtime that is asked by CRI: what a kubelet says of a container there, and what plugins of devices do. */
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  /** For a runtime that is asked by CRI; a node with SELinux refuses it otherwise. */
  readonly selinux?: SelinuxLabel | undefined;
}

export type HostDevice = ContainerLaunch['devices'][number] & {
  /** Where the host has it, where that is known. */
  readonly hostPath?: string;
};

/** By stage (runtime-spec, config.md, "POSIX-platform Hooks"). */
export type ContainerHooks = NonNullable<OciConfig['hooks']>;

export interface TerminationMessage {
  readonly path: string;
  /** terminationMessagePolicy FallbackToLogsOnError: an empty file and an error give the end of the log instead. */
  readonly fallbackToLogsOnError: boolean;
}

export type ContainerState =
  | { readonly state: 'created' }
  | { readonly state: 'running'; readonly startedAtMs: number; readonly pid: number }
  | {
      readonly state: 'exited';
      readonly startedAtMs: number;
      readonly finishedAtMs: number;
      readonly exitCode: number;
      readonly signal: number | undefined;
      readonly reason:
        | 'Completed'
        | 'Error'
        | 'OOMKilled'
        | 'ContainerCannotRun'
        | 'StartError'
        | 'ContainerStatusUnknown';
      readonly message: string; // the termination message, or why it could not start
    };

export interface ContainerObservation {
  readonly id: string;
  /** As statuses name it, `containerd://…`, where the runtime has ids of its own. */
  readonly shownId?: string | undefined;
  readonly name: string;
  readonly attempt: number;
  readonly image: string;
  readonly imageId: string; // digest reference where known, else the image's id
  readonly logPath: string | undefined;
  readonly state: ContainerState;
  /** Who its first process is, where that is known. */
  readonly user?: LaunchUser | undefined;
  /** The signal that stops it. */
  readonly stopSignal?: number | undefined;
  readonly mountedImages?: readonly MountedImage[] | undefined;
}

/** What who makes containers can do, as a Node's status has it. */
export interface HandlerFeatures {
  readonly recursiveReadOnlyMounts: boolean;
  readonly userNamespaces: boolean;
}

export interface SandboxObservation {
  readonly id: string;
  readonly attempt: number;
  /**
   * ready: supervisor alive and network set up; dead: the supervisor is gone, the rest still stands; stopped: nothing stands
   * but the records and empty cgroups.
   */
  readonly state: 'ready' | 'dead' | 'stopped';
  readonly createdAtMs: number;
  readonly ips: readonly string[]; // empty with hostNetwork
  readonly netnsPath: string | undefined;
  /** Who makes its containers, where that is not the runtime itself. */
  readonly handler?: { readonly name: string; readonly features: HandlerFeatures };
}

/** All that is known of a pod on this node; containers newest last, exited ones until removed. */
export interface PodObservation {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly sandbox: SandboxObservation | undefined;
  readonly containers: readonly ContainerObservation[];
}

export interface ExecRequest {
  readonly args: readonly string[];
  readonly stdin: boolean;
  readonly tty: boolean;
  /** Who asks reads no output before the command has ended: a probe, a hook. */
  readonly isCollected?: boolean;
  /** After which it is killed at the latest, where only the runtime can; who asks gives up by the signal. */
  readonly timeoutSeconds?: number | undefined;
}

export interface ExecSession {
  readonly streams: ProcessStreams;
  /** Resolves with 0..255, or 128 + signal. */
  readonly exitCode: Promise<number>;
  kill(): Promise<void>;
}

export interface Runtime extends AsyncDisposable {
  /** Every pod with something left on this node, at start and whenever asked. */
  observeAll(): readonly PodObservation[];
  observe(uid: string): PodObservation | undefined;
  /** Told the uid of each pod whose observation changed. */
  onChange(listener: (uid: string) => void): Disposable;

  /** Network namespace, CNI ADD, cgroup, supervisor. Undone if a step fails. Safe to repeat for the same attempt. */
  runSandbox(config: SandboxConfig, signal: AbortSignal): Promise<SandboxObservation>;
  /** Kills what is left in it, stops the supervisor, CNI DEL, unmounts. Safe to repeat. */
  stopSandbox(uid: string, signal: AbortSignal): Promise<void>;
  /** Removes records, container directories and cgroups of a stopped sandbox. Safe to repeat. */
  removePod(uid: string, signal: AbortSignal): Promise<void>;

  /**
   * Snapshot, program, launch. A container that cannot start is observed as exited with StartError, and E_LAUNCH is thrown; one that
   * cannot be made of its image and settings (no command, an unknown user, an image that is gone) is not observed at all.
   * @throws E_LAUNCH, E_INVALID, E_NOT_FOUND
   */
  startContainer(uid: string, config: ContainerConfig, signal: AbortSignal): Promise<void>;
  /** Stop signal, then SIGKILL after the grace period. Resolves when the exit is observed. */
  stopContainer(uid: string, id: string, gracePeriodSeconds: number, signal: AbortSignal): Promise<void>;
  /** Removes an exited container's directories and record (its log file stays unless `withLogs`). */
  removeContainer(uid: string, id: string, options: { readonly withLogs: boolean }): Promise<void>;
  /** Writes the cgroup of a running container; absent amounts stay as they are. @throws E_NOT_FOUND */
  updateContainerResources(uid: string, id: string, resources: CgroupResources): Promise<void>;
  /** The same of the pod's own cgroup. */
  updateSandboxResources(uid: string, resources: CgroupResources): Promise<void>;

  /** After its log was renamed: a running container writes on to a new file of the name. @throws E_NOT_FOUND, E_CLOSED */
  reopenLog(uid: string, id: string): Promise<void>;

  exec(uid: string, id: string, request: ExecRequest, signal: AbortSignal): Promise<ExecSession>;
  attach(uid: string, id: string): Promise<ProcessStreams>;
  /**
   * Connects to 127.0.0.1:port inside the pod's network namespace. What is known later of why it cannot be reached destroys the
   * connection with that. @throws E_CONNECTION
   */
  connectPort(uid: string, port: number): Promise<Duplex>;
  stats(uid: string): Promise<PodStats | undefined>;
  /** The directory on the host that holds what a container wrote to its own file system; it may be gone. */
  writableLayer(id: string): string;
  readonly images: ImageStore;
  /** Who makes containers, by name; '' is who does it unless another is asked for. */
  readonly handlers: ReadonlyMap<string, HandlerFeatures>;
  /** Why no pod can be started now, in words; undefined: they can. A runtime of this process has none as long as that runs. */
  problem?(): string | undefined;
}

/** What a cgroup used; bytes and nanoseconds. */
export interface CgroupUsage {
  readonly cpuUsageNanoseconds: number;
  readonly memoryBytes: number;
  readonly workingSetBytes: number;
  /** Anonymous memory, which no file backs. */
  readonly rssBytes: number;
  readonly pageFaults: number;
  readonly majorPageFaults: number;
  readonly processes: number;
}

/** What a cgroup's files say beyond that. */
export interface MeasuredUsage extends CgroupUsage {
  readonly stats?: CgroupStats;
}

export interface ContainerStats extends MeasuredUsage {
  readonly id: string;
  readonly name: string;
  readonly startedAtMs: number;
  /** Of its first process, in the node's numbers. */
  readonly pid: number;
}

/** What a pod uses, containers that are gone and what belongs to none of them included. */
export interface PodStats extends MeasuredUsage {
  /** Those that run. */
  readonly containers: readonly ContainerStats[];
}

export interface ImageRecord {
  readonly id: string; // sha256 of the config
  readonly names: readonly string[]; // docker.io/library/busybox:latest
  readonly digests: readonly string[]; // docker.io/library/busybox@sha256:…
  readonly sizeBytes: number;
  readonly createdAtMs: number;
  readonly user: string; // of the config, '' for root
}

/** An image that this program makes. */
export interface OwnImage {
  /** With the same it becomes the same image. */
  readonly key: string;
  /** Where it is noted what it became. */
  readonly noteFile: string;
  /** An archive of it alone. */
  readonly make: () => Promise<Readable>;
}

export interface PodOfPull {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
}

export interface ImageStore {
  /** For whose pod an image is pulled is of consequence: pods of two namespaces share no pull. */
  readonly isByNamespace?: boolean;
  list(): readonly ImageRecord[];
  /** By any reference a pod may use (short names are completed as Docker does) or by id. */
  resolve(reference: string): ImageRecord | undefined;
  /** Pulls from the registry in the reference. @throws E_NOT_FOUND, E_CONNECTION, E_INVALID (digest, platform), E_PERMISSION, E_NO_SPACE */
  pull(
    reference: string,
    options: {
      readonly credentials?: { readonly username: string; readonly password: string } | undefined;
      /** For which pod, as a runtime that is asked by CRI is told. */
      readonly pod?: PodOfPull | undefined;
      /** Of images that are another runtime's it hears nothing. */
      readonly onProgress?: ((progress: PullProgress) => void) | undefined;
    },
    signal: AbortSignal,
  ): Promise<ImageRecord>;
  /** Imports a docker-archive or OCI layout (a tar, plain or compressed, or a directory). All or nothing. */
  importArchive(
    source: Readable | { readonly directory: string },
    options: {
      readonly name?: string | undefined;
      /** Small, and made by this program: unpacked in the caller's thread, as to start one costs more. */
      readonly isOurs?: boolean | undefined;
    },
    signal: AbortSignal,
  ): Promise<readonly ImageRecord[]>;
  /**
   * Has an image of ours: one that was made on this machine before is listed as it was then, and made when it is first used; else
   * it is made now. Undefined: the images are another runtime's. @throws as importArchive
   */
  importWhenUsed?(image: OwnImage, signal: AbortSignal): Promise<void>;
  /**
   * An OCI layout as a tar, of images by references or ids; the same each time. Undefined: the images are another runtime's.
   * @throws E_NOT_FOUND as it begins
   */
  exportArchive?(references: readonly string[], signal: AbortSignal): AsyncIterable<Buffer>;
  remove(reference: string): Promise<void>;
}
