import { createHash } from 'node:crypto';
import type { PodNetworkRequest } from '#agent/network/pod-network.ts';
import type { SupervisorSpec } from '#native/launch/launch.ts';
import { bandwidthOf } from '#api/pod/bandwidth.ts';
import { isSysctlName, sysctlNamespace } from '#api/pod/sysctls.ts';
import { isPodwrightError, PodwrightError } from '#base/errors.ts';
import type { CgroupResources, SandboxConfig } from '#agent/runtime/runtime.ts';

/** Where the runtime keeps what lives as long as the machine is up (a tmpfs, /run/podwright). */
export interface RuntimePaths {
  /** Pods' state, supervisors' sockets, namespaces. Short: a unix socket's path has 107 bytes. */
  readonly runDirectory: string;
  /** Images, layers and containers' writable directories. */
  readonly dataDirectory: string;
}

/** Everything that making a sandbox does, decided. */
export interface SandboxPlan {
  readonly id: string; // 64 hex digits, also CNI_CONTAINERID
  readonly podDirectory: string;
  readonly netnsPath: string | undefined; // undefined with hostNetwork
  readonly cgroups: readonly { readonly path: string; readonly resources: CgroupResources }[]; // in order
  /** The pod's /dev/shm; undefined with hostIpc. */
  readonly sharedMemory: { readonly path: string; readonly sizeBytes: number } | undefined;
  readonly supervisor: Omit<SupervisorSpec, 'cgroup'>;
  readonly supervisorCgroup: string; // relative to the node's root
  readonly network: PodNetworkRequest | undefined;
}

/** As Docker and containerd size it. */
const sharedMemoryBytes = 64 * 1024 * 1024;

/** Whether a pod's uid can be a component of a path, and names nothing else there. */
export const isPodUid = (uid: string): boolean => /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$/.test(uid);

/** @throws E_INVALID when the pod's uid is not fit for a path, or a sysctl is not of a namespace of its own */
export function planSandbox(config: SandboxConfig, paths: RuntimePaths): SandboxPlan {
  const plan = layoutSandbox(config, paths);
  checkSysctls(config);
  return plan;
}

/**
 * The same of a sandbox that may be there: one that an earlier release made is found and ended, whatever is refused by now.
 * @throws E_INVALID when the pod's uid is not fit for a path
 */
export function layoutSandbox(config: SandboxConfig, paths: RuntimePaths): SandboxPlan {
  const { uid, attempt } = config;
  if (!isPodUid(uid)) {
    throw new PodwrightError('E_INVALID', `plan sandbox: ${JSON.stringify(uid)} is not a pod uid`);
  }
  const id = sandboxIdOf(uid, attempt);
  const podDirectory = podDirectoryOf(paths, uid);
  const netnsPath = config.hostNetwork ? undefined : `${paths.runDirectory}/netns/${id.slice(0, 16)}`;
  return {
    id,
    podDirectory,
    netnsPath,
    cgroups: [
      { path: config.cgroupParent, resources: config.resources },
      // A leaf of its own: cgroup v2 allows no processes beside child cgroups.
      { path: supervisorCgroupOf(config), resources: unlimited(config.resources) },
    ],
    sharedMemory: config.hostIpc ? undefined : { path: `${podDirectory}/shm`, sizeBytes: sharedMemoryBytes },
    supervisor: {
      directory: `${podDirectory}/s${attempt}`,
      netns: netnsPath,
      // With the host's network the pod has the host's name too, as in Kubernetes.
      hostname: config.hostNetwork ? undefined : config.hostname,
      ipcNamespace: !config.hostIpc,
      pidNamespace: config.sharePidNamespace && !config.hostPid,
      sysctls: config.sysctls,
      ids: config.ids,
    },
    supervisorCgroup: supervisorCgroupOf(config),
    network:
      netnsPath === undefined
        ? undefined
        : {
            sandboxId: id,
            netnsPath,
            podUid: config.podUid ?? uid,
            podNamespace: config.namespace,
            podName: config.name,
            portMappings: config.portMappings,
            ...boundsOf(config),
          },
  };
}

/**
 * No limits, with the controllers that these have: what containers will ask the pod's cgroup to hand down it hands down before a process lives
 * below it. Afterwards the kernel lets all processes wait for that (docs/kernel-notes.md#subtree-control-waits).
 */
function unlimited({ hugePages }: CgroupResources): CgroupResources {
  return hugePages === undefined ? {} : { hugePages: {} };
}

/** What says nothing was refused by admission, and must not keep a pod from going. */
function boundsOf({ annotations }: SandboxConfig): Pick<PodNetworkRequest, 'bandwidth'> {
  try {
    const bandwidth = bandwidthOf(annotations);
    return Object.keys(bandwidth).length === 0 ? {} : { bandwidth };
  } catch (error) {
    if (isPodwrightError(error, 'E_INVALID')) return {};
    throw error;
  }
}

/** 64 hex digits. */
export function sandboxIdOf(uid: string, attempt: number): string {
  return createHash('sha256').update(`${uid}/${attempt}`).digest('hex');
}

/** Admission has refused it before; here because what is written outside of the pod's own namespaces stays when the pod is gone. */
function checkSysctls({ sysctls, hostNetwork, hostIpc }: SandboxConfig): void {
  for (const name of Object.keys(sysctls)) {
    const namespace = isSysctlName(name) ? sysctlNamespace(name) : undefined;
    const isOwn = (namespace === 'net' && !hostNetwork) || (namespace === 'ipc' && !hostIpc);
    if (!isOwn)
      throw new PodwrightError('E_INVALID', `set sysctl ${name}: not of a namespace of the pod's own`);
  }
}

export function podDirectoryOf(paths: RuntimePaths, uid: string): string {
  return `${paths.runDirectory}/pods/${uid}`;
}

function supervisorCgroupOf(config: SandboxConfig): string {
  return `${config.cgroupParent}/sup`;
}
