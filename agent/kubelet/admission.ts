import type { Pod } from '#api/objects.ts';
import { conflictsWith, isPortOfNode, podHostPorts, type HostPort } from '#api/pod/host-ports.ts';
import { podRequestNumbers } from '#api/pod/requests.ts';
import { isTerminal } from '#api/pod/state.ts';
import type { NodeFacts } from './ports.ts';
import type { Refusal } from './refusal.ts';
import { sysctlRefusal } from './sysctl-admission.ts';
import { unsupportedIn } from './unsupported.ts';

export interface AdmissionRequest {
  readonly pod: Pod;
  /** The other pods of the node that have not ended. */
  readonly active: readonly Pod[];
  readonly node: NodeFacts;
}

/** Asked in this order; the first refusal is the pod's status. Pure. */
const handlers: readonly ((request: AdmissionRequest) => Refusal | undefined)[] = [
  ({ pod }) => sysctlRefusal(pod),
  ({ pod }) => otherSystem(pod),
  ({ pod, node }) => unsupported(pod, node),
  ({ pod, active }) => portConflict(pod, active),
  ({ pod, active, node }) => shortage(pod, active, node),
];

/**
 * Whether the node takes a new pod. The scheduler has decided the same before, but pods may name their node themselves, and
 * two schedulers may have decided at once.
 */
export function refusalOf(pod: Pod, others: readonly Pod[], node: NodeFacts): Refusal | undefined {
  const active = others.filter((other) => other.metadata?.uid !== pod.metadata?.uid && !isTerminal(other));
  for (const handler of handlers) {
    const refusal = handler({ pod, active, node });
    if (refusal !== undefined) return refusal;
  }
  return undefined;
}

function portConflict(pod: Pod, active: readonly Pod[]): Refusal | undefined {
  const wanted = podHostPorts(pod);
  if (wanted.length === 0) return undefined;
  const taken = active.flatMap(podHostPorts);
  const isTaken = (one: HostPort): boolean =>
    isPortOfNode(one) || taken.some((used) => conflictsWith(one, used));
  if (!wanted.some(isTaken)) return undefined;
  return { reason: 'NodePorts', message: "node(s) didn't have free ports for the requested pod ports" };
}

/** `OutOfpods`, `OutOfcpu` and their like. */
function shortage(pod: Pod, active: readonly Pod[], node: NodeFacts): Refusal | undefined {
  if (active.length >= node.podsMax) {
    const message = `Node didn't have enough resource: pods, requested: 1, used: ${active.length}, capacity: ${node.podsMax}`;
    return { reason: 'OutOfpods', message };
  }
  return resourceShortage(pod, active, node);
}

/** `OutOfcpu` and its like, of the resources named or of all: what others of the node leave is not enough. */
export function resourceShortage(
  pod: Pod,
  active: readonly Pod[],
  node: NodeFacts,
  only?: ReadonlySet<string>,
): Refusal | undefined {
  const { cpuMilli, memoryBytes, storageBytes } = node.allocatable;
  const wanted = podRequestNumbers(pod);
  // Extended resources are the scheduler's and the device plugins'; huge pages are the kernel's, and none are set aside.
  const hugePages = [...wanted.keys()].filter((name) => name.startsWith('hugepages-'));
  const capacities = {
    cpu: cpuMilli,
    memory: memoryBytes,
    'ephemeral-storage': storageBytes,
    ...Object.fromEntries(hugePages.map((name) => [name, 0])),
  };
  for (const [name, capacity] of Object.entries(capacities)) {
    const requested = wanted.get(name) ?? 0;
    if (requested === 0 || only?.has(name) === false) continue;
    const used = active.reduce((sum, other) => sum + (podRequestNumbers(other).get(name) ?? 0), 0);
    if (used + requested <= capacity) continue;
    const message = `Node didn't have enough resource: ${name}, requested: ${requested}, used: ${used}, capacity: ${capacity}`;
    return { reason: `OutOf${name}`, message };
  }
  return undefined;
}

function otherSystem({ spec }: Pod): Refusal | undefined {
  if (spec?.os?.name === undefined || spec.os.name === 'linux') return undefined;
  const message = `Failed to admit pod as the OS field doesn't match node OS`;
  return { reason: 'PodOSNotSupported', message };
}

/** Nothing that is asked for is silently left out. */
function unsupported(pod: Pod, node: NodeFacts): Refusal | undefined {
  const missing = unsupportedIn(pod, node);
  if (missing === undefined) return undefined;
  return { reason: 'UnexpectedAdmissionError', message: `${missing} is not supported by this node` };
}
