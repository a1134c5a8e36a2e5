/** The one writer of a pod's facts. Pure. */
import { backoffMs, type Backoff } from '#base/backoff.ts';
import { unreachable } from '#base/unreachable.ts';
import type { Pod } from '#api/generated/objects.ts';
import type { ContainerObservation } from '#agent/runtime/runtime.ts';
import { withPodLimits } from '#agent/kubelet/render/resources.ts';
import { crashBackoffResetMs } from './container-view.ts';
import type { Outcome } from './outcome.ts';
import { containersOf, type PodFacts, type PullFact, type RetriedFailure } from './pod-input.ts';

/** Of volumes and sandboxes. */
const setUpBackoff: Backoff = { initialMs: 1000, factor: 2, maxMs: 120_000 };
const startBackoff: Backoff = { initialMs: 2000, factor: 2, maxMs: 60_000 };
const resizeBackoff: Backoff = { initialMs: 2000, factor: 2, maxMs: 60_000 };
/** As the kubelet's image manager: 10 s to 5 min. */
const pullBackoff: Backoff = { initialMs: 10_000, factor: 2, maxMs: 300_000 };

type Of<K extends Outcome['kind']> = Extract<Outcome, { kind: K }>;

/**
 * The facts after an outcome; the same object where it changes none. Total: what comes late, of a run or stop that is forgotten, is
 * passed over.
 */
export function fold(facts: PodFacts, outcome: Outcome): PodFacts {
  switch (outcome.kind) {
    case 'sandboxRunning':
    case 'sandboxFailed':
      return foldSandbox(facts, outcome);
    case 'pullBegun':
    case 'pullDone':
    case 'pullFailed':
    case 'pullAborted':
      return foldPull(facts, outcome);
    case 'containerStarted':
    case 'startFailed':
    case 'launchFailed':
    case 'containerRemoved':
      return foldStart(facts, outcome);
    case 'hookBegun':
    case 'hookEnded':
      return foldHook(facts, outcome);
    case 'stopBegun':
    case 'stopEnded':
      return foldStop(facts, outcome);
    case 'probesBegun':
    case 'probed':
    case 'probesEnded':
      return foldProbes(facts, outcome);
    case 'volumesMounted':
    case 'volumesFailed':
    case 'volumesRemoved':
    case 'objectChanged':
      return foldVolumes(facts, outcome);
    case 'claimsPrepared':
    case 'claimsFailed':
    case 'claimsRemoved':
      return foldClaims(facts, outcome);
    case 'resized':
    case 'resourcesGiven':
    case 'resourcesPending':
    case 'resizeCompleted':
      return foldResize(facts, outcome);
    default:
      return foldPod(facts, outcome);
  }
}

type VolumesOutcome = Of<'volumesMounted' | 'volumesFailed' | 'volumesRemoved' | 'objectChanged'>;

function foldVolumes(facts: PodFacts, outcome: VolumesOutcome): PodFacts {
  switch (outcome.kind) {
    case 'volumesMounted': {
      const { mounted, atChange } = outcome;
      const isStale = facts.volumeChanges !== atChange;
      const volumes = { state: 'ready', isStale, refreshAtMs: mounted.refreshAtMs } as const;
      return { ...facts, mounted, volumeFailures: 0, volumes };
    }
    case 'volumesFailed': {
      const { message, atMs, atChange } = outcome;
      const volumeFailures = facts.volumeFailures + 1;
      const retryAtMs = atMs + backoffMs(setUpBackoff, volumeFailures);
      const isStale = facts.volumeChanges !== atChange;
      // Volumes that were there once stay as they are: running containers keep the old content.
      if (facts.volumes.state === 'ready')
        return { ...facts, volumeFailures, volumes: { state: 'ready', isStale, refreshAtMs: retryAtMs } };
      return { ...facts, volumeFailures, volumes: { state: 'failed', message, retryAtMs } };
    }
    case 'volumesRemoved':
      return { ...facts, volumes: { state: 'removed' } };
    case 'objectChanged':
      return withRetriesDue(withStaleVolumes(facts));
    default:
      return unreachable(outcome);
  }
}

