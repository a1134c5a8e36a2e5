import type { PodDevices } from '#agent/device/node-devices.ts';
import type { Container, EphemeralContainer, Pod, ResourceRequirements } from '#api/generated/objects.ts';
import type { CgroupResources, PodObservation } from '#agent/runtime/runtime.ts';
import type { PreparedClaims } from '#agent/device/claims/pod-claims.ts';
import type { MountedVolumes } from '#agent/volume/pod-volumes.ts';
import type { Refusal } from '#agent/kubelet/admit/refusal.ts';
import type { Allocation, PendingResize } from '#agent/kubelet/allocation.ts';

/** What the API wants of a pod: the last object seen, and whether it is still there. */
export interface PodDesired {
  readonly pod: Pod;
  /** False once the object is gone from the API, gracefully or by force. */
  readonly isPresent: boolean;
}

/** The last pull for a container, by the worker. A pull counts for one attempt, so that `Always` pulls again at a restart. */
export type PullFact =
  | {
      readonly state: 'pulling';
      readonly image: string;
      readonly attempt: number;
      /** Of the attempts before it. */
      readonly failures: number;
    }
  | { readonly state: 'done'; readonly attempt: number; readonly imageId: string }
  | (RetriedFailure & {
      readonly state: 'failed';
      readonly attempt: number;
      readonly reason: 'ErrImagePull' | 'InvalidImageName' | 'ErrImageNeverPull';
      readonly failedAtMs: number;
    });

/** What went wrong so often in a row, and is tried again. */
export interface RetriedFailure {
  readonly message: string;
  readonly failures: number;
  readonly retryAtMs: number;
}

/** A container that could not be described or launched: shown as its waiting reason, tried again at `retryAtMs`. */
export interface StartFailure extends RetriedFailure {
  readonly reason: 'CreateContainerConfigError' | 'CreateContainerError';
}

export type VolumesFact =
  | { readonly state: 'absent' }
  | { readonly state: 'ready'; readonly isStale: boolean; readonly refreshAtMs: number | undefined }
  | { readonly state: 'failed'; readonly message: string; readonly retryAtMs: number }
  | { readonly state: 'removed' };

/** Where the claims of devices are that the pod names; of a pod that names none always absent. */
export type ClaimsFact =
  | { readonly state: 'absent' }
  | { readonly state: 'ready'; readonly prepared: PreparedClaims }
  | (RetriedFailure & { readonly state: 'failed' })
  | { readonly state: 'removed' };

/** What the probes of a running container say. Absent probes count as passed. */
export interface ProbeFact {
  readonly hasStarted: boolean;
  readonly isReady: boolean;
  /** Why the container must be killed: its liveness or startup probe failed. */
  readonly failure: { readonly probe: 'liveness' | 'startup'; readonly message: string } | undefined;
}

/** Where the postStart hook of a run is. */
export type HookFact = 'due' | 'running' | 'done' | { readonly failure: string };

/** What the kubelet keeps of a pod's resources. */
export interface ResizeFact {
  readonly allocated: Allocation;
  /** The pod's own cgroup, as it was last written. */
  readonly podCgroup: CgroupResources;
  /** By container id, as its cgroup was last written, limits of its pod included; absent: an earlier agent wrote it, and the status tells. */
  readonly actuated: ReadonlyMap<string, ResourceRequirements>;
  /** What the pod had as a whole when this agent came: runs of an earlier one have its limits. */
  readonly reportedWhole: ResourceRequirements | undefined;
  /** A resize that the node does not give, or not yet. */
  readonly pending: PendingResize | undefined;
  /** The last attempt went wrong. */
  readonly failure: RetriedFailure | undefined;
  /** The metadata.generation that asked for what was given. */
  readonly generation: number | undefined;
  /** Runs that were ended so that the next has other resources. */
  readonly restarts: ReadonlySet<string>;
  /** False: all that was given is in place, as far as this agent knows. */
  readonly isUnderWay: boolean;
  /** An event told of its begin, and one is due at its end. */
  readonly isAnnounced: boolean;
}

/** One write. The pod's own cgroup where no container is named. */
export interface ResizeStep {
  readonly container: { readonly name: string; readonly id: string } | undefined;
  readonly resources: CgroupResources;
  /** Memory in use above the new limit would be reclaimed or killed: looked at before anything is written. */
  readonly lowersMemory: boolean;
}

/** What the worker of a pod knows besides the API object and the runtime's observation. Values only; `fold` alone changes them. */
export interface PodFacts {
  /** When this agent first saw the pod: its start time, unless an earlier one was reported. */
  readonly firstSeenAtMs: number;
  /** By container name, of volumes that are images by `volumes/NAME`. */
  readonly pulls: ReadonlyMap<string, PullFact>;
  /** By container name. */
  readonly startFailures: ReadonlyMap<string, StartFailure>;
  readonly sandboxFailure: RetriedFailure | undefined;
  readonly volumes: VolumesFact;
  readonly claims: ClaimsFact;
  /** How often a referenced object, or the pod's labels, annotations or resources, changed what volumes show. */
  readonly volumeChanges: number;
  /** Attempts in a row that went wrong. */
  readonly volumeFailures: number;
  /** What containers mount; undefined before it was made. */
  readonly mounted: MountedVolumes | undefined;
  /** By container id. */
  readonly probes: ReadonlyMap<string, ProbeFact>;
  /** By container id; due: an earlier agent did not see its end; absent: there is none, or an earlier agent ran it. */
  readonly postStart: ReadonlyMap<string, HookFact>;
  /** By container id: when the stop under way will have killed it at the latest. */
  readonly stopping: ReadonlyMap<string, { readonly deadlineMs: number }>;
  /** By container name: the attempt at which its crash back-off starts to count (it ran long enough before). */
  readonly backoffBase: ReadonlyMap<string, number>;
  /** By container name: the newest run that had a log when this agent first looked; undefined before it looked. */
  readonly loggedAttempts: ReadonlyMap<string, number> | undefined;
  readonly resize: ResizeFact;
  /** When this agent learned that the pod must end. */
  readonly endingSinceMs: number | undefined;
  /** Why the node refuses the pod. */
  readonly rejection: Refusal | undefined;
  /** The API object was deleted by us (finalizers may keep it). */
  readonly isDeleted: boolean;
  /** The status at the end was told, and is kept while the records that it came from are removed. */
  readonly hasFinalStatus: boolean;
}

