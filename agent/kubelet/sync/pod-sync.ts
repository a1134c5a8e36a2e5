import { done, type KeyOutcome } from '#base/keyed-queue.ts';
import type { Pod } from '#api/generated/objects.ts';
import type { PodObservation } from '#agent/runtime/runtime.ts';
import { apply } from '#agent/kubelet/apply/apply.ts';
import { gatherSandbox, gatherStart, renderInput } from './gather.ts';
import { isEnding, plan } from './plan.ts';
import { containersOf, emptyObservation, type Intent, type KnownFacts } from './pod-input.ts';
import type { PodMemory } from './pod-memory.ts';
import type { KubeletPorts } from '#agent/kubelet/ports.ts';
import { viewContainers } from './container-view.ts';
import { imagesOfPod, isImageName } from './image-needs.ts';
import type { Prober } from '#agent/kubelet/probe/prober.ts';
import { renderAction, type ReadIntent } from '#agent/kubelet/render/render-action.ts';
import type { RenderInput } from '#agent/kubelet/render/render-input.ts';
import { admitDevices } from './admit-devices.ts';
import { admitPlace } from './admit-place.ts';
import { allocate, noteResized } from '#agent/kubelet/apply/resize-pod.ts';
import { status } from '#agent/kubelet/status/status.ts';
import type { StatusWriter } from '#agent/kubelet/status/status-writer.ts';

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
    await admitPlace(memory, ports);
    const retryMs = await admitDevices(memory, ports, signal);
    if (retryMs !== undefined) {
      report(memory, ports);
      return { kind: 'again', afterMs: retryMs };
    }
    allocate(memory, ports);
    for (let round = 0; round < roundsMax; round++) {
      const actual = observe(memory, ports);
      memory.report({ kind: 'runsSeen', runs: actual.containers });
      updateProbes(memory, actual, ports);
      abortPulls(memory);
      const now = ports.clock.now();
      const facts = known(memory, ports);
      const next = plan(memory.desired, actual, now, facts);
      memory.teller.tellRuns({ desired: memory.desired, actual, now, facts }, ports);
      if (next.intents.length === 0) {
        noteResized(memory, actual, ports);
        report(memory, ports);
        return next.wakeAtMs === undefined ? done : { kind: 'again', afterMs: next.wakeAtMs - now };
      }
      // What the end of a pod looks like must be known before its records go.
      if (isEnding(memory.desired)) report(memory, ports);
      const input = renderInput(memory, actual, ports);
      const results = await Promise.allSettled(
        next.intents.map((intent) => carryOut(intent, { memory, input, ports }, signal)),
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
  if (memory.facts.loggedAttempts !== undefined) return;
  const { pod } = memory.desired;
  const dueHooks = await ports.disk.dueHooks(pod, observe(memory, ports));
  const loggedAttempts = await ports.disk.loggedAttempts(pod);
  memory.report({ kind: 'recalled', dueHooks, loggedAttempts });
}

interface CarryOut {
  readonly memory: PodMemory;
  readonly input: RenderInput;
  readonly ports: SyncPorts;
}

/**
 * Reads, renders, acts; what it came to is a fact as soon as it is there. One line per decision with consequence, at debug: where
 * the time of a pod goes.
 */
async function carryOut(
  intent: Intent,
  { memory, input, ports }: CarryOut,
  signal: AbortSignal,
): Promise<void> {
  const { clock, logger } = ports;
  const startMs = clock.monotonic();
  const read = await readFor(intent, input, { ports, signal });
  const { outcome, beside } = await apply(renderAction(read, input), { memory, ports }, signal);
  memory.report(outcome);
  beside?.();
  const ms = Math.round((clock.monotonic() - startMs) * 100) / 100;
  logger.debug({ uid: memory.uid, op: intent.kind, outcome: outcome.kind, ms }, 'pod action');
}

async function readFor(
  intent: Intent,
  input: RenderInput,
  how: { readonly ports: SyncPorts; readonly signal: AbortSignal },
): Promise<ReadIntent> {
  switch (intent.kind) {
    case 'startContainer':
      return { ...intent, reading: await gatherStart(intent, input, how) };
    case 'runSandbox':
      return { ...intent, reading: await gatherSandbox(input, how) };
    default:
      return intent;
  }
}

/** Whether nothing is left of a pod that the API no longer has. */
export function isForgotten(memory: PodMemory, ports: SyncPorts): boolean {
  const actual = observe(memory, ports);
  if (memory.desired.isPresent || actual.sandbox !== undefined || actual.containers.length > 0) return false;
  return memory.facts.isDeleted || memory.facts.volumes.state === 'removed';
}

function observe(memory: PodMemory, { runtime }: SyncPorts): PodObservation {
  return runtime.observe(memory.uid) ?? emptyObservation(memory.desired.pod);
}

function known(memory: PodMemory, ports: SyncPorts): KnownFacts {
  const { node, runtime, statusWriter, pulled } = ports;
  const { pod } = memory.desired;
  const named = [...imagesOfPod(pod, containersOf(pod))];
  const images = named.flatMap(([key, image]): [string, string, boolean][] => {
    const id = isImageName(image) ? runtime.images.resolve(image)?.id : undefined;
    return id === undefined ? [] : [[key, id, pulled?.isOpen(image, id) ?? true]];
  });
  const imagesThat = (are: boolean): ReadonlyMap<string, string> =>
    new Map(images.flatMap(([name, id, isOpen]) => (isOpen === are ? [[name, id]] : [])));
  return {
    ...memory.facts,
    nodeName: node.name,
    hostIps: node.ips,
    presentImages: imagesThat(true),
    lockedImages: imagesThat(false),
    deviceHealths: healthsOf(pod, ports),
    isStatusCurrent: statusWriter.isCurrent(memory.uid),
    restartBackoffMaxMs: node.restartBackoffMaxMs,
  };
}

/** Of devices of plugins, then of claims. */
function healthsOf(
  pod: Pod,
  { devices, claimHealths }: Pick<SyncPorts, 'devices' | 'claimHealths'>,
): KnownFacts['deviceHealths'] {
  const own = devices?.healthOf(pod.metadata?.uid ?? '');
  const ofClaims = claimHealths?.healthOf(pod);
  if (own === undefined || ofClaims === undefined || own.size === 0) return ofClaims ?? own;
  const names = new Set([...own.keys(), ...ofClaims.keys()]);
  return new Map([...names].map((name) => [name, [...(own.get(name) ?? []), ...(ofClaims.get(name) ?? [])]]));
}

function report(memory: PodMemory, ports: SyncPorts): void {
  const { desired, facts, uid } = memory;
  if (!desired.isPresent || facts.isDeleted || facts.hasFinalStatus) return;
  const actual = observe(memory, ports);
  const current = status(desired, actual, ports.clock.now(), known(memory, ports));
  ports.statusWriter.set(uid, current);
  memory.teller.tellImages(desired.pod, current, ports.events);
  if (isEnding(desired) && actual.containers.every((c) => c.state.state === 'exited'))
    memory.report({ kind: 'finalStatusTold' });
}

function updateProbes(memory: PodMemory, actual: PodObservation, { prober, node }: SyncPorts): void {
  const { pod } = memory.desired;
  const running = new Set<string>();
  for (const view of viewContainers(pod, actual)) {
    const run = view.current;
    if (run?.state.state !== 'running') continue;
    const hook = memory.facts.postStart.get(run.id);
    running.add(run.id);
    if (memory.facts.stopping.has(run.id) || (hook !== undefined && hook !== 'done')) continue;
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
  for (const abort of memory.beside.pulls.values())
    abort.abort(new DOMException('pod deleted', 'AbortError'));
}