/** What is being made of the volumes just now may or may not have the change in it. */
function withStaleVolumes(facts: PodFacts): PodFacts {
  const { volumes, volumeChanges } = facts;
  const stale = volumes.state === 'ready' ? { ...volumes, isStale: true } : volumes;
  return { ...facts, volumeChanges: volumeChanges + 1, volumes: stale };
}

/** What failed for want of an object is tried again at once when one comes. */
function withRetriesDue(facts: PodFacts): PodFacts {
  const { volumes, claims, startFailures } = facts;
  return {
    ...facts,
    volumes: volumes.state === 'failed' ? { ...volumes, retryAtMs: 0 } : volumes,
    claims: claims.state === 'failed' ? { ...claims, retryAtMs: 0 } : claims,
    startFailures: new Map([...startFailures].map(([name, failure]) => [name, { ...failure, retryAtMs: 0 }])),
  };
}

function foldClaims(
  facts: PodFacts,
  outcome: Of<'claimsPrepared' | 'claimsFailed' | 'claimsRemoved'>,
): PodFacts {
  switch (outcome.kind) {
    case 'claimsPrepared':
      return { ...facts, claims: { state: 'ready', prepared: outcome.prepared } };
    case 'claimsFailed': {
      const before = facts.claims.state === 'failed' ? facts.claims : undefined;
      return { ...facts, claims: { state: 'failed', ...failedAgain(before, outcome, setUpBackoff) } };
    }
    case 'claimsRemoved':
      return { ...facts, claims: { state: 'removed' } };
    default:
      return unreachable(outcome);
  }
}

function foldSandbox(facts: PodFacts, outcome: Of<'sandboxRunning' | 'sandboxFailed'>): PodFacts {
  if (outcome.kind === 'sandboxRunning') {
    const resize = { ...facts.resize, podCgroup: outcome.resources };
    return { ...facts, resize, sandboxFailure: undefined };
  }
  return { ...facts, sandboxFailure: failedAgain(facts.sandboxFailure, outcome, setUpBackoff) };
}

type PullOutcome = Of<'pullBegun' | 'pullDone' | 'pullFailed' | 'pullAborted'>;

function foldPull(facts: PodFacts, outcome: PullOutcome): PodFacts {
  const { container, image } = outcome;
  const before = facts.pulls.get(container);
  // Late: the pod asks for another image by now.
  const isAwaited = before?.state === 'pulling' && before.image === image;
  if (outcome.kind !== 'pullBegun' && !isAwaited) return facts;
  const failures = before === undefined || before.state === 'done' ? 0 : before.failures;
  const set = (pull: PullFact): PodFacts => ({ ...facts, pulls: withEntry(facts.pulls, container, pull) });
  switch (outcome.kind) {
    case 'pullBegun':
      return set({ state: 'pulling', image, attempt: outcome.attempt, failures });
    case 'pullDone':
      return set({ state: 'done', attempt: outcome.attempt, imageId: outcome.imageId });
    case 'pullFailed': {
      const { attempt, reason, atMs } = outcome;
      const failure = failedAgain({ failures }, outcome, pullBackoff);
      return set({ state: 'failed', attempt, reason, failedAtMs: atMs, ...failure });
    }
    case 'pullAborted':
      return { ...facts, pulls: withoutEntry(facts.pulls, container) };
    default:
      return unreachable(outcome);
  }
}

type StartOutcome = Of<'containerStarted' | 'startFailed' | 'launchFailed' | 'containerRemoved'>;

