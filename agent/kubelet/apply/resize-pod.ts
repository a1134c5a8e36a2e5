import { describeError, PodwrightError } from '#base/errors.ts';
import type { CgroupResources, PodObservation } from '#agent/runtime/runtime.ts';
import type { NodeFacts } from '#agent/kubelet/node-facts.ts';
import { ruledContainer, ruledPod } from '#agent/kubelet/render/cgroup-rules.ts';
import { allocationOf, decideResize } from '#agent/kubelet/allocation.ts';
import type { ActionOf } from '#agent/kubelet/render/action.ts';
import type { ApplyContext } from './apply-context.ts';
import { viewContainers } from '#agent/kubelet/sync/container-view.ts';
import type { ActionOutcome } from '#agent/kubelet/sync/outcome.ts';
import { isEnding } from '#agent/kubelet/sync/plan.ts';
import { allocatedPod, type PodMemory } from '#agent/kubelet/sync/pod-memory.ts';
import type { KubeletPorts } from '#agent/kubelet/ports.ts';
import { isResizing } from '#agent/kubelet/render/resize.ts';
import { containersOf, type ResizeStep } from '#agent/kubelet/sync/pod-input.ts';

/** Gives the pod what its spec asks for now, if the node has it; otherwise keeps why it waits. */
export function allocate(memory: PodMemory, ports: KubeletPorts): void {
  const { desired, uid } = memory;
  const { resize, rejection } = memory.facts;
  const { pod } = desired;
  if (isEnding(desired) || rejection !== undefined) return;
  const decision = decideResize(pod, resize.allocated, {
    others: () => ports.neighbours(uid),
    node: ports.node,
  });
  if (decision === 'same') {
    memory.report({ kind: 'resourcesPending', pending: undefined });
  } else if (decision === 'give') {
    const generation = pod.metadata?.generation;
    memory.report({ kind: 'resourcesGiven', allocated: allocationOf(pod), generation });
    ports.events.normal(pod, 'ResizeStarted', 'Pod resize started');
  } else {
    const { reason, message } = decision;
    if (resize.pending?.message !== message)
      ports.events.warning(pod, `Resize${reason}`, `Pod resize ${reason}: ${message}`);
    memory.report({ kind: 'resourcesPending', pending: decision });
  }
}

/** Carries out the writes of a resize. What fails is shown in the pod's status and tried again later. */
export async function resizePod(
  { steps, toldFailure }: ActionOf<'resize'>,
  { memory, ports }: ApplyContext,
): Promise<ActionOutcome> {
  const { uid } = memory;
  const written: ResizeStep[] = [];
  try {
    await checkMemory(steps, uid, ports);
    for (const step of steps) {
      const { container } = step;
      const resources = ruledStep(step, memory, ports.node);
      if (container === undefined) await ports.runtime.updateSandboxResources(uid, resources);
      else await ports.runtime.updateContainerResources(uid, container.id, resources);
      written.push(step);
    }
    return { kind: 'resized', written, failure: undefined };
  } catch (error) {
    const message = describeError(error);
    if (toldFailure !== message)
      ports.events.warning(memory.desired.pod, 'ResizeError', `Pod resize error: ${message}`);
    return { kind: 'resized', written, failure: { message, atMs: ports.clock.now() } };
  }
}

/** What the node makes of a step, which says what the pod was given. */
function ruledStep(
  { container, resources }: ResizeStep,
  memory: ApplyContext['memory'],
  node: NodeFacts,
): CgroupResources {
  const pod = allocatedPod(memory);
  if (container === undefined) return ruledPod(resources, pod, node);
  const spec = containersOf(pod).find((each) => each.spec.name === container.name)?.spec;
  return spec === undefined ? resources : ruledContainer(resources, { pod, container: spec }, node);
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
  const { desired } = memory;
  const { resize } = memory.facts;
  if (!resize.isUnderWay || isEnding(desired)) return;
  if (isResizing(desired.pod, viewContainers(desired.pod, actual), resize)) return;
  memory.report({ kind: 'resizeCompleted' });
  if (resize.isAnnounced) ports.events.normal(desired.pod, 'ResizeCompleted', 'Pod resize completed');
}
