import path from 'node:path';
import type { Pod } from '#api/generated/objects.ts';

/** Where the agent keeps its files of pods. */
export interface KubeletDirectories {
  /** On disk: `<uid>/volumes`, `<uid>/etc-hosts`, …. */
  readonly pods: string;
  /** On a tmpfs, private to root: Secrets, tokens and their like. */
  readonly podsMemory: string;
  /** Volumes that outlive pods: `pvc-<uid>/data`. */
  readonly volumes: string;
  /** `<namespace>_<name>_<uid>/<container>/<attempt>.log`, as every node of Kubernetes lays it out. */
  readonly logs: string;
  /** What drivers of volumes and devices know as the kubelet's root: their sockets, and where they mount. */
  readonly kubelet: string;
  /** Profiles of seccomp that pods name, as the kubelet's `seccomp` directory; undefined: none are there. */
  readonly seccomp?: string;
  /** Where an earlier agent of the node may have had them: what is left there goes with its pods. */
  readonly formerLogs?: string;
}

/** The absolute paths of a pod's files. */
export interface PodPaths {
  readonly root: string;
  readonly hosts: string;
  readonly resolvConf: string;
  readonly hostname: string;
  readonly logs: string;
  log(container: string, attempt: number): string;
  terminationMessage(container: string, id: string): string;
  subPath(container: string, mountIndex: number): string;
  readonly dueHooks: string;
  /** It is there while the postStart hook of the container with this id is due. */
  dueHook(id: string): string;
}

export function podPaths(pod: Pod, directories: KubeletDirectories): PodPaths {
  const { uid = '', namespace = '', name = '' } = pod.metadata ?? {};
  const root = path.join(directories.pods, uid);
  const logs = path.join(directories.logs, logsDirectoryName({ namespace, name, uid }));
  return {
    root,
    hosts: path.join(root, 'etc-hosts'),
    resolvConf: path.join(root, 'resolv.conf'),
    hostname: path.join(root, 'etc-hostname'),
    logs,
    log: (container, attempt) => path.join(logs, container, `${attempt}.log`),
    terminationMessage: (container, id) => path.join(root, 'containers', container, id.slice(0, 12)),
    subPath: (container, mountIndex) => path.join(root, 'subpaths', container, String(mountIndex)),
    dueHooks: path.join(root, 'due-hooks'),
    dueHook: (id) => path.join(root, 'due-hooks', id),
  };
}

/** Bytes of a name in a directory (NAME_MAX of linux/limits.h). */
export const nameLengthMax = 255;

/** A pod's name may be as long as a directory's: it is cut, for the uid tells pods apart. */
function logsDirectoryName(pod: {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}): string {
  const [start, end] = [`${pod.namespace}_`, `_${pod.uid}`];
  return `${start}${pod.name.slice(0, nameLengthMax - start.length - end.length)}${end}`;
}