function foldStart(facts: PodFacts, outcome: StartOutcome): PodFacts {
  const { startFailures, postStart, resize } = facts;
  switch (outcome.kind) {
    case 'containerStarted': {
      const { container, id, resources, hasHook } = outcome;
      return {
        ...facts,
        startFailures: withoutEntry(startFailures, container),
        postStart: hasHook ? withEntry(postStart, id, 'running') : postStart,
        resize: { ...resize, actuated: withEntry(resize.actuated, id, resources) },
      };
    }
    case 'startFailed': {
      const { container, reason } = outcome;
      const failure = failedAgain(startFailures.get(container), outcome, startBackoff);
      return { ...facts, startFailures: withEntry(startFailures, container, { reason, ...failure }) };
    }
    case 'launchFailed':
      return { ...facts, startFailures: withoutEntry(startFailures, outcome.container) };
    case 'containerRemoved': {
      const { id } = outcome;
      const restarts = new Set(resize.restarts);
      restarts.delete(id);
      const actuated = withoutEntry(resize.actuated, id);
      return {
        ...facts,
        postStart: withoutEntry(postStart, id),
        resize: { ...resize, actuated, restarts },
      };
    }
    default:
      return unreachable(outcome);
  }
}

function foldHook(facts: PodFacts, outcome: Of<'hookBegun' | 'hookEnded'>): PodFacts {
  const { postStart } = facts;
  const { id } = outcome;
  if (outcome.kind === 'hookBegun') return { ...facts, postStart: withEntry(postStart, id, 'running') };
  if (!postStart.has(id)) return facts; // Its run is gone and forgotten.
  const { failure } = outcome;
  return { ...facts, postStart: withEntry(postStart, id, failure === undefined ? 'done' : { failure }) };
}

function foldStop(facts: PodFacts, outcome: Of<'stopBegun' | 'stopEnded'>): PodFacts {
  const { stopping, resize } = facts;
  const { id, deadlineMs } = outcome;
  if (outcome.kind === 'stopEnded') {
    if (stopping.get(id)?.deadlineMs !== deadlineMs) return facts; // One with less grace took its place.
    return { ...facts, stopping: withoutEntry(stopping, id) };
  }
  const restarts = outcome.isForResize ? new Set([...resize.restarts, id]) : resize.restarts;
  return {
    ...facts,
    stopping: withEntry(stopping, id, { deadlineMs }),
    resize: { ...resize, restarts },
  };
}

function foldProbes(facts: PodFacts, outcome: Of<'probesBegun' | 'probed' | 'probesEnded'>): PodFacts {
  const { probes } = facts;
  const { id } = outcome;
  if (outcome.kind === 'probesBegun') return { ...facts, probes: withEntry(probes, id, outcome.fact) };
  const before = probes.get(id);
  if (before === undefined) return facts; // A verdict on a run that is over.
  if (outcome.kind === 'probesEnded') return { ...facts, probes: withoutEntry(probes, id) };
  const fact = { ...before, ...outcome.change };
  const isSame =
    fact.hasStarted === before.hasStarted &&
    fact.isReady === before.isReady &&
    fact.failure === before.failure;
  return isSame ? facts : { ...facts, probes: withEntry(probes, id, fact) };
}

type ResizeOutcome = Of<'resized' | 'resourcesGiven' | 'resourcesPending' | 'resizeCompleted'>;

function foldResize(facts: PodFacts, outcome: ResizeOutcome): PodFacts {
  const { resize } = facts;
  const set = (change: Partial<PodFacts['resize']>): PodFacts => ({
    ...facts,
    resize: { ...resize, ...change },
  });
  switch (outcome.kind) {
    case 'resized': {
      const { written, failure } = outcome;
      const actuated = new Map(resize.actuated);
      let { podCgroup } = resize;
      for (const { container, resources } of written) {
        if (container === undefined) podCgroup = resources;
        else {
          const { pod, containers } = resize.allocated;
          actuated.set(container.id, withPodLimits(containers.get(container.name), pod));
        }
      }
      const failed = failure === undefined ? undefined : failedAgain(resize.failure, failure, resizeBackoff);
      return set({ actuated, podCgroup, failure: failed });
    }
    case 'resourcesGiven': {
      const { allocated, generation } = outcome;
      const given = { allocated, generation, pending: undefined, failure: undefined };
      // The downward API tells of resources.
      return withStaleVolumes(set({ ...given, isUnderWay: true, isAnnounced: true }));
    }
    case 'resourcesPending':
      return resize.pending === outcome.pending ? facts : set({ pending: outcome.pending });
    case 'resizeCompleted':
      return set({ isUnderWay: false, isAnnounced: false });
    default:
      return unreachable(outcome);
  }
}

