/** Whether a node has what a pod asks for, beside its others. Pure. */
import type { Pod } from '#api/generated/objects.ts';
import { podRequestNumbers } from '#api/pod/requests.ts';
import type { NodeFacts } from '#agent/kubelet/node-facts.ts';
import type { Refusal } from './refusal.ts';

/** Those of a node are added up anew for each pod that comes. */
const known = new WeakMap<Pod, ReadonlyMap<string, number>>();

function numbersOf(pod: Pod): ReadonlyMap<string, number> {
  const numbers = known.get(pod) ?? podRequestNumbers(pod);
  known.set(pod, numbers);
  return numbers;
}

/** `OutOfpods`, `OutOfcpu` and their like. */
export function shortage(pod: Pod, active: readonly Pod[], node: NodeFacts): Refusal | undefined {
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
  // Extended resources are the scheduler's and the device plugins'; huge pages are those that the kernel has set aside.
  const hugePages = [...wanted.keys()].filter((name) => name.startsWith('hugepages-'));
  const capacities = {
    cpu: cpuMilli,
    memory: memoryBytes,
    'ephemeral-storage': storageBytes,
    ...Object.fromEntries(hugePages.map((name) => [name, node.hugePages?.get(name) ?? 0])),
  };
  for (const [name, capacity] of Object.entries(capacities)) {
    const requested = wanted.get(name) ?? 0;
    if (requested === 0 || only?.has(name) === false) continue;
    const used = active.reduce((sum, other) => sum + (numbersOf(other).get(name) ?? 0), 0);
    if (used + requested <= capacity) continue;
    const message = `Node didn't have enough resource: ${name}, requested: ${requested}, used: ${used}, capacity: ${capacity}`;
    return { reason: `OutOf${name}`, message };
  }
  return undefined;
}
