import type { Readable, Writable } from 'node:stream';

/**
 * The launch port: what the runtime asks of a pod's supervisor. A container or exec is described as data (ContainerLaunch,
 * ExecLaunch), compiled by pure functions into a syscall program (program.ts), and sent to the supervisor, which forks,
 * interprets and becomes the parent. The supervisor outlives the agent.
 */

import { PodwrightError } from '#base/errors.ts';

/** A mount inside the container, in order. Options are mount(2)/mount_setattr(2) words: ro, nosuid, nodev, noexec, rbind, rslave… */
export interface LaunchMount {
  readonly type: 'bind' | 'proc' | 'sysfs' | 'tmpfs' | 'devpts' | 'mqueue' | 'cgroup2' | 'overlay';
  readonly source: string;
  /** Absolute path inside the container; made if missing (a file for a bind of a file: `isFile`), never through a symlink out of the root. */
  readonly target: string;
  readonly isFile?: boolean;
  readonly options: readonly string[];
  /** Data string for tmpfs, overlay, … (`mode=755,size=65536k`). */
  readonly data?: string;
  /** Of a bind, in a user namespace: an id N of its files is N there, instead of nobody's. What is mounted below it stays as it is. */
  readonly isIdMapped?: boolean;
}

/** Ids of the host, as many as `count` from `first` on, that are 0 and up in a user namespace. */
export interface IdRange {
  readonly first: number;
  readonly count: number;
}

export interface LaunchUser {
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids: readonly number[];
}

/** A compiled profile. */
export interface SeccompFilter {
  /** For people: the profile's. */
  readonly name: string;
  /** An array of struct sock_filter, in base64. */
  readonly program: string;
  /** SECCOMP_FILTER_FLAG_* */
  readonly flags: number;
  /** The same as other OCI runtimes are told it (linux.seccomp of a bundle). */
  readonly profile?: object;
}

export interface LaunchSecurity {
  /** CAP_* names kept in bounding, effective, permitted (and inheritable/ambient for a non-root user only if `ambient`). */
  readonly capabilities: readonly string[];
  readonly noNewPrivileges: boolean;
  readonly privileged: boolean;
  readonly seccomp: 'unconfined' | 'runtime-default' | SeccompFilter;
  /** The AppArmor profile that what is executed is confined to; undefined: that of the supervisor. */
  readonly appArmor?: string | undefined;
  readonly readonlyRoot: boolean;
  readonly maskedPaths: readonly string[];
  readonly readonlyPaths: readonly string[];
  /**
   * The cgroup's devices are not filtered (native/bpf): only the container's own /dev has devices, and no capability makes others.
   * Nothing for a privileged container.
   */
  readonly nodev?: boolean;
}

export interface LaunchRlimit {
  readonly name: string; // RLIMIT_NOFILE
  readonly soft: number;
  readonly hard: number;
}

/** Everything about a container process; no choice is left open. */
export interface ContainerLaunch {
  readonly root:
    | {
        readonly kind: 'overlay';
        /** Layers, top first. Of an image without any, empty: `make` then makes an empty one. */
        readonly lower: readonly string[];
        readonly upper: string;
        readonly work: string;
        /** Where the root is put together, in the container's own mount namespace: a directory that nothing else of the launch is in. */
        readonly merged: string;
        /**
         * The directory of upper and work: the launch makes all three, and fails where it is there. What the container sees as
         * owner and mode of / is upper's. Undefined: upper and work are there.
         */
        readonly make:
          | { readonly directory: string; readonly mode: number; readonly uid: number; readonly gid: number }
          | undefined;
      }
    | { readonly kind: 'directory'; readonly path: string };
  readonly mounts: readonly LaunchMount[];
  readonly devices: readonly {
    readonly path: string;
    readonly type: 'c' | 'b';
    readonly major: number;
    readonly minor: number;
    readonly mode: number;
    readonly uid?: number;
    readonly gid?: number;
    /** Some of `rwm`: how it may be opened. Default all. */
    readonly access?: string;
  }[];
  readonly args: readonly string[]; // args[0] is looked up in PATH of env inside the root when it has no slash
  readonly env: readonly string[]; // NAME=value
  readonly cwd: string; // made if missing
  readonly user: LaunchUser;
  readonly security: LaunchSecurity;
  readonly rlimits: readonly LaunchRlimit[];
  readonly sysctls: Readonly<Record<string, string>>;
  readonly oomScoreAdj: number | undefined;
  /**
   * pod: the container's own pid namespace is the pod's shared one; private: its own; host: none; `ofPid`: that of a process which the
   * supervisor runs (CRI's NamespaceMode TARGET), whose end ends the container where it is the first of its namespace. net, ipc, uts
   * are the supervisor's (pod or host).
   */
  readonly pidNamespace: 'private' | 'pod' | 'host' | { readonly ofPid: number };
  /** Absolute path of the container's cgroup directory (cgroup v2), or undefined where none is to be had. */
  readonly cgroup: string | undefined;
  /** The supervisor's, whose user namespace the process is in; `user` is as that sees it. Undefined: the host's. */
  readonly ids?: IdRange | undefined;
}

