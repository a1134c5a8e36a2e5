/** What the node has given a pod of cpu and memory, beside what its spec asks for (KEP-1287). Pure. */
import { equalJson } from '#api/wire/json.ts';
import type { Container, Pod, ResourceRequirements } from '#api/generated/objects.ts';
import { isTerminal } from '#api/pod/state.ts';
import { qosClass } from '#api/pod/qos.ts';
import { podRequestNumbers } from '#api/pod/requests.ts';
import type { NodeFacts } from './node-facts.ts';
import { resourceShortage } from './admit/resources.ts';
import { amountsOf } from './render/resources.ts';

/** Requests and limits of the pod as a whole, and of its containers by name. */
export interface Allocation {
  readonly pod: ResourceRequirements | undefined;
  readonly containers: ReadonlyMap<string, ResourceRequirements>;
}

/** All that the spec asks for. */
export function allocationOf({ spec }: Pod): Allocation {
  const all = [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])];
  return {
    pod: spec?.resources,
    containers: new Map(all.map(({ name, resources }) => [name, resources ?? {}])),
  };
}

/**
 * What an earlier agent gave, as the status tells: a resize that came while no agent ran is decided on like any other. Limits
 * are known only as they were set; the requests that were given are said beside them.
 */
export function reportedAllocation(pod: Pod): Allocation {
  const {
    initContainerStatuses = [],
    containerStatuses = [],
    resources,
    allocatedResources,
  } = pod.status ?? {};
  const asked = allocationOf(pod);
  const known = new Map(asked.containers);
  for (const { name, resources: set, allocatedResources: given } of [
    ...initContainerStatuses,
    ...containerStatuses,
  ]) {
    if (set !== undefined && known.has(name))
      known.set(name, { ...set, ...(given === undefined ? {} : { requests: given }) });
  }
  const whole = resources === undefined ? undefined : { ...resources, requests: allocatedResources ?? {} };
  return { pod: reportedWhole(asked.pod, whole), containers: known };
}

/** The status has the sums of containers, too, of what the pod does not ask for itself. */
function reportedWhole(
  asked: ResourceRequirements | undefined,
  told: ResourceRequirements | undefined,
): ResourceRequirements | undefined {
  if (asked === undefined || told === undefined) return asked;
  const only = (field: 'requests' | 'limits'): ResourceRequirements => {
    if (asked[field] === undefined) return {};
    const names = Object.keys(asked[field]);
    return {
      [field]: Object.fromEntries(Object.entries(told[field] ?? {}).filter(([name]) => names.includes(name))),
    };
  };
  return { ...only('limits'), ...only('requests') };
}

/** The last answer for a pod: all of a node are asked about at each that comes. */
const answers = new WeakMap<Pod, { readonly given: Allocation; readonly answer: Pod }>();

/** The pod as it would be if its spec asked for what it was given. */
export function withAllocation(pod: Pod, given: Allocation): Pod {
  const known = answers.get(pod);
  if (known?.given === given) return known.answer;
  const answer = applyAllocation(pod, given);
  answers.set(pod, { given, answer });
  return answer;
}

function applyAllocation(pod: Pod, { pod: whole, containers: given }: Allocation): Pod {
  if (pod.spec === undefined) return pod;
  const { resources: _asked, ...spec } = pod.spec;
  const give = (container: Container): Container => {
    const resources = given.get(container.name);
    return resources === undefined ? container : { ...container, resources };
  };
  return {
    ...pod,
    spec: {
      ...spec,
      containers: spec.containers.map(give),
      ...(spec.initContainers === undefined ? {} : { initContainers: spec.initContainers.map(give) }),
      ...(whole === undefined ? {} : { resources: whole }),
    },
  };
}

/** The resources that a resize changes. */
export const resizableResources = ['cpu', 'memory'] as const;
export type ResizableResource = (typeof resizableResources)[number];

/** Which of cpu and memory differ, by amount rather than by how it is written. */
export function changedResources(
  a: ResourceRequirements | undefined,
  b: ResourceRequirements | undefined,
): readonly ResizableResource[] {
  if (equalJson(a, b)) return []; // Nearly always, and much cheaper than amounts.
  const [requests, limits] = [amountsOf(a?.requests), amountsOf(a?.limits)];
  const [otherRequests, otherLimits] = [amountsOf(b?.requests), amountsOf(b?.limits)];
  return resizableResources.filter((name) => {
    const key = name === 'cpu' ? 'cpuMilli' : 'memoryBytes';
    return requests[key] !== otherRequests[key] || limits[key] !== otherLimits[key];
  });
}

export function isSameAllocation(a: Allocation, b: Allocation): boolean {
  return (
    changedResources(a.pod, b.pod).length === 0 &&
    [...a.containers].every(
      ([name, resources]) => changedResources(resources, b.containers.get(name)).length === 0,
    )
  );
}

/** Why a resize waits: for room on the node, or for ever. Reasons of the condition PodResizePending. */
export interface PendingResize {
  readonly reason: 'Deferred' | 'Infeasible';
  readonly message: string;
}

/**
 * Whether the node gives the pod what its spec asks for now: 'same' when it has that already. What shrinks is always given.
 * `others` are the node's other pods, with what they were given; asked for only where a pod grows.
 */
export function decideResize(
  pod: Pod,
  given: Allocation,
  { others, node }: { readonly others: () => readonly Pod[]; readonly node: NodeFacts },
): 'same' | 'give' | PendingResize {
  if (isSameAllocation(allocationOf(pod), given)) return 'same';
  const { resizeProblem } = node;
  if (resizeProblem !== undefined && qosClass(pod) === 'Guaranteed')
    return { reason: 'Infeasible', message: resizeProblem };
  const swapProblem = swapProblemOf(pod, given, node);
  if (swapProblem !== undefined) return { reason: 'Infeasible', message: swapProblem };
  const wanted = podRequestNumbers(pod);
  const had = podRequestNumbers(withAllocation(pod, given));
  const grows = new Set(resizableResources.filter((name) => (wanted.get(name) ?? 0) > (had.get(name) ?? 0)));
  const capacities = { cpu: node.allocatable.cpuMilli, memory: node.allocatable.memoryBytes };
  for (const name of grows) {
    const requested = wanted.get(name) ?? 0;
    if (requested <= capacities[name]) continue;
    const message = `Node didn't have enough capacity: ${name}, requested: ${requested}, capacity: ${capacities[name]}`;
    return { reason: 'Infeasible', message };
  }
  const active = others().filter((other) => !isTerminal(other));
  const shortage = resourceShortage(pod, active, node, grows);
  return shortage === undefined ? 'give' : { reason: 'Deferred', message: shortage.message };
}

/** A container's part of the swap is of its request, which is not to change while it runs. */
function swapProblemOf(
  pod: Pod,
  given: Allocation,
  { cgroupRules, swapBytes = 0 }: NodeFacts,
): string | undefined {
  if (cgroupRules?.swap !== 'LimitedSwap' || swapBytes === 0 || qosClass(pod) !== 'Burstable')
    return undefined;
  const changes = [...allocationOf(pod).containers].some(([name, resources]) =>
    changedResources(resources, given.containers.get(name)).includes('memory'),
  );
  return changes ? 'In-place resize of containers with swap is not supported.' : undefined;
}
