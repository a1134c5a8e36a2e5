import { claimEntriesOf } from '#api/device/pod-claims.ts';
import type { Pod } from '#api/generated/objects.ts';
import type { PodObservation } from '#agent/runtime/runtime.ts';
import {
  containerId,
  exitOf,
  hasStarted,
  imageState,
  isRestarted,
  isRunning,
  nextAttempt,
  restartWait,
  viewContainers,
  type ContainerView,
} from './container-view.ts';
import type { ImageNeed } from './image-needs.ts';
import { deadlineMs, podEndOf } from './pod-end.ts';
import type { Intent, Plan, PodDesired, KnownFacts } from './pod-input.ts';
import { planResize } from '#agent/kubelet/render/resize.ts';

/**
 * What a pod needs next. Pure and total: the same desired state, observation, time and facts give the same intents.
 *
 *   absent ──▶ volumes ∥ sandbox ──▶ init … sidecars ──▶ main, ephemeral ──▶ over ──▶ stop sandbox, remove volumes
 *                  any state ── deletion ──▶ stop main ──▶ stop sidecars ──▶ stop sandbox ──▶ remove all ──▶ delete object
 *
 * Each of them moves the observation or the facts, so that planning again goes on behind it.
 */
export function plan(desired: PodDesired, actual: PodObservation, now: number, facts: KnownFacts): Plan {
  const step = new PlanDraft(desired.pod, actual, now, facts);
  if (isEnding(desired)) planEnd(step, desired);
  else if (podEndOf(desired.pod, step.views, now, facts) !== undefined) planOver(step);
  else planLife(step);
  return step.finish();
}

export function isEnding(desired: PodDesired): boolean {
  return !desired.isPresent || desired.pod.metadata?.deletionTimestamp !== undefined;
}

/** One planning in progress: its inputs, and the intents so far. */
class PlanDraft {
  readonly views: readonly ContainerView[];
  readonly pod: Pod;
  readonly actual: PodObservation;
  readonly now: number;
  readonly facts: KnownFacts;
  readonly #intents: Intent[] = [];
  #wakeAtMs = Infinity;

  constructor(pod: Pod, actual: PodObservation, now: number, facts: KnownFacts) {
    this.pod = pod;
    this.actual = actual;
    this.now = now;
    this.facts = facts;
    this.views = viewContainers(pod, actual);
  }

  do(intent: Intent): void {
    this.#intents.push(intent);
  }

