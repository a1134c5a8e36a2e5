import type { Pod, ResourceRequirements } from '#api/objects.ts';
import type { CgroupResources, PodObservation } from '#agent/runtime/runtime.ts';
import type { MountedVolumes } from '#agent/volume/pod-volumes.ts';
import { reportedAllocation, withAllocation, type Allocation, type PendingResize } from './allocation.ts';
import { crashBackoffResetMs } from './container-view.ts';
import {
  containersOf,
  type HookFact,
  type PodDesired,
  type PodFacts,
  type PullFact,
  type StartFailure,
} from './pod-input.ts';
import { podCgroupResources } from './resources.ts';

/** What the worker of one pod remembers between two looks at it; owned and changed by that worker alone. */
export interface PodMemory {
  readonly uid: string;
  desired: PodDesired;
  readonly firstSeenAtMs: number;
  readonly pulls: Map<string, PullFact>;
  readonly startFailures: Map<string, StartFailure>;
  readonly postStart: Map<string, HookFact>;
  readonly stopping: Map<string, { readonly deadlineMs: number; readonly abort: AbortController }>;
  readonly backoffBase: Map<string, number>;
  /** Undefined before it was looked for. */
  loggedAttempts: ReadonlyMap<string, number> | undefined;
  readonly pullAborts: Map<string, AbortController>;
  sandboxFailure:
    | { readonly message: string; readonly failures: number; readonly retryAtMs: number }
    | undefined;
  volumes: PodFacts['volumes'];
  volumeFailures: number;
  mounted: MountedVolumes | undefined;
  /** A referenced object, or the pod's labels or annotations, changed since the volumes were made. */
  areVolumesStale: boolean;
  /** The pod's hosts, resolv.conf and hostname, made for a sandbox. */
  podFiles: { readonly sandboxId: string; readonly written: Promise<void> } | undefined;
  resize: ResizeMemory;
  endingSinceMs: number | undefined;
  rejection: { readonly reason: string; readonly message: string } | undefined;
  isDeleted: boolean;
  /** The status at the end, kept while the records that it came from are removed. */
  hasFinalStatus: boolean;
  /** BackOff events are told once a run. */
  readonly backoffTold: Set<string>;
  /** The run of each container whose end was looked at for the log. */
  readonly endsTold: Map<string, string>;
  /** So are images that are not even tried to be pulled, once a container and image. */
  readonly imagesTold: Set<string>;
}

/** A ResizeFact in the making. */
export interface ResizeMemory {
  allocated: Allocation;
  podCgroup: CgroupResources;
  readonly actuated: Map<string, ResourceRequirements>;
  pending: PendingResize | undefined;
  failure: { readonly message: string; readonly failures: number; readonly retryAtMs: number } | undefined;
  generation: number | undefined;
  readonly restarts: Set<string>;
  isUnderWay: boolean;
  /** An event told of its begin, and one is due at its end. */
  isAnnounced: boolean;
}

function createResizeMemory(pod: Pod): ResizeMemory {
  const allocated = reportedAllocation(pod);
  return {
    allocated,
    podCgroup: podCgroupResources(withAllocation(pod, allocated), undefined),
    actuated: new Map(),
    pending: undefined,
    failure: undefined,
    generation: pod.metadata?.generation,
    restarts: new Set(),
    // What an earlier agent left undone is not known before it is looked at.
    isUnderWay: pod.status?.containerStatuses !== undefined,
    isAnnounced: false,
  };
}

/** The pod as the node runs it: with what it was given, which may be less or more than it asks for now. */
export function allocatedPod({ desired, resize }: PodMemory): Pod {
  return withAllocation(desired.pod, resize.allocated);
}

