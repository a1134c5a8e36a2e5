/** What the facts of a pod learn. Each is a value that says all that `fold` needs; none says what to do about it. */
import type { Pod, ResourceRequirements } from '#api/generated/objects.ts';
import type { CgroupResources, ContainerObservation } from '#agent/runtime/runtime.ts';
import type { PreparedClaims } from '#agent/device/claims/pod-claims.ts';
import type { MountedVolumes } from '#agent/volume/pod-volumes.ts';
import type { Allocation, PendingResize } from '#agent/kubelet/allocation.ts';
import type { PodDesired, ProbeFact, PullFact, StartFailure, ResizeStep } from './pod-input.ts';
import type { Refusal } from '#agent/kubelet/admit/refusal.ts';

/** What came of an action: each action gives one of these. */
export type ActionOutcome =
  /** `atChange`: the volumeChanges before the objects were read. */
  | { readonly kind: 'volumesMounted'; readonly mounted: MountedVolumes; readonly atChange: number }
  | {
      readonly kind: 'volumesFailed';
      readonly message: string;
      readonly atMs: number;
      readonly atChange: number;
    }
  | { readonly kind: 'volumesRemoved' }
  | { readonly kind: 'claimsPrepared'; readonly prepared: PreparedClaims }
  | { readonly kind: 'claimsFailed'; readonly message: string; readonly atMs: number }
  | { readonly kind: 'claimsRemoved' }
  | { readonly kind: 'sandboxRunning'; readonly resources: CgroupResources }
  | { readonly kind: 'sandboxFailed'; readonly message: string; readonly atMs: number }
  | { readonly kind: 'sandboxStopped' }
  | {
      readonly kind: 'pullBegun';
      readonly container: string;
      readonly image: string;
      readonly attempt: number;
    }
  | {
      readonly kind: 'containerStarted';
      readonly container: string;
      readonly id: string;
      /** What its cgroup was made of. */
      readonly resources: ResourceRequirements;
      /** Its postStart hook runs from now on. */
      readonly hasHook: boolean;
    }
  | {
      readonly kind: 'startFailed';
      readonly container: string;
      readonly reason: StartFailure['reason'];
      readonly message: string;
      readonly atMs: number;
    }
  /** It could not be executed: the runtime has it as a run that ended, and its back-off is the crash back-off. */
  | { readonly kind: 'launchFailed'; readonly container: string }
  | { readonly kind: 'hookBegun'; readonly id: string }
  | {
      readonly kind: 'stopBegun';
      readonly id: string;
      readonly deadlineMs: number;
      readonly isForResize: boolean;
    }
  /** `written`: the steps that were carried out before it ended or went wrong. */
  | {
      readonly kind: 'resized';
      readonly written: readonly ResizeStep[];
      readonly failure: { readonly message: string; readonly atMs: number } | undefined;
    }
  | { readonly kind: 'containerRemoved'; readonly id: string }
  | { readonly kind: 'podRemoved' }
  | { readonly kind: 'objectDeleted' };

/** What runs beside the worker: pulls, hooks, stops, probes. It may come late, for what is gone by now. */
export type BesideOutcome =
  | {
      readonly kind: 'pullDone';
      readonly container: string;
      readonly image: string;
      readonly attempt: number;
      readonly imageId: string;
    }
  | {
      readonly kind: 'pullFailed';
      readonly container: string;
      readonly image: string;
      readonly attempt: number;
      readonly reason: Extract<PullFact, { state: 'failed' }>['reason'];
      readonly message: string;
      readonly atMs: number;
    }
  | { readonly kind: 'pullAborted'; readonly container: string; readonly image: string }
  | { readonly kind: 'hookEnded'; readonly id: string; readonly failure: string | undefined }
  /** `deadlineMs` says which stop of it: a later one may have taken its place. */
  | { readonly kind: 'stopEnded'; readonly id: string; readonly deadlineMs: number }
  | { readonly kind: 'probesBegun'; readonly id: string; readonly fact: ProbeFact }
  | { readonly kind: 'probed'; readonly id: string; readonly change: Partial<ProbeFact> }
  | { readonly kind: 'probesEnded'; readonly id: string };

/** What the worker sees or decides. */
export type Sighting =
  /** What earlier agents left on disk. */
  | {
      readonly kind: 'recalled';
      readonly dueHooks: readonly string[];
      readonly loggedAttempts: ReadonlyMap<string, number>;
    }
  | {
      readonly kind: 'desiredChanged';
      readonly before: Pod;
      readonly desired: PodDesired;
      readonly nowMs: number;
    }
  /** One of the objects that the pod refers to. */
  | { readonly kind: 'objectChanged' }
  | { readonly kind: 'runsSeen'; readonly runs: readonly ContainerObservation[] }
  /** The node does not take the pod, or does not keep it. */
  | { readonly kind: 'refused'; readonly refusal: Refusal }
  | {
      readonly kind: 'resourcesGiven';
      readonly allocated: Allocation;
      readonly generation: number | undefined;
    }
  /** Undefined: the pod has what it asks for. */
  | { readonly kind: 'resourcesPending'; readonly pending: PendingResize | undefined }
  | { readonly kind: 'resizeCompleted' }
  | { readonly kind: 'finalStatusTold' };

export type Outcome = ActionOutcome | BesideOutcome | Sighting;
