/** Memory of NUMA nodes for containers alone (static memory manager policy, KEP-1769). Pure. */
import { countOf, isNarrower, maskOf, nodesIn, subsetsOf, type Hint, type NodeMask } from './hints.ts';
import type { Assigned, AssignInput, MemoryBlock } from './assignment.ts';

/** What containers could have of a node, before any has. */
function capacityOf({ topology, rules }: AssignInput, id: number, resource: string): number {
  const node = topology.nodes.find((each) => each.id === id);
  const huge = [...(node?.hugePages.values() ?? [])].reduce((sum, bytes) => sum + bytes, 0);
  const total =
    resource === 'memory' ? (node?.memoryBytes ?? 0) - huge : (node?.hugePages.get(resource) ?? 0);
  return Math.max(0, total - (rules.reservedMemory.get(id)?.get(resource) ?? 0));
}

/** What containers could have of each node, before any has. */
export function memoryBlocks(input: AssignInput): readonly MemoryBlock[] {
  const blocks = input.topology.nodes.flatMap(({ id, hugePages }) =>
    ['memory', ...hugePages.keys()].map((resource) => ({
      ...{ resource, nodes: maskOf([id]) },
      bytes: capacityOf(input, id, resource),
    })),
  );
  return blocks.filter(({ bytes }) => bytes > 0);
}

function blocksOf(assigned: Assigned): readonly MemoryBlock[] {
  return [...assigned.values()].flatMap((pod) => [...pod.values()].flatMap(({ memory }) => memory));
}

interface Free {
  /** Bytes of a resource that nodes have left together. */
  bytes(mask: NodeMask, resource: string): number;
  /** Nodes that give memory together give to nobody else: a set of them is a group of its own, or has no others with it. */
  isGroup(mask: NodeMask): boolean;
}

function freeMemory(input: AssignInput, assigned: Assigned): Free {
  const blocks = blocksOf(assigned);
  return {
    bytes: (mask, resource) => {
      const capacity = nodesIn(mask).reduce((sum, id) => sum + capacityOf(input, id, resource), 0);
      const taken = blocks.filter((block) => block.resource === resource && (block.nodes & mask) !== 0);
      return capacity - taken.reduce((sum, { bytes }) => sum + bytes, 0);
    },
    isGroup: (mask) =>
      blocks.every(
        ({ nodes }) =>
          (nodes & mask) === 0 || nodes === mask || (countOf(nodes) === 1 && countOf(mask) === 1),
      ),
  };
}

/** By resource: the nodes by which it could be had, all of what is asked for together. */
export function memoryHints(
  input: AssignInput,
  assigned: Assigned,
  wanted: ReadonlyMap<string, number>,
): ReadonlyMap<string, readonly Hint[]> {
  const masks = subsetsOf(input.topology.nodes.map(({ id }) => id));
  const free = freeMemory(input, assigned);
  const isEnough = (mask: NodeMask, has: (resource: string) => number): boolean =>
    nodesIn(mask).length > 0 && [...wanted].every(([resource, bytes]) => has(resource) >= bytes);
  const capacity = (mask: NodeMask, resource: string): number =>
    nodesIn(mask).reduce((sum, id) => sum + capacityOf(input, id, resource), 0);
  const least = Math.min(
    ...masks.filter((mask) => isEnough(mask, (resource) => capacity(mask, resource))).map(countOf),
  );
  const hints = masks
    .filter((mask) => free.isGroup(mask) && isEnough(mask, (resource) => free.bytes(mask, resource)))
    .map((mask): Hint => ({ nodes: mask, isPreferred: countOf(mask) === least }));
  return new Map([...wanted.keys()].map((resource) => [resource, hints]));
}

/** On the nodes of the hint; where they have not all of it, on the fewest others that include them. Undefined: nowhere. */
export function chooseMemory(
  input: AssignInput,
  assigned: Assigned,
  wanted: ReadonlyMap<string, number>,
  near: NodeMask | undefined,
): readonly MemoryBlock[] | undefined {
  const [hints = []] = memoryHints(input, assigned, wanted).values();
  const masks = hints.flatMap(({ nodes }) => (nodes === undefined ? [] : [nodes]));
  const fitting = masks.filter((mask) => near === undefined || (mask & near) === near);
  const [best] = (fitting.length > 0 ? fitting : near === undefined ? [] : masks).toSorted((a, b) =>
    isNarrower(a, b, { policy: 'none', nodes: input.topology.nodes, isClosest: false }) ? -1 : 1,
  );
  if (best === undefined) return undefined;
  return [...wanted].map(([resource, bytes]) => ({ resource, bytes, nodes: best }));
}