export function createPodMemory(uid: string, desired: PodDesired, now: number): PodMemory {
  return {
    uid,
    desired,
    firstSeenAtMs: now,
    pulls: new Map(),
    startFailures: new Map(),
    postStart: new Map(),
    stopping: new Map(),
    backoffBase: new Map(),
    loggedAttempts: undefined,
    pullAborts: new Map(),
    sandboxFailure: undefined,
    volumes: { state: 'absent' },
    volumeFailures: 0,
    mounted: undefined,
    areVolumesStale: false,
    podFiles: undefined,
    resize: createResizeMemory(desired.pod),
    endingSinceMs: undefined,
    rejection: undefined,
    isDeleted: false,
    hasFinalStatus: false,
    backoffTold: new Set(),
    endsTold: new Map(),
    imagesTold: new Set(),
  };
}

/** Takes in a newer object, or its end. What changes with it is forgotten, so that it is made anew. */
export function noteDesired(memory: PodMemory, desired: PodDesired, now: number): void {
  const before = memory.desired.pod;
  const { pod } = desired;
  memory.desired = desired;
  const isChanged = (pick: (pod: Pod) => unknown): boolean =>
    JSON.stringify(pick(before)) !== JSON.stringify(pick(pod));
  if (isChanged((p) => [p.metadata?.labels, p.metadata?.annotations])) memory.areVolumesStale = true;
  for (const { spec } of containersOf(pod)) {
    const old = containersOf(before).find((container) => container.spec.name === spec.name)?.spec;
    if (old?.image !== spec.image) memory.pulls.delete(spec.name);
  }
  const isEnding = !desired.isPresent || pod.metadata?.deletionTimestamp !== undefined;
  if (isEnding && memory.endingSinceMs === undefined) memory.endingSinceMs = endingSince(pod, now);
}

/** Now, or when the API server was asked, if that is longer ago than clocks and the wire explain: an earlier agent began then. */
function endingSince(pod: Pod, now: number): number {
  const { deletionTimestamp, deletionGracePeriodSeconds = 0 } = pod.metadata ?? {};
  const endMs = Date.parse(deletionTimestamp ?? '');
  if (Number.isNaN(endMs)) return now;
  const allowanceMs = 2000;
  return Math.min(now, endMs - deletionGracePeriodSeconds * 1000 + allowanceMs);
}

/** A run that lasted long enough starts its container's back-off anew. */
export function noteRuns(memory: PodMemory, actual: PodObservation): void {
  for (const { id, name, attempt, state } of actual.containers) {
    // Nor does one that was ended for a resize count as a failure.
    if (state.state === 'exited' && memory.resize.restarts.has(id))
      memory.backoffBase.set(name, Math.max(attempt + 1, memory.backoffBase.get(name) ?? 0));
    if (state.state !== 'exited' || state.finishedAtMs - state.startedAtMs < crashBackoffResetMs) continue;
    memory.backoffBase.set(name, Math.max(attempt, memory.backoffBase.get(name) ?? 0));
  }
}

/** What stands around a pod: the node, its images, the probes. */
export interface Surroundings {
  readonly nodeName: string;
  readonly hostIps: readonly string[];
  readonly imageIdOf: (image: string) => string | undefined;
  readonly probes: PodFacts['probes'];
  readonly isStatusCurrent: boolean;
}

export function factsOf(memory: PodMemory, around: Surroundings): PodFacts {
  const { volumes } = memory;
  const images = containersOf(memory.desired.pod).flatMap(({ spec }): [string, string][] => {
    const id = around.imageIdOf(spec.image ?? '');
    return id === undefined ? [] : [[spec.name, id]];
  });
  return {
    nodeName: around.nodeName,
    hostIps: around.hostIps,
    firstSeenAtMs: memory.firstSeenAtMs,
    presentImages: new Map(images),
    pulls: memory.pulls,
    startFailures: memory.startFailures,
    sandboxFailure: memory.sandboxFailure,
    volumes: volumes.state === 'ready' ? { ...volumes, isStale: memory.areVolumesStale } : volumes,
    probes: around.probes,
    postStart: memory.postStart,
    stopping: memory.stopping,
    backoffBase: memory.backoffBase,
    loggedAttempts: memory.loggedAttempts ?? new Map(),
    resize: memory.resize,
    endingSinceMs: memory.endingSinceMs,
    rejection: memory.rejection,
    isDeleted: memory.isDeleted,
    isStatusCurrent: around.isStatusCurrent,
  };
}
