/** How a pod's cgroups come from what they are to what the pod was given (KEP-1287). Pure. */
import type { Pod, ResourceRequirements } from '#api/generated/objects.ts';
import type { CgroupResources } from '#agent/runtime/runtime.ts';
import { changedResources, withAllocation } from '#agent/kubelet/allocation.ts';
import type { ContainerView } from '#agent/kubelet/sync/container-view.ts';
import type { ResizeFact, ResizeStep } from '#agent/kubelet/sync/pod-input.ts';
import { cgroupOf, podCgroupResources, withPodLimits } from './resources.ts';

export interface ResizePlan {
  readonly steps: readonly ResizeStep[];
  /** Containers whose resizePolicy asks for a restart. */
  readonly restarts: readonly ContainerView[];
}

/**
 * The writes in an order in which the pod's limits never hold a container below its own: the pod grows, containers shrink,
 * containers grow, the pod shrinks. It does not shrink while a container still has to be restarted.
 */
export function planResize(pod: Pod, views: readonly ContainerView[], fact: ResizeFact): ResizePlan {
  if (!fact.isUnderWay) return { steps: [], restarts: [] };
  const changed = views.filter((view) => resizeOf(view, fact).length > 0);
  const restarts = changed.filter((view) => needsRestart(view, resizeOf(view, fact)));
  const containerSteps = changed
    .filter((view) => !restarts.includes(view))
    .map((view): ResizeStep => {
      const [was, becomes] = [actuatedOf(view, fact), givenTo(view.name, fact)];
      return {
        container: { name: view.name, id: view.current?.id ?? '' },
        resources: cgroupOf(becomes),
        lowersMemory: isLower(cgroupOf(was), cgroupOf(becomes)),
      };
    });
  const target = podCgroupResources(withAllocation(pod, fact.allocated), undefined);
  const most = largerOf(fact.podCgroup, target);
  const last = restarts.length > 0 ? most : target;
  const steps: readonly ResizeStep[] = [
    ...(isSameCgroup(most, fact.podCgroup) ? [] : [podStep(most, false)]),
    ...containerSteps.filter((step) => step.lowersMemory),
    ...containerSteps.filter((step) => !step.lowersMemory),
    ...(isSameCgroup(last, most) ? [] : [podStep(last, isLower(most, last))]),
  ];
  return { steps, restarts };
}

/** Whether something of what was given is not in the cgroups yet. */
export function isResizing(pod: Pod, views: readonly ContainerView[], fact: ResizeFact): boolean {
  const { steps, restarts } = planResize(pod, views, fact);
  return steps.length > 0 || restarts.length > 0;
}

/** What the run of a container has, limits of its pod included; of one that does not run, what its next run will have. */
export function actuatedOf(view: ContainerView, fact: ResizeFact): ResourceRequirements {
  const { current, reported } = view;
  if (current?.state.state !== 'running') return givenTo(view.name, fact);
  const isReported = reported?.containerID?.endsWith(current.id) === true;
  const told = isReported ? reported.resources : undefined;
  return (
    fact.actuated.get(current.id) ??
    withPodLimits(told ?? fact.allocated.containers.get(view.name), fact.reportedWhole)
  );
}

function givenTo(name: string, { allocated }: ResizeFact): ResourceRequirements {
  return withPodLimits(allocated.containers.get(name), allocated.pod);
}

function resizeOf(view: ContainerView, fact: ResizeFact): ReturnType<typeof changedResources> {
  // Others have ended before anybody could resize them, or have no resources.
  if (view.kind !== 'main' && view.kind !== 'sidecar') return [];
  return changedResources(actuatedOf(view, fact), givenTo(view.name, fact));
}

function needsRestart({ spec }: ContainerView, changed: readonly string[]): boolean {
  return (spec.resizePolicy ?? []).some(
    ({ resourceName, restartPolicy }) =>
      restartPolicy === 'RestartContainer' && changed.includes(resourceName),
  );
}

function podStep(resources: CgroupResources, lowersMemory: boolean): ResizeStep {
  return { container: undefined, resources, lowersMemory };
}

/** An absent limit is the largest. */
function largerOf(a: CgroupResources, b: CgroupResources): CgroupResources {
  const limit = (x: number | undefined, y: number | undefined): number | undefined =>
    x === undefined || y === undefined ? undefined : Math.max(x, y);
  return {
    cpuWeight: Math.max(a.cpuWeight ?? 1, b.cpuWeight ?? 1),
    cpuQuotaUs: limit(a.cpuQuotaUs, b.cpuQuotaUs),
    cpuPeriodUs: a.cpuPeriodUs ?? b.cpuPeriodUs,
    memoryMaxBytes: limit(a.memoryMaxBytes, b.memoryMaxBytes),
  };
}

function isSameCgroup(a: CgroupResources, b: CgroupResources): boolean {
  return (
    a.cpuWeight === b.cpuWeight && a.cpuQuotaUs === b.cpuQuotaUs && a.memoryMaxBytes === b.memoryMaxBytes
  );
}

function isLower(was: CgroupResources, becomes: CgroupResources): boolean {
  return (becomes.memoryMaxBytes ?? Infinity) < (was.memoryMaxBytes ?? Infinity);
}
