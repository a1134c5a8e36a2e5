/** What is said of this node's sandboxes and containers in the other runtime, which keeps it: nothing is written elsewhere. Pure. */
import { isObject, objectOf } from '#api/wire/json.ts';
import type { Outgoing } from '#proto/contract.ts';
import type { PodSandboxConfig } from '#proto/cri/api.ts';
import type { IdRange } from '#native/launch/launch.ts';
import type { MountedImage, SandboxConfig, TerminationMessage } from '#agent/runtime/runtime.ts';

/** As the kubelet labels them (pkg/kubelet/types/labels.go): what looks for pods in a runtime finds these, too. */
export const podNameLabel = 'io.kubernetes.pod.name';
export const podNamespaceLabel = 'io.kubernetes.pod.namespace';
export const podUidLabel = 'io.kubernetes.pod.uid';
export const containerNameLabel = 'io.kubernetes.container.name';

/** Whose they are: what has not this node's name here is never touched. */
export const nodeLabel = 'io.podwright.node';
/** The id that the kubelet chose; CRI's are the runtime's own. */
export const idLabel = 'io.podwright.container';
/** A document: SandboxMark, ContainerMark. */
export const markAnnotation = 'io.podwright.mark';

/** What containers of a sandbox must be told again, and what its end needs. */
export interface SandboxMark {
  /** The kubelet's attempt; CRI's counts those that nobody heard of, too. */
  readonly attempt: number;
  readonly hostNetwork: boolean;
  readonly hostPid: boolean;
  readonly hostIpc: boolean;
  readonly sharePidNamespace: boolean;
  readonly ids?: IdRange | undefined;
  /** Relative to the node's tree. */
  readonly cgroupParent: string;
  readonly logDirectory: string;
  /** The rest of what the runtime was told; undefined: of an agent that did not mark it. */
  readonly said?: SaidSandbox | undefined;
}

/** Of a sandbox's configuration what the runtime does not say by itself. */
export type SaidSandbox = Outgoing<Omit<PodSandboxConfig, 'metadata' | 'labels' | 'annotations'>>;

export interface ContainerMark {
  /** As the pod names it. */
  readonly image: string;
  readonly logPath?: string | undefined;
  readonly termination?: TerminationMessage | undefined;
  readonly stdin?: boolean;
  readonly tty?: boolean;
  readonly mountedImages?: readonly MountedImage[] | undefined;
}

export function sandboxMarkOf(config: SandboxConfig): SandboxMark {
  const { attempt, hostNetwork, hostPid, hostIpc, sharePidNamespace, ids, cgroupParent } = config;
  const logDirectory = config.logDirectory ?? '';
  return { attempt, hostNetwork, hostPid, hostIpc, sharePidNamespace, ids, cgroupParent, logDirectory };
}

type Annotations = Readonly<Record<string, string>>;

/** Undefined where it is not there, or is not what we write. */
export function readSandboxMark(annotations: Annotations): SandboxMark | undefined {
  const mark = documentOf(annotations);
  const { attempt, cgroupParent, logDirectory, ids, said } = mark;
  if (typeof attempt !== 'number' || typeof cgroupParent !== 'string' || typeof logDirectory !== 'string')
    return undefined;
  const is = (name: string): boolean => mark[name] === true;
  return {
    ...{ attempt, cgroupParent, logDirectory },
    hostNetwork: is('hostNetwork'),
    hostPid: is('hostPid'),
    hostIpc: is('hostIpc'),
    sharePidNamespace: is('sharePidNamespace'),
    ids: rangeOf(ids),
    ...(isObject(said) ? { said } : {}), // What is not of its shape, the code of messages refuses.
  };
}

function rangeOf(value: unknown): IdRange | undefined {
  if (!isObject(value)) return undefined;
  const { first, count } = value;
  return typeof first === 'number' && typeof count === 'number' ? { first, count } : undefined;
}

export function readContainerMark(annotations: Annotations): ContainerMark | undefined {
  const { image, logPath, termination, stdin, tty, mountedImages } = documentOf(annotations);
  if (typeof image !== 'string') return undefined;
  const { path, fallbackToLogsOnError } = isObject(termination) ? termination : {};
  return {
    image,
    stdin: stdin === true,
    tty: tty === true,
    ...(typeof logPath === 'string' ? { logPath } : {}),
    ...(Array.isArray(mountedImages) ? { mountedImages: mountedImages.flatMap(readMountedImage) } : {}),
    ...(typeof path === 'string'
      ? { termination: { path, fallbackToLogsOnError: fallbackToLogsOnError === true } }
      : {}),
  };
}

function readMountedImage(value: unknown): readonly MountedImage[] {
  const { target, imageId } = isObject(value) ? value : {};
  return typeof target === 'string' && typeof imageId === 'string' ? [{ target, imageId }] : [];
}

function documentOf({ [markAnnotation]: text = '' }: Annotations): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? objectOf(value) : {};
  } catch {
    return {}; // Not ours, then.
  }
}
