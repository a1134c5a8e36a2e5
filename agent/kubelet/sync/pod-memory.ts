import type { Pod } from '#api/generated/objects.ts';
import { reportedAllocation, withAllocation } from '#agent/kubelet/allocation.ts';
import { fold } from './fold.ts';
import type { Outcome } from './outcome.ts';
import type { PodDesired, PodFacts } from './pod-input.ts';
import { createPodTeller, type PodTeller } from './pod-teller.ts';
import { podCgroupResources } from '#agent/kubelet/render/resources.ts';

/** What the worker of one pod keeps between two looks at it. */
export interface PodMemory {
  readonly uid: string;
  readonly desired: PodDesired;
  readonly facts: PodFacts;
  /** What came of something: the only way to change the facts. Whether it did. */
  report(outcome: Outcome): boolean;
  /** Takes in a newer object, or its end. */
  want(desired: PodDesired, nowMs: number): void;
  readonly teller: PodTeller;
  /** Ends of what runs beside the worker. No facts: nothing is decided on them. */
  readonly beside: WorkBeside;
}

/** What can be ended of what an action left running, and what actions of one round share. */
export interface WorkBeside {
  /** By container id. */
  readonly stops: Map<string, AbortController>;
  /** By container name. */
  readonly pulls: Map<string, AbortController>;
  /** The pod's hosts, resolv.conf and hostname, made for a sandbox. */
  podFiles: { readonly sandboxId: string; readonly written: Promise<void> } | undefined;
}

/** Of all pods that are worked on, by uid. */
export type PodMemories = Map<string, PodMemory>;

/** Told of every outcome before the facts learn of it. */
export type OutcomeObserver = (outcome: Outcome, pod: Pod, facts: PodFacts) => void;

export function createPodMemory(
  uid: string,
  first: PodDesired,
  nowMs: number,
  observe?: OutcomeObserver,
): PodMemory {
  let desired = first;
  let facts = initialFacts(first.pod, nowMs);
  const report = (outcome: Outcome): boolean => {
    const before = facts;
    observe?.(outcome, desired.pod, before);
    facts = fold(before, outcome);
    return facts !== before;
  };
  return {
    uid,
    get desired() {
      return desired;
    },
    get facts() {
      return facts;
    },
    report,
    want: (newer, now) => {
      report({ kind: 'desiredChanged', before: desired.pod, desired: newer, nowMs: now });
      desired = newer;
    },
    teller: createPodTeller(),
    beside: { stops: new Map(), pulls: new Map(), podFiles: undefined },
  };
}

/** What is known of a pod that this agent has not looked at yet. */
export function initialFacts(pod: Pod, nowMs: number): PodFacts {
  const allocated = reportedAllocation(pod);
  return {
    firstSeenAtMs: nowMs,
    pulls: new Map(),
    startFailures: new Map(),
    sandboxFailure: undefined,
    volumes: { state: 'absent' },
    claims: { state: 'absent' },
    volumeChanges: 0,
    volumeFailures: 0,
    mounted: undefined,
    probes: new Map(),
    postStart: new Map(),
    stopping: new Map(),
    backoffBase: new Map(),
    loggedAttempts: undefined,
    resize: {
      allocated,
      podCgroup: podCgroupResources(withAllocation(pod, allocated), undefined),
      actuated: new Map(),
      reportedWhole: allocated.pod,
      pending: undefined,
      failure: undefined,
      generation: pod.metadata?.generation,
      restarts: new Set(),
      // What an earlier agent left undone is not known before it is looked at.
      isUnderWay: pod.status?.containerStatuses !== undefined,
      isAnnounced: false,
    },
    endingSinceMs: undefined,
    rejection: undefined,
    isDeleted: false,
    hasFinalStatus: false,
  };
}

/** The pod as the node runs it: with what it was given, which may be less or more than it asks for now. */
export function allocatedPod({ desired, facts }: Pick<PodMemory, 'desired' | 'facts'>): Pod {
  return withAllocation(desired.pod, facts.resize.allocated);
}
