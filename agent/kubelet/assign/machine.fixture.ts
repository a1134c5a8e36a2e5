/** Machines of tests. */
import type { AssignInput, AssignRules } from './assignment.ts';
import type { MachineTopology } from './machine-topology.ts';
import { defaultAssign } from './rules.ts';

export interface MachineShape {
  readonly sockets: number;
  /** Of each socket. */
  readonly nodes?: number;
  /** Of each node. */
  readonly cores: number;
  readonly threads?: number;
  /** CPUs of a cache. */
  readonly cacheCores?: number;
  readonly memoryBytes?: number;
}

/** Numbered as Linux does on PCs: the first threads of all cores, then the second ones. */
export function machineOf(shape: MachineShape): MachineTopology {
  const { sockets, nodes = 1, cores, threads = 1, cacheCores = cores, memoryBytes = 1000 } = shape;
  const coresAll = sockets * nodes * cores;
  const cpus = Array.from({ length: coresAll * threads }, (_, id) => {
    const core = id % coresAll;
    const node = Math.floor(core / cores);
    return {
      ...{ id, core, node, socket: Math.floor(node / nodes) },
      cache: Math.floor(core / cacheCores) * cacheCores,
    };
  });
  const ids = Array.from({ length: sockets * nodes }, (_, id) => id);
  return {
    cpus,
    nodes: ids.map((id) => ({
      ...{ id, memoryBytes, hugePages: new Map([['hugepages-2Mi', 0]]) },
      // Nodes of one socket, and neighbours by number, are nearer.
      distances: ids.map((other) => (id === other ? 10 : 10 + 2 * Math.abs(id - other))),
    })),
  };
}

export function inputOf(topology: MachineTopology, rules: Partial<AssignRules> = {}): AssignInput {
  return {
    topology,
    rules: { ...defaultAssign.rules, cpuPolicy: 'static', reservedCpus: [0], ...rules },
  };
}