/** What stands around a pod: the node, its images, the API. */
export interface Surroundings {
  readonly nodeName: string;
  readonly hostIps: readonly string[];
  /** Keys of pulls → image id, where the image is on the node. */
  readonly presentImages: ReadonlyMap<string, string>;
  /** The same, of images that the pod may use when it has shown credentials of those who pulled them; undefined: of none. */
  readonly lockedImages?: ReadonlyMap<string, string> | undefined;
  /** The API has the last status of the pod; the object is not let go before. */
  readonly isStatusCurrent: boolean;
  /** crashLoopBackOff.maxContainerRestartPeriod; undefined: the default. */
  readonly restartBackoffMaxMs?: number | undefined;
}

/** All that is decided on besides the API object and the observation. */
export interface KnownFacts extends PodFacts, Surroundings {
  /** How the devices of its containers are, by name of container. */
  readonly deviceHealths?: ReturnType<PodDevices['healthOf']> | undefined;
}

export type ContainerKind = 'init' | 'sidecar' | 'main' | 'ephemeral';

/**
 * One thing to be done for a pod, by name: `renderAction` makes an Action of it, which has all that it takes. Those of one plan do not
 * depend on each other.
 */
export type Intent =
  | { readonly kind: 'prepareVolumes' }
  | { readonly kind: 'refreshVolumes' }
  | { readonly kind: 'removeVolumes' }
  /** What its claims of devices were given is made ready, and undone. */
  | { readonly kind: 'prepareClaims' }
  | { readonly kind: 'unprepareClaims' }
  /** With `replaces` the dead sandbox before it is cleared away first. */
  | { readonly kind: 'runSandbox'; readonly attempt: number; readonly replaces: boolean }
  | { readonly kind: 'stopSandbox' }
  | {
      readonly kind: 'pullImage';
      /** Its name, or `volumes/NAME` of a volume that is an image. */
      readonly container: string;
      readonly image: string;
      readonly attempt: number;
      /** It is there, for who has the credentials; only who has not asks the registry, or, with `isNever`, does without. */
      readonly locked?: { readonly imageId: string; readonly isNever: boolean };
    }
  | {
      readonly kind: 'startContainer';
      readonly container: string;
      readonly id: string;
      readonly attempt: number;
      readonly imageId: string;
      /** By volume: the images that it mounts. */
      readonly volumeImages?: ReadonlyMap<string, string>;
      /** Events told of a pull for this run. */
      readonly isPullTold?: true;
    }
  /** The postStart hook that is due of a run. */
  | { readonly kind: 'startHook'; readonly container: string; readonly id: string }
  | {
      readonly kind: 'stopContainer';
      readonly container: string;
      readonly id: string;
      readonly graceSeconds: number;
      /** How long it may take until no Service leads to the pod any more; absent: that is not waited for. */
      readonly retractMsMax?: number;
      readonly message: string;
      /** It is started again whatever the restart policy says, with what it was given meanwhile. */
      readonly isForResize?: true;
      /** A stop is under way, with more grace than this. */
      readonly isCut?: true;
    }
  /** The writes depend on each other, so they are one action. */
  | {
      readonly kind: 'resize';
      readonly steps: readonly ResizeStep[];
      /** What events told of the last attempt, which is not told again. */
      readonly toldFailure?: string;
    }
  | { readonly kind: 'removeContainer'; readonly container: string; readonly id: string }
  | { readonly kind: 'removePod' }
  | { readonly kind: 'deleteObject' };

/** What to do now, and when to look again if nothing happens before. */
export interface Plan {
  readonly intents: readonly Intent[];
  readonly wakeAtMs: number | undefined;
}

/** A container of a pod's spec, of whichever list. */
export interface SpecContainer {
  readonly kind: ContainerKind;
  readonly spec: Container | EphemeralContainer;
}

/** All containers of a pod in the order of starting: init and sidecars as written, main, ephemeral. */
export function containersOf(pod: Pod): readonly SpecContainer[] {
  const { initContainers = [], containers = [], ephemeralContainers = [] } = pod.spec ?? { containers: [] };
  return [
    ...initContainers.map((spec): SpecContainer => ({
      kind: spec.restartPolicy === 'Always' ? 'sidecar' : 'init',
      spec,
    })),
    ...containers.map((spec): SpecContainer => ({ kind: 'main', spec })),
    ...ephemeralContainers.map((spec): SpecContainer => ({ kind: 'ephemeral', spec })),
  ];
}

/** An observation of a pod of which nothing is on the node. */
export function emptyObservation(pod: Pod): PodObservation {
  const { uid = '', namespace = '', name = '' } = pod.metadata ?? {};
  return { uid, namespace, name, sandbox: undefined, containers: [] };
}
