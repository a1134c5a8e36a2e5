import { backoffMs, type Backoff } from '#base/backoff.ts';
import { describeError, PodwrightError } from '#base/errors.ts';
import type { PodObservation } from '#agent/runtime/runtime.ts';
import { allocationOf, decideResize } from './allocation.ts';
import type { ApplyContext } from './apply-context.ts';
import { viewContainers } from './container-view.ts';
import { isEnding } from './plan.ts';
import type { Action } from './pod-input.ts';
import type { PodMemory } from './pod-memory.ts';
import type { KubeletPorts } from './ports.ts';
import { isResizing, type ResizeStep } from './resize.ts';

const retryBackoff: Backoff = { initialMs: 2000, factor: 2, maxMs: 60_000 };

/** Gives the pod what its spec asks for now, if the node has it; otherwise keeps why it waits. */
export function allocate(memory: PodMemory, ports: KubeletPorts): void {
  const { desired, resize, uid } = memory;
  const { pod } = desired;
  if (isEnding(desired) || memory.rejection !== undefined) return;
  const decision = decideResize(pod, resize.allocated, { others: ports.neighbours(uid), node: ports.node });
  if (decision === 'same') {
    resize.pending = undefined;
  } else if (decision === 'give') {
    resize.allocated = allocationOf(pod);
    resize.generation = pod.metadata?.generation;
    resize.pending = undefined;
    resize.failure = undefined;
    resize.isUnderWay = true;
    resize.isAnnounced = true;
    memory.areVolumesStale = true; // The downward API tells of resources.
    ports.events.normal(pod, 'ResizeStarted', 'Pod resize started');
  } else {
    if (resize.pending?.message !== decision.message)
      ports.events.warning(
        pod,
        `Resize${decision.reason}`,
        `Pod resize ${decision.reason}: ${decision.message}`,
      );
    resize.pending = decision;
  }
}

/** Carries out the writes of a resize. What fails is shown in the pod's status and tried again later. */
export async function resizePod(
  { steps }: Extract<Action, { kind: 'resize' }>,
  { memory, ports }: ApplyContext,
): Promise<void> {
  const { resize, uid } = memory;
  const { allocated } = resize;
  try {
    await checkMemory(steps, uid, ports);
    for (const { container, resources } of steps) {
      if (container === undefined) {
        await ports.runtime.updateSandboxResources(uid, resources);
        resize.podCgroup = resources;
      } else {
        await ports.runtime.updateContainerResources(uid, container.id, resources);
        resize.actuated.set(container.id, allocated.containers.get(container.name) ?? {});
      }
    }
    resize.failure = undefined;
  } catch (error) {
    const failures = (resize.failure?.failures ?? 0) + 1;
    const message = describeError(error);
    if (resize.failure?.message !== message)
      ports.events.warning(memory.desired.pod, 'ResizeError', `Pod resize error: ${message}`);
    const retryAtMs = ports.clock.now() + backoffMs(retryBackoff, failures);
    resize.failure = { message, failures, retryAtMs };
  }
}

/** A limit is lowered only to above what is in use: the kernel would reclaim, or kill. @throws E_BUSY */
async function checkMemory(
  steps: readonly ResizeStep[],
  uid: string,
  { runtime }: KubeletPorts,
): Promise<void> {
  const lowering = steps.filter((step) => step.lowersMemory);
  if (lowering.length === 0) return;
  const stats = await runtime.stats(uid);
  for (const { container, resources } of lowering) {
    const used =
      container === undefined
        ? stats?.memoryBytes
        : stats?.containers.find(({ id }) => id === container.id)?.memoryBytes;
    const limit = resources.memoryMaxBytes ?? Infinity;
    if (used === undefined || used < limit) continue;
    const whose = container === undefined ? 'pod' : `container "${container.name}"`;
    throw new PodwrightError(
      'E_BUSY',
      `attempting to set ${whose} memory limit (${limit}) below current usage (${used})`,
    );
  }
}

/** Tells when all that was given is in place. */
export function noteResized(memory: PodMemory, actual: PodObservation, ports: KubeletPorts): void {
  const { desired, resize } = memory;
  if (!resize.isUnderWay || isEnding(desired)) return;
  if (isResizing(desired.pod, viewContainers(desired.pod, actual), resize)) return;
  resize.isUnderWay = false;
  if (!resize.isAnnounced) return;
  resize.isAnnounced = false;
  ports.events.normal(desired.pod, 'ResizeCompleted', 'Pod resize completed');
}
