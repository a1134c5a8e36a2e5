import { done, type KeyOutcome } from '#base/keyed-queue.ts';
import type { PodStatus } from '#api/objects.ts';
import type { PodObservation } from '#agent/runtime/runtime.ts';
import type { ApplyContext } from './apply-context.ts';
import { apply } from './apply.ts';
import { findLoggedAttempts } from './logged-attempts.ts';
import { isEnding, plan } from './plan.ts';
import { emptyObservation, type Action, type PodFacts } from './pod-input.ts';
import { tell } from './pod-events.ts';
import { factsOf, noteRuns, type PodMemory } from './pod-memory.ts';
import type { KubeletPorts } from './ports.ts';
import { isImageName, isRestarted, restartWait, viewContainers } from './container-view.ts';
import { recallDueHooks } from './post-start.ts';
import type { Prober } from './prober.ts';
import { allocate, noteResized } from './resize-pod.ts';
import { status } from './status.ts';
import type { StatusWriter } from './status-writer.ts';

export interface SyncPorts extends KubeletPorts {
  readonly prober: Prober;
  readonly statusWriter: StatusWriter;
}

/** A pod that is not at rest after so many rounds is looked at again in turn with the others. */
const roundsMax = 32;

/**
 * One look at a pod: plan, apply, plan again, until nothing is left to do now; then the status. Whatever takes long
 * (pulls, hooks, grace periods) runs beside it and comes back as a fact.
 */
export async function syncPod(memory: PodMemory, ports: SyncPorts, signal: AbortSignal): Promise<KeyOutcome> {
  try {
    await recall(memory, ports);
    allocate(memory, ports);
    for (let round = 0; round < roundsMax; round++) {
      const actual = observe(memory, ports);
      noteRuns(memory, actual);
      updateProbes(memory, actual, ports);
      abortPulls(memory);
      const now = ports.clock.now();
      const facts = gather(memory, ports);
      const next = plan(memory.desired, actual, now, facts);
      tellEnds(memory, actual, facts, ports);
      tellBackoff(memory, actual, facts, ports);
      if (next.actions.length === 0) {
        noteResized(memory, actual, ports);
        report(memory, ports);
        return next.wakeAtMs === undefined ? done : { kind: 'again', afterMs: next.wakeAtMs - now };
      }
      // What the end of a pod looks like must be known before its records go.
      if (isEnding(memory.desired)) report(memory, ports);
      const results = await Promise.allSettled(
        next.actions.map((action) => applyTimed(action, { memory, actual, ports }, signal)),
      );
      for (const result of results) if (result.status === 'rejected') throw result.reason;
    }
    return { kind: 'again', afterMs: 0 };
  } finally {
    ports.events.release();
  }
}

/** Once, before this agent does anything for the pod: what earlier agents left on disk. */
async function recall(memory: PodMemory, ports: SyncPorts): Promise<void> {
  if (memory.loggedAttempts !== undefined) return;
  await recallDueHooks(memory, observe(memory, ports), ports);
  memory.loggedAttempts = await findLoggedAttempts(memory.desired.pod, ports.directories);
}

/** One line per decision with consequence, at debug: where the time of a pod goes. */
async function applyTimed(action: Action, context: ApplyContext, signal: AbortSignal): Promise<void> {
  const { clock, logger } = context.ports;
  const startMs = clock.monotonic();
  await apply(action, context, signal);
  const ms = Math.round((clock.monotonic() - startMs) * 100) / 100;
  logger.debug({ uid: context.memory.uid, op: action.kind, ms }, 'pod action');
}

/** Whether nothing is left of a pod that the API no longer has. */
export function isForgotten(memory: PodMemory, ports: SyncPorts): boolean {
  const actual = observe(memory, ports);
  if (memory.desired.isPresent || actual.sandbox !== undefined || actual.containers.length > 0) return false;
  return memory.isDeleted || memory.volumes.state === 'removed';
}

function observe(memory: PodMemory, { runtime }: SyncPorts): PodObservation {
  return runtime.observe(memory.uid) ?? emptyObservation(memory.desired.pod);
}

function gather(memory: PodMemory, ports: SyncPorts): PodFacts {
  const { node, runtime, prober, statusWriter } = ports;
  return factsOf(memory, {
    nodeName: node.name,
    hostIps: node.ips,
    imageIdOf: (image) => (isImageName(image) ? runtime.images.resolve(image)?.id : undefined),
    probes: prober.facts(memory.uid),
    isStatusCurrent: statusWriter.isCurrent(memory.uid),
  });
}

function report(memory: PodMemory, ports: SyncPorts): void {
  if (!memory.desired.isPresent || memory.isDeleted || memory.hasFinalStatus) return;
  const actual = observe(memory, ports);
  const current = status(memory.desired, actual, ports.clock.now(), gather(memory, ports));
  ports.statusWriter.set(memory.uid, current);
  tellImages(memory, current, ports);
  memory.hasFinalStatus =
    isEnding(memory.desired) && actual.containers.every((c) => c.state.state === 'exited');
}