export interface ExecLaunch {
  /** Pid (in the supervisor's view) of a process of the container whose namespaces, root and cgroup are joined. */
  readonly targetPid: number;
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly user: LaunchUser;
  readonly security: Pick<
    LaunchSecurity,
    'appArmor' | 'capabilities' | 'noNewPrivileges' | 'privileged' | 'seccomp' | 'nodev'
  >;
  readonly cgroup: string | undefined;
  /** As of the container. */
  readonly rlimits?: readonly LaunchRlimit[] | undefined;
  readonly ids?: IdRange | undefined;
}

/**
 * A process that a program of the host's makes, an OCI runtime. The supervisor runs it, and is the parent of what it leaves: streams, end
 * and signals are as of any other. What is mounted for the program nobody else sees. Paths are the host's, the others `directory`'s.
 */
export interface MadeLaunch {
  readonly program: string;
  /** The program's working directory, in which it finds and leaves its files; it is there. */
  readonly directory: string;
  /** Arguments, args[0] included. With streams as the process's own; leaves the process, and its number in `pidFile`. */
  readonly make: readonly string[];
  /** Lets it begin, with no streams; undefined: it has begun. */
  readonly start: readonly string[] | undefined;
  readonly env: readonly string[];
  readonly pidFile: string;
  /** Of a process with a terminal: where the program sends the master of it. A socket is made there. */
  readonly consoleSocket: string | undefined;
  /** Mounted before the program runs; undefined: none is needed. */
  readonly root: ContainerLaunch['root'] | undefined;
  /** Nothing opens devices by the root's own files. */
  readonly isNodev: boolean;
  /** Where mounts are in which something is mounted, and which the host is not to see it in. */
  readonly privateMounts: readonly string[];
  /** What is at /sys/fs/cgroup for the program, where that is not what it expects there. */
  readonly cgroupMount: string | undefined;
  /** Of a process in a user namespace of its pod's; undefined: the root is where it says. */
  readonly place?: MadePlace | undefined;
  /** What the program is in, and what it makes inherits. */
  readonly cgroup: string | undefined;
  readonly oomScoreAdj: number | undefined;
}

/** What a program finds where also the root of a pod's user namespace can go. */
export interface MadePlace {
  /** A directory of the host's, which is covered for the program. In it are `root`, and what follows by the names of its targets. */
  readonly path: string;
  /** The supervisor's. */
  readonly ids: IdRange;
  readonly mounts: readonly LaunchMount[];
  readonly devices: ContainerLaunch['devices'];
}

/** How a process's standard streams are made. */
export interface LaunchStdio {
  /** CRI log file (absolute, made with its directories if missing, appended). undefined: output goes only to attached clients, or nowhere. */
  readonly logPath: string | undefined;
  readonly stdin: boolean; // false: /dev/null
  /** Close stdin when the first attached client closes its own (stdinOnce; always so for exec). */
  readonly stdinOnce: boolean;
  readonly tty: boolean; // a pty; stdout and stderr are one
}

export interface SupervisorSpec {
  readonly directory: string; // its state: socket, exits file; made by the caller, private to root, path ≤ 90 bytes
  readonly netns: string | undefined; // path to join, with `ids` to make and bind there; undefined: stay in the caller's (hostNetwork)
  readonly hostname: string | undefined; // with a UTS namespace of its own; undefined: the host's
  readonly ipcNamespace: boolean; // its own
  readonly pidNamespace: boolean; // a pod-wide one (shareProcessNamespace), in which the supervisor's child is pid 1
  readonly cgroup: string | undefined; // leaf for the supervisor itself
  readonly sysctls: Readonly<Record<string, string>>;
  /** A user namespace of the pod's, which owns its network, IPC and UTS namespaces; undefined: the host's. */
  readonly ids?: IdRange | undefined;
}

