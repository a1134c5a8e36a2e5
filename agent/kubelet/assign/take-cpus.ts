/** Which CPUs a container gets for itself. Pure. */
import { subsetsOf, nodesIn } from './hints.ts';
import type { Cpu, MachineTopology } from './machine-topology.ts';

export interface TakeRules {
  /** full-pcpus-only: no core is shared with another container. */
  readonly isWholeCores: boolean;
  /** distribute-cpus-across-numa: as many from each node, where one is not enough. */
  readonly isSpread: boolean;
  /** prefer-align-cpus-by-uncorecache */
  readonly isCacheAligned: boolean;
}

type Level = 'socket' | 'node' | 'cache' | 'core';

/** `count` of those that are free; undefined: there are not so many. Whole sockets, nodes and cores first, so that others stay whole. */
export function takeCpus(
  topology: MachineTopology,
  free: ReadonlySet<number>,
  count: number,
  rules: TakeRules,
): readonly number[] | undefined {
  if (free.size < count) return undefined;
  const spread = rules.isSpread ? spreadOverNodes(topology, free, count, rules) : undefined;
  return spread ?? packed(topology, free, count, rules);
}

function packed(
  { cpus }: MachineTopology,
  free: ReadonlySet<number>,
  count: number,
  { isCacheAligned }: TakeRules,
): readonly number[] {
  const taken = new Set<number>();
  const isFree = ({ id }: Cpu): boolean => free.has(id) && !taken.has(id);
  const left = (level: Level, of: number): number =>
    cpus.filter((cpu) => cpu[level] === of && isFree(cpu)).length;
  const rank = (cpu: Cpu): readonly number[] => [
    // Where some are taken already, then where least is left: what is whole elsewhere stays whole.
    cpus.some(({ id, socket }) => socket === cpu.socket && taken.has(id)) ? 0 : 1,
    left('socket', cpu.socket),
    cpus.some(({ id, node }) => node === cpu.node && taken.has(id)) ? 0 : 1,
    left('node', cpu.node),
    cpus.some(({ id, cache }) => isCacheAligned && cache === cpu.cache && taken.has(id)) ? 0 : 1,
    left('core', cpu.core),
    cpu.id,
  ];
  const levels = (
    ['socket', 'node', ...(isCacheAligned ? (['cache'] as const) : []), 'core'] as const
  ).toSorted((a, b) => groupsOf(cpus, a).length - groupsOf(cpus, b).length);
  for (const level of levels) {
    for (;;) {
      const groups = groupsOf(cpus, level).filter(
        (group) => group.every(isFree) && group.length <= count - taken.size,
      );
      const [first] = groups.toSorted((a, b) => compare(rank(leader(a)), rank(leader(b))));
      if (first === undefined) break;
      for (const { id } of first) taken.add(id);
    }
    if (level === 'cache') takeOfOneCache(cpus.filter(isFree), count, taken);
  }
  while (taken.size < count) {
    const [next] = cpus.filter(isFree).toSorted((a, b) => compare(rank(a), rank(b)));
    if (next === undefined) break;
    taken.add(next.id);
  }
  return sorted(taken);
}

/** What is left to take comes of the cache that has least more than that, if one has. */
function takeOfOneCache(free: readonly Cpu[], count: number, taken: Set<number>): void {
  const wanted = count - taken.size;
  const [best] = groupsOf(free, 'cache')
    .filter((group) => wanted > 0 && group.length >= wanted)
    .toSorted((a, b) => a.length - b.length || leader(a).id - leader(b).id);
  const byCore = groupsOf(best ?? [], 'core')
    .toSorted((a, b) => b.length - a.length)
    .flat();
  for (const { id } of byCore.slice(0, wanted)) taken.add(id);
}

/** As many from each of the fewest nodes that have that; undefined: there are none such. */
function spreadOverNodes(
  topology: MachineTopology,
  free: ReadonlySet<number>,
  count: number,
  rules: TakeRules,
): readonly number[] | undefined {
  const threads = rules.isWholeCores ? threadsPerCore(topology) : 1;
  const freeOf = (node: number): ReadonlySet<number> =>
    new Set(topology.cpus.filter((cpu) => cpu.node === node && free.has(cpu.id)).map(({ id }) => id));
  for (const mask of subsetsOf(topology.nodes.map(({ id }) => id))) {
    const nodes = nodesIn(mask);
    const each = Math.floor(count / nodes.length / threads) * threads;
    let rest = count - each * nodes.length;
    const shares = nodes.map((node) => {
      const own = freeOf(node);
      const more = Math.min(rest, threads);
      const share = own.size >= each + more ? each + more : each;
      rest -= share - each;
      return { own, share };
    });
    if (rest > 0 || shares.some(({ own, share }) => own.size < share)) continue;
    return sorted(shares.flatMap(({ own, share }) => packed(topology, own, share, rules)));
  }
  return undefined;
}

/** Of the machine's first core; all have as many where this is asked. */
export function threadsPerCore({ cpus }: MachineTopology): number {
  return Math.max(1, ...groupsOf(cpus, 'core').map((group) => group.length));
}

function groupsOf(cpus: readonly Cpu[], level: Level): readonly (readonly Cpu[])[] {
  return [...Map.groupBy(cpus, (cpu) => cpu[level]).values()];
}

function leader([first]: readonly Cpu[]): Cpu {
  return first ?? { id: 0, core: 0, socket: 0, node: 0, cache: 0 };
}

function compare(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((each, index) => each !== b[index]);
  return at < 0 ? 0 : (a[at] ?? 0) - (b[at] ?? 0);
}

function sorted(ids: Iterable<number>): readonly number[] {
  return [...new Set(ids)].toSorted((a, b) => a - b);
}