  /** Containers that mount the same volume wait for one pull of it. */
  pull({ key, image, attempt, policy }: ImageNeed): void {
    if (this.#intents.some((each) => each.kind === 'pullImage' && each.container === key)) return;
    const imageId = policy === 'Always' ? undefined : this.facts.lockedImages?.get(key);
    const locked = imageId === undefined ? {} : { locked: { imageId, isNever: policy === 'Never' } };
    this.do({ kind: 'pullImage', container: key, image, attempt, ...locked });
  }

  wakeAt(ms: number | undefined): void {
    if (ms !== undefined && ms > this.now) this.#wakeAtMs = Math.min(this.#wakeAtMs, ms);
  }

  finish(): Plan {
    return {
      intents: this.#intents,
      wakeAtMs: Number.isFinite(this.#wakeAtMs) ? this.#wakeAtMs : undefined,
    };
  }
}

// The pod is deleted: end what runs, clear away what is left, then let go of the object.

function planEnd(step: PlanDraft, desired: PodDesired): void {
  const { actual, facts } = step;
  if (facts.isDeleted) return;
  const graceSeconds = remainingGraceSeconds(desired, step.now, facts);
  const how = { graceSeconds, retractMsMax: retractMsMaxOf(desired, graceSeconds) };
  if (stopContainers(step, how, (name) => `Stopping container ${name}`)) return;
  if (standsStill(actual)) step.do({ kind: 'stopSandbox' });
  else if (!areClaimsRemoved(step)) step.do({ kind: 'unprepareClaims' });
  else if (facts.volumes.state !== 'removed') step.do({ kind: 'removeVolumes' });
  else if (actual.sandbox !== undefined || actual.containers.length > 0) step.do({ kind: 'removePod' });
  else if (desired.isPresent && facts.isStatusCurrent) step.do({ kind: 'deleteObject' });
}

/** A pod that ends is stopped after so long at the latest, whoever may still be sent to it by a Service. */
export const retractMsMax = 3_000;

/** Half of the grace period is the program's own. Who forces a deletion does not want to wait. */
function retractMsMaxOf({ isPresent }: PodDesired, graceSeconds: number): number {
  return isPresent ? Math.min(retractMsMax, graceSeconds * 500) : 0;
}

/** A negative one, which pods from before there was a rule have, counts as 1. */
function graceSecondsOf({ spec }: Pod): number {
  const seconds = spec?.terminationGracePeriodSeconds ?? 30;
  return seconds < 0 ? 1 : seconds;
}

/** What is left of the grace period; never less than one second, as the kubelet has it. */
export function remainingGraceSeconds(desired: PodDesired, now: number, facts: KnownFacts): number {
  const { metadata } = desired.pod;
  // Gone without having been asked to end: a forced deletion, by somebody who does not want to wait.
  if (!desired.isPresent && metadata?.deletionTimestamp === undefined) return 1;
  const seconds = metadata?.deletionGracePeriodSeconds ?? graceSecondsOf(desired.pod);
  const elapsedMs = facts.endingSinceMs === undefined ? 0 : Math.max(0, now - facts.endingSinceMs);
  return Math.max(1, Math.ceil(seconds - elapsedMs / 1000));
}

// The pod is over, its object stays: the containers' records and logs stay with it, the rest goes.

function planOver(step: PlanDraft): void {
  const { actual, facts, pod } = step;
  const most = facts.rejection?.graceSecondsMax ?? Infinity;
  const how = { graceSeconds: Math.min(graceSecondsOf(pod), Math.max(1, most)), retractMsMax: 0 };
  if (stopContainers(step, how, (name) => `Stopping container ${name}`)) return;
  if (standsStill(actual)) step.do({ kind: 'stopSandbox' });
  else if (!areClaimsRemoved(step)) step.do({ kind: 'unprepareClaims' });
  else if (facts.volumes.state !== 'removed') step.do({ kind: 'removeVolumes' });
}

/** What an earlier agent prepared is on record, whatever this one has seen. */
function areClaimsRemoved({ pod, facts }: PlanDraft): boolean {
  return !hasClaims(pod) || facts.claims.state === 'removed';
}

function hasClaims(pod: Pod): boolean {
  return claimEntriesOf(pod).length > 0;
}

/** Whether anything of the sandbox has to go: one whose supervisor died still has its network. */
function standsStill({ sandbox }: PodObservation): boolean {
  return sandbox !== undefined && sandbox.state !== 'stopped';
}

/** Stops all that runs, sidecars after the others and in reverse order. Whether anything still runs. */
function stopContainers(
  step: PlanDraft,
  how: Pick<StopOfRun, 'graceSeconds' | 'retractMsMax'>,
  say: (name: string) => string,
): boolean {
  const running = step.views.filter(isRunning);
  const known = new Set(step.views.map((view) => view.name));
  // Containers of no known spec: the pod was deleted while no agent ran.
  const orphans = step.actual.containers.filter((c) => !known.has(c.name) && c.state.state !== 'exited');
  for (const { id, name } of orphans) stopRun(step, { id, name, ...how, message: say(name) });
  const first = running.filter((view) => view.kind !== 'sidecar');
  for (const view of first.length > 0 ? first : running.slice(-1)) {
    stopRun(step, { id: view.latest?.id ?? '', name: view.name, ...how, message: say(view.name) });
  }
  return running.length > 0 || orphans.length > 0;
}

interface StopOfRun {
  readonly id: string;
  readonly name: string;
  readonly graceSeconds: number;
  readonly retractMsMax?: number;
  readonly message: string;
  readonly isForResize?: true;
}

function stopRun(step: PlanDraft, run: StopOfRun): void {
  const under = step.facts.stopping.get(run.id);
  // A stop under way is left alone unless the grace period was cut; a second covers the rounding of remaining grace.
  if (under !== undefined && under.deadlineMs <= step.now + run.graceSeconds * 1000 + 1000) return;
  const { name: container, ...how } = run;
  const cut = under === undefined ? {} : { isCut: true as const };
  step.do({ kind: 'stopContainer', container, ...how, ...cut });
}

// The pod lives.

function planLife(step: PlanDraft): void {
  const { actual, facts, pod } = step;
  step.wakeAt(deadlineMs(pod, facts));
  removeOldRuns(step);
  planVolumes(step);
  if (!planClaims(step)) return;
  planSandbox(step);
  if (actual.sandbox?.state !== 'ready' || facts.volumes.state !== 'ready') return;
  if (endOutdated(step)) return;
  // What starts or goes on finds its room made.
  if (planResizing(step)) return;
  for (const view of step.views) {
    startDueHook(step, view);
    stopUnhealthy(step, view);
  }
  if (!planInit(step)) return;
  for (const view of step.views) {
    if (view.kind === 'main' || (view.kind === 'ephemeral' && view.latest === undefined))
      startIfDue(step, view);
  }
}

/** All containers are restarted, at once and without hooks (KEP-5532): those that still run from before end first. Whether there are some. */
function endOutdated(step: PlanDraft): boolean {
  const running = step.views.filter((view) => view.isOutdated && isRunning(view));
  for (const { name, latest } of running) {
    const id = latest?.id ?? '';
    if (step.facts.stopping.has(id)) continue;
    const message = `Container ${name} is ended: all containers of the pod are restarted`;
    step.do({ kind: 'stopContainer', container: name, id, graceSeconds: 1, message, isCut: true });
  }
  return running.length > 0;
}

/** Brings the cgroups to what the pod was given, and ends containers that must be restarted for it. Whether there are writes. */
function planResizing(step: PlanDraft): boolean {
  const { facts, now, pod } = step;
  const { failure } = facts.resize;
  if (failure !== undefined && now < failure.retryAtMs) {
    step.wakeAt(failure.retryAtMs);
    return false;
  }
  const { steps, restarts } = planResize(pod, step.views, facts.resize);
  if (steps.length > 0) {
    step.do({ kind: 'resize', steps, ...(failure === undefined ? {} : { toldFailure: failure.message }) });
    return true;
  }
  const graceSeconds = graceSecondsOf(pod);
  for (const { name, current } of restarts) {
    const message = `Container ${name} resize requires restart`;
    stopRun(step, { id: current?.id ?? '', name, graceSeconds, message, isForResize: true });
  }
  return false;
}

/** The newest run and the one before (`kubectl logs --previous`) are kept. */
function removeOldRuns(step: PlanDraft): void {
  for (const view of step.views) {
    const kept = new Set([view.latest?.id, view.previous?.id]);
    for (const run of step.actual.containers) {
      if (run.name !== view.name || kept.has(run.id) || run.state.state !== 'exited') continue;
      step.do({ kind: 'removeContainer', container: run.name, id: run.id });
    }
  }
}

function planVolumes(step: PlanDraft): void {
  const { facts, now } = step;
  const { volumes } = facts;
  if (volumes.state === 'absent' || (volumes.state === 'failed' && now >= volumes.retryAtMs)) {
    step.do({ kind: 'prepareVolumes' });
  }
  if (volumes.state === 'failed') step.wakeAt(volumes.retryAtMs);
  if (volumes.state !== 'ready') return;
  if (volumes.isStale || now >= (volumes.refreshAtMs ?? Infinity)) step.do({ kind: 'refreshVolumes' });
  step.wakeAt(volumes.refreshAtMs);
}

/** Whether what its claims were given is ready: nothing of the pod runs before. */
function planClaims(step: PlanDraft): boolean {
  const { facts, now, pod } = step;
  const { claims } = facts;
  if (!hasClaims(pod) || claims.state === 'ready') return true;
  if (claims.state === 'absent' || (claims.state === 'failed' && now >= claims.retryAtMs))
    step.do({ kind: 'prepareClaims' });
  if (claims.state === 'failed') step.wakeAt(claims.retryAtMs);
  return false;
}

function planSandbox(step: PlanDraft): void {
  const { actual, facts, now } = step;
  if (actual.sandbox?.state === 'ready' || facts.volumes.state === 'failed') return;
  if (facts.sandboxFailure !== undefined && now < facts.sandboxFailure.retryAtMs) {
    step.wakeAt(facts.sandboxFailure.retryAtMs);
    return;
  }
  const attempt = actual.sandbox === undefined ? 0 : actual.sandbox.attempt + 1;
  step.do({ kind: 'runSandbox', attempt, replaces: actual.sandbox !== undefined });
}

/** Starts init containers and sidecars in order, each after the one before it. Whether the main containers may run. */
function planInit(step: PlanDraft): boolean {
  const { views, facts } = step;
  const isPast = views.some((view) => view.kind === 'main' && view.current !== undefined);
  for (const view of views) {
    if (view.kind === 'sidecar') {
      startIfDue(step, view);
      if (!isPast && !hasStarted(view, facts)) return false;
    } else if (view.kind === 'init' && !isPast) {
      const state = view.current?.state;
      if (state?.state === 'exited' && state.exitCode === 0) continue;
      startIfDue(step, view);
      return false;
    }
  }
  return true;
}

/** Starts the next run of a container that does not run, when its policy, back-off and image allow it. */
function startIfDue(step: PlanDraft, view: ContainerView): void {
  const { actual, facts, now, pod } = step;
  if (isRunning(view)) return;
  const isNewSandbox = view.latest !== undefined && view.current === undefined;
  const isWanted =
    view.latest === undefined || isRestarted(view, pod, facts) || (isNewSandbox && view.kind === 'init');
  if (!isWanted) return;
  const dueMs = isNewSandbox && !view.isOutdated ? 0 : restartWait(view, facts).dueMs;
  const retryAtMs = Math.max(dueMs, facts.startFailures.get(view.name)?.retryAtMs ?? 0);
  if (now < retryAtMs) {
    step.wakeAt(retryAtMs);
    return;
  }
  const image = imageState(view, now, facts);
  const { name: container } = view;
  const attempt = nextAttempt(view, facts);
  if (image.state === 'present') {
    const id = containerId(actual.uid, container, attempt);
    const told = facts.pulls.get(container)?.attempt === attempt ? { isPullTold: true as const } : {};
    const { imageId, volumeImages } = image;
    const mounted = volumeImages === undefined ? {} : { volumeImages };
    step.do({ kind: 'startContainer', container, id, attempt, imageId, ...mounted, ...told });
  } else if (image.state === 'wanted') {
    step.pull(image.need);
  } else if (image.state === 'failed') step.wakeAt(image.retryAtMs);
}

function startDueHook(step: PlanDraft, { name: container, current }: ContainerView): void {
  if (current?.state.state !== 'running' || step.facts.postStart.get(current.id) !== 'due') return;
  step.do({ kind: 'startHook', container, id: current.id });
}

/** Ends a run whose liveness or startup probe or postStart hook failed; its exit then leads to the next run. */
function stopUnhealthy(step: PlanDraft, view: ContainerView): void {
  const { facts, pod } = step;
  const run = view.current;
  if (run?.state.state !== 'running' || exitOf(view) !== undefined) return;
  const podGrace = graceSecondsOf(pod);
  const hook = facts.postStart.get(run.id);
  if (typeof hook === 'object') {
    stopRun(step, { id: run.id, name: view.name, graceSeconds: podGrace, message: 'FailedPostStartHook' });
    return;
  }
  const failure = facts.probes.get(run.id)?.failure;
  if (failure === undefined) return;
  const probe = failure.probe === 'liveness' ? view.spec.livenessProbe : view.spec.startupProbe;
  const graceSeconds = probe?.terminationGracePeriodSeconds ?? podGrace;
  const after = view.kind === 'main' || view.kind === 'sidecar' ? 'will be restarted' : 'will be stopped';
  const message = `Container ${view.name} failed ${failure.probe} probe, ${after}`;
  stopRun(step, { id: run.id, name: view.name, graceSeconds, message });
}