export interface ProcessExit {
  readonly id: string;
  readonly pid: number;
  /** Exit status 0..255, or 128 + signal. */
  readonly code: number;
  readonly signal: number | undefined;
  readonly startedAtMs: number; // since the epoch
  readonly finishedAtMs: number;
}

export interface RunningProcess {
  readonly id: string;
  readonly pid: number;
  readonly startedAtMs: number;
}

/** The live ends of an attached process's streams. Output arrives as it is written, from the moment of attaching. */
export interface ProcessStreams extends AsyncDisposable {
  readonly stdin: Writable | undefined;
  readonly stdout: Readable;
  readonly stderr: Readable | undefined; // undefined with a tty
  /** No effect without a tty. */
  resize(columns: number, rows: number): void;
}

export interface Supervisor extends Disposable {
  readonly pid: number;
  readonly directory: string;
  /**
   * Ids are chosen by the caller, ≤ 64 bytes [A-Za-z0-9._-], never reused in a pod.
   *
   * @throws E_LAUNCH { index, errno, op }; ESRCH where the process does not run whose namespace is to be joined
   */
  launch(id: string, container: ContainerLaunch, stdio: LaunchStdio): Promise<RunningProcess>;
  /** Like launch, with streams attached from before the first instruction. */
  exec(
    id: string,
    exec: ExecLaunch,
    stdio: LaunchStdio,
  ): Promise<{ readonly process: RunningProcess; readonly streams: ProcessStreams }>;
  /**
   * The same two by a program of the host's. Begun by one message: whoever asks may be gone, the process is known or there is none.
   *
   * @throws E_LAUNCH; ECANCELED: the program failed; E_UNSUPPORTED for a supervisor of an earlier release
   */
  launchMade(id: string, made: MadeLaunch, stdio: LaunchStdio): Promise<RunningProcess>;
  execMade(
    id: string,
    made: MadeLaunch,
    stdio: LaunchStdio,
  ): Promise<{ readonly process: RunningProcess; readonly streams: ProcessStreams }>;
  attach(id: string): Promise<ProcessStreams>;
  /** Sends a signal to the process, or with `all` to everything in its pid namespace or session. Succeeds if it is gone. */
  kill(id: string, signal: number, options?: { readonly all?: boolean }): Promise<void>;
  /** After the log file was renamed: writes on to a new one at the same path. */
  reopenLog(id: string): Promise<void>;
  running(): Promise<readonly RunningProcess[]>;
  /** Exits of containers so far, oldest first, from the exits file (an exit is in it before it is announced); execs are only announced. */
  exits(): Promise<readonly ProcessExit[]>;
  /** Told of each exit once per connection; and of the supervisor's own end (undefined). */
  onExit(listener: (exit: ProcessExit | undefined) => void): Disposable;
  /** Ends the supervisor; refuses (E_BUSY) while processes run. */
  stop(): Promise<void>;
}

export interface Launcher {
  /**
   * With `after` the process is started meanwhile, and enters its namespaces when that resolves: when `netns` is there.
   * @throws what `after` threw, then nothing is left of the supervisor; E_LAUNCH { index, errno, op }
   */
  startSupervisor(spec: SupervisorSpec, after?: Promise<unknown>): Promise<Supervisor>;
  /** Connects to a supervisor that an earlier agent started; undefined if it is gone. */
  connectSupervisor(directory: string): Promise<Supervisor | undefined>;
}

/** Bytes of a process id at most. */
export const processIdBytesMax = 64;

/** @throws E_INVALID where an id is not 1 to 64 characters of [A-Za-z0-9._-]. */
export function checkProcessId(id: string): void {
  if (!/^[A-Za-z0-9._-]{1,64}$/.test(id)) {
    throw new PodwrightError('E_INVALID', `launch ${JSON.stringify(id)}: an id is 1 to 64 of [A-Za-z0-9._-]`);
  }
}
