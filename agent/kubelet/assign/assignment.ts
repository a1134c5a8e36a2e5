/** What containers of a node have for themselves alone, and by what rules they are given it. */
import type { Pod } from '#api/generated/objects.ts';
import type { Claim } from './claims.ts';
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
  /** What of its own the pod could have now. Nothing is given before `keep`. */
  begin(pod: Pod): HintDraft;
}

/** Of one pod, in one turn: what its containers are given, one after the other. */
export interface HintDraft {
  /** One for each resource that the containers ask for together. `nodes`: those that the machine has. */
  hints(members: readonly Claim[], nodes: readonly number[]): readonly Hints[];
  /** Sets aside what the container asks for, near the nodes as far as that can be. @throws {E_BUSY} for too little */
  give(container: string, near: NodeMask | undefined): void;
  /** The pod has it. */
  keep(): void;
}

export interface AssignInput {
  readonly topology: MachineTopology;
  readonly rules: AssignRules;
}
