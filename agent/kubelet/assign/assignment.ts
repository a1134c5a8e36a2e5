/** What containers of a node have for themselves alone, and by what rules they are given it. */
import type { Pod } from '#api/generated/objects.ts';
import type { Hints, NodeMask, TopologyPolicy } from './hints.ts';
import type { MachineTopology } from './machine-topology.ts';
import type { TakeRules } from './take-cpus.ts';

/** Bytes of one resource (`memory`, `hugepages-2Mi`) on NUMA nodes, which are one group where they are several. */
export interface MemoryBlock {
  readonly resource: string;
  readonly bytes: number;
  readonly nodes: NodeMask;
}

/** Of one container. */
export interface Assignment {
  readonly cpus: readonly number[];
  readonly memory: readonly MemoryBlock[];
}

/** By uid of the pod, by name of the container. Values: each step gives another. */
export type Assigned = ReadonlyMap<string, ReadonlyMap<string, Assignment>>;

export interface AssignRules {
  /** cpuManagerPolicy */
  readonly cpuPolicy: 'none' | 'static';
  /** Given to no container alone; with `isStrict` no container runs there at all (strict-cpu-reservation). */
  readonly reservedCpus: readonly number[];
  readonly isStrict: boolean;
  readonly take: TakeRules;
  /** memoryManagerPolicy */
  readonly memoryPolicy: 'None' | 'Static';
  /** By NUMA node, by resource: bytes that no container gets. */
  readonly reservedMemory: ReadonlyMap<number, ReadonlyMap<string, number>>;
  readonly topologyPolicy: TopologyPolicy;
  /** topologyManagerScope */
  readonly scope: 'container' | 'pod';
  /** prefer-closest-numa-nodes */
  readonly isClosest: boolean;
}

/** What else of a node lies near some of its memory: devices. */
export interface HintProvider {
  /** One for each resource that the container asks of it. */
  hints(pod: Pod, container: string): readonly Hints[];
}

export interface AssignInput {
  readonly topology: MachineTopology;
  readonly rules: AssignRules;
  readonly providers: readonly HintProvider[];
}