type PodOutcome = Of<
  | 'recalled'
  | 'desiredChanged'
  | 'runsSeen'
  | 'refused'
  | 'finalStatusTold'
  | 'objectDeleted'
  | 'sandboxStopped'
  | 'podRemoved'
>;

function foldPod(facts: PodFacts, outcome: PodOutcome): PodFacts {
  switch (outcome.kind) {
    case 'recalled': {
      const due = outcome.dueHooks.map((id) => [id, 'due'] as const);
      const postStart = new Map([...facts.postStart, ...due]);
      return { ...facts, postStart, loggedAttempts: outcome.loggedAttempts };
    }
    case 'desiredChanged':
      return foldDesired(facts, outcome);
    case 'runsSeen':
      return foldRuns(facts, outcome.runs);
    case 'refused':
      return { ...facts, rejection: outcome.refusal };
    case 'finalStatusTold':
      return { ...facts, hasFinalStatus: true };
    case 'objectDeleted':
      return { ...facts, isDeleted: true };
    case 'sandboxStopped':
    case 'podRemoved':
      return facts; // The runtime's observation tells.
    default:
      return unreachable(outcome);
  }
}

/** A newer object, or its end. What changes with it is forgotten, so that it is made anew. */
function foldDesired(facts: PodFacts, { before, desired, nowMs }: Of<'desiredChanged'>): PodFacts {
  const { pod } = desired;
  const isChanged = (pick: (pod: Pod) => unknown): boolean =>
    JSON.stringify(pick(before)) !== JSON.stringify(pick(pod));
  const isRelabelled = isChanged(({ metadata }) => [metadata?.labels, metadata?.annotations]);
  const isEnding = !desired.isPresent || pod.metadata?.deletionTimestamp !== undefined;
  return {
    ...(isRelabelled ? withStaleVolumes(facts) : facts),
    pulls: facts.pulls.size === 0 ? facts.pulls : pullsOfSameImages(facts.pulls, before, pod),
    endingSinceMs: facts.endingSinceMs ?? (isEnding ? endingSince(pod, nowMs) : undefined),
  };
}

function pullsOfSameImages(pulls: PodFacts['pulls'], before: Pod, pod: Pod): PodFacts['pulls'] {
  const imagesOf = (which: Pod): ReadonlyMap<string, string | undefined> =>
    new Map(containersOf(which).map(({ spec }) => [spec.name, spec.image]));
  const [old, images] = [imagesOf(before), imagesOf(pod)];
  return new Map([...pulls].filter(([name]) => !images.has(name) || images.get(name) === old.get(name)));
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
function foldRuns(facts: PodFacts, runs: readonly ContainerObservation[]): PodFacts {
  let { backoffBase } = facts;
  for (const { id, name, attempt, state } of runs) {
    if (state.state !== 'exited') continue;
    const ranLong = state.finishedAtMs - state.startedAtMs >= crashBackoffResetMs;
    // Nor does one that was ended for a resize count as a failure.
    const base = facts.resize.restarts.has(id) ? attempt + 1 : ranLong ? attempt : 0;
    if (base > (backoffBase.get(name) ?? 0)) backoffBase = withEntry(backoffBase, name, base);
  }
  return backoffBase === facts.backoffBase ? facts : { ...facts, backoffBase };
}

function failedAgain(
  before: { readonly failures: number } | undefined,
  { message, atMs }: { readonly message: string; readonly atMs: number },
  backoff: Backoff,
): RetriedFailure {
  const failures = (before?.failures ?? 0) + 1;
  return { message, failures, retryAtMs: atMs + backoffMs(backoff, failures) };
}

function withEntry<V>(map: ReadonlyMap<string, V>, key: string, value: V): ReadonlyMap<string, V> {
  return new Map(map).set(key, value);
}

/** The same map where there is nothing to take out. */
function withoutEntry<V>(map: ReadonlyMap<string, V>, key: string): ReadonlyMap<string, V> {
  if (!map.has(key)) return map;
  const rest = new Map(map);
  rest.delete(key);
  return rest;
}
