/** CPUs for containers alone: what is free, where some would lie, and which are taken (static CPU manager policy). Pure. */
import { countOf, maskOf, subsetsOf, type Hint, type NodeMask } from './hints.ts';
import type { Assigned, AssignInput } from './assignment.ts';
import { takeCpus, threadsPerCore } from './take-cpus.ts';
import type { Refusal } from '#agent/kubelet/admit/refusal.ts';

/** Of no container alone, and not reserved. */
export function freeCpus({ topology, rules }: AssignInput, assigned: Assigned): ReadonlySet<number> {
  const taken = takenCpus(assigned);
  const free = topology.cpus.filter(({ id }) => !taken.has(id) && !rules.reservedCpus.includes(id));
  return new Set(free.map(({ id }) => id));
}

/** Those that all other containers run on. */
export function sharedCpus({ topology, rules }: AssignInput, assigned: Assigned): readonly number[] {
  const taken = takenCpus(assigned);
  return topology.cpus
    .filter(({ id }) => !taken.has(id) && !(rules.isStrict && rules.reservedCpus.includes(id)))
    .map(({ id }) => id);
}

export function takenCpus(assigned: Assigned): ReadonlySet<number> {
  return new Set([...assigned.values()].flatMap((pod) => [...pod.values()].flatMap(({ cpus }) => cpus)));
}

/** The nodes by which so many CPUs could be had. */
export function cpuHints(input: AssignInput, free: ReadonlySet<number>, count: number): readonly Hint[] {
  const { cpus, nodes } = input.topology;
  const within = (mask: NodeMask, of: ReadonlySet<number> | undefined): number =>
    cpus.filter(({ id, node }) => (mask & (1 << node)) !== 0 && of?.has(id) !== false).length;
  const masks = subsetsOf(nodes.map(({ id }) => id));
  const least = Math.min(...masks.filter((mask) => within(mask, undefined) >= count).map(countOf));
  return masks
    .filter((mask) => within(mask, free) >= count)
    .map((mask) => ({ nodes: mask, isPreferred: countOf(mask) === least }));
}

/** full-pcpus-only takes cores as a whole, or nothing (kubelet's SMTAlignmentError). */
export function smtRefusal(
  input: AssignInput,
  free: ReadonlySet<number>,
  count: number,
): Refusal | undefined {
  const { topology, rules } = input;
  if (!rules.take.isWholeCores || count === 0) return undefined;
  const threads = threadsPerCore(topology);
  if (count % threads !== 0) {
    const message = `SMT Alignment Error: requested ${count} cpus not multiple cpus per core = ${threads}`;
    return { reason: 'SMTAlignmentError', message };
  }
  const whole = [...Map.groupBy(topology.cpus, ({ core }) => core).values()].filter((core) =>
    core.every(({ id }) => free.has(id)),
  );
  const available = whole.flat().length;
  if (available >= count) return undefined;
  const message = `SMT Alignment Error: not enough free physical CPUs: available physical CPUs = ${available}, requested CPUs = ${count}, CPUs per core = ${threads}`;
  return { reason: 'SMTAlignmentError', message };
}

/** On the nodes of the hint as far as they have them, then anywhere. */
export function chooseCpus(
  { topology, rules }: AssignInput,
  free: ReadonlySet<number>,
  count: number,
  near: NodeMask | undefined,
): readonly number[] | undefined {
  if (free.size < count) return undefined;
  const nodeOf = new Map(topology.cpus.map(({ id, node }) => [id, node]));
  const isNear = (id: number): boolean => near === undefined || (near & (1 << (nodeOf.get(id) ?? 0))) !== 0;
  const close = new Set([...free].filter(isNear));
  const first = Math.min(close.size, count);
  const chosen = takeCpus(topology, close, first, rules.take) ?? [];
  const rest = new Set([...free].filter((id) => !chosen.includes(id)));
  const others = takeCpus(topology, rest, count - first, rules.take);
  return others === undefined ? undefined : [...chosen, ...others].toSorted((a, b) => a - b);
}

/** The nodes of CPUs. */
export function nodesOfCpus({ topology }: AssignInput, cpus: readonly number[]): NodeMask {
  return maskOf(topology.cpus.filter(({ id }) => cpus.includes(id)).map(({ node }) => node));
}