function updateProbes(memory: PodMemory, actual: PodObservation, { prober, node }: SyncPorts): void {
  const { pod } = memory.desired;
  const running = new Set<string>();
  for (const view of viewContainers(pod, actual)) {
    const run = view.current;
    if (run?.state.state !== 'running') continue;
    const hook = memory.postStart.get(run.id);
    running.add(run.id);
    if (memory.stopping.has(run.id) || (hook !== undefined && hook !== 'done')) continue;
    const ips = pod.spec?.hostNetwork === true ? node.ips : (actual.sandbox?.ips ?? []);
    const target = { pod, container: view.spec, containerId: run.id, podIp: ips[0] ?? '127.0.0.1' };
    const isSeen = view.reported?.containerID?.endsWith(run.id) === true;
    const seed = isSeen
      ? { started: view.reported?.started === true, ready: view.reported?.ready === true }
      : undefined;
    prober.watch(target, run.state.startedAtMs, seed);
  }
  prober.keepOnly(memory.uid, running);
  // Liveness of what ends anyway only disturbs its end; who still answers is told by its readiness (EndpointSlice, serving).
  if (isEnding(memory.desired)) prober.endKilling(memory.uid);
}

/** A pod that ends needs no images. */
function abortPulls(memory: PodMemory): void {
  if (!isEnding(memory.desired)) return;
  for (const abort of memory.pullAborts.values()) abort.abort(new DOMException('pod deleted', 'AbortError'));
}

/** Each run that failed is a line of the node's log, with when the next one is due. */
function tellEnds(
  memory: PodMemory,
  actual: PodObservation,
  facts: PodFacts,
  { logger, clock }: SyncPorts,
): void {
  const { pod } = memory.desired;
  for (const view of viewContainers(pod, actual)) {
    const run = view.current;
    if (run?.state.state !== 'exited' || memory.endsTold.get(view.name) === run.id) continue;
    memory.endsTold.set(view.name, run.id);
    const { exitCode, signal, reason } = run.state;
    // One that could not be started was told of; one that was stopped is no failure.
    const isStopped = isEnding(memory.desired) || memory.resize.restarts.has(run.id);
    if (exitCode === 0 || reason === 'StartError' || isStopped) continue;
    const isAgain = isRestarted(view, pod, facts);
    const retryMs = isAgain
      ? Math.max(0, Math.round(restartWait(view, facts).dueMs - clock.now()))
      : undefined;
    const failure = { reason, container: view.name, exitCode, signal, restarts: run.attempt, retryMs };
    tell(logger, pod, { ...failure, isStartedAgain: isAgain });
  }
}

function tellBackoff(memory: PodMemory, actual: PodObservation, facts: PodFacts, ports: SyncPorts): void {
  const { pod } = memory.desired;
  if (isEnding(memory.desired)) return;
  const { namespace = '', name = '', uid = '' } = pod.metadata ?? {};
  for (const view of viewContainers(pod, actual)) {
    const run = view.current;
    if (run?.state.state !== 'exited' || memory.backoffTold.has(run.id)) continue;
    const { ms, dueMs } = restartWait(view, facts);
    if (ms === 0 || ports.clock.now() >= dueMs) continue;
    memory.backoffTold.add(run.id);
    const message = `Back-off restarting failed container ${view.name} in pod ${name}_${namespace}(${uid})`;
    ports.events.warning(pod, 'BackOff', message, { container: view.name, failure: undefined });
  }
}

interface ImageEvent {
  readonly type: 'normal' | 'warning';
  readonly reason: string;
}

/** The event of an image that is not pulled now, by what the container waits for (kubelet/images of 1.36). */
const imageEvents: ReadonlyMap<string, ImageEvent> = new Map([
  ['InvalidImageName', { type: 'warning', reason: 'InspectFailed' }],
  ['ErrImageNeverPull', { type: 'warning', reason: 'ErrImageNeverPull' }],
  ['ImagePullBackOff', { type: 'normal', reason: 'BackOff' }],
]);

function tellImages(memory: PodMemory, current: PodStatus, { events }: SyncPorts): void {
  const { initContainerStatuses = [], containerStatuses = [], ephemeralContainerStatuses = [] } = current;
  for (const { name, image, state } of [
    ...initContainerStatuses,
    ...containerStatuses,
    ...ephemeralContainerStatuses,
  ]) {
    const { reason = '', message = '' } = state?.waiting ?? {};
    const event = imageEvents.get(reason);
    const key = `${name} ${reason} ${image}`;
    if (event === undefined || memory.imagesTold.has(key)) continue;
    memory.imagesTold.add(key);
    events[event.type](memory.desired.pod, event.reason, message, name);
    events.warning(memory.desired.pod, 'Failed', `Error: ${reason}`, { container: name, failure: undefined });
  }
}
