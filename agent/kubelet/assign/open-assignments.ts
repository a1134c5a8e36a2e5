/** What the node gives containers for themselves, on the machine that there is. */
import type { MachineFacts } from '#agent/node/machine.ts';
import { keptOf, type EvictionSettings } from '#agent/kubelet/evict/thresholds.ts';
import type { HintProvider } from './assignment.ts';
import { readTopology, systemDevices } from './machine-topology.ts';
import { NodeAssignments } from './node-assignments.ts';
import { rulesOn, type AssignSettings } from './rules.ts';

export interface OpenAssignments {
  readonly settings: AssignSettings;
  readonly reserved: { readonly cpuMilli: number; readonly memoryBytes: number };
  readonly eviction: EvictionSettings;
  readonly machine: Pick<MachineFacts, 'memoryBytes'>;
  /** Of the checkpoints. */
  readonly directory: string;
  readonly providers?: readonly HintProvider[];
  /** Of sysfs; for tests. */
  readonly devices?: string;
}

/** Undefined: all is everybody's. @throws {E_USAGE} for what this machine is not, {E_DAMAGED} {E_INVALID} for a checkpoint */
export async function openAssignments(options: OpenAssignments): Promise<NodeAssignments | undefined> {
  const { settings, reserved, eviction, machine, directory } = options;
  const topology = await readTopology(options.devices ?? systemDevices);
  const memoryBytes =
    reserved.memoryBytes + Math.floor(keptOf(eviction, 'memory.available', machine.memoryBytes));
  const rules = rulesOn(settings, topology, { cpuMilli: reserved.cpuMilli, memoryBytes });
  const assignments = await NodeAssignments.open({
    ...{ topology, rules, directory },
    providers: options.providers ?? [],
  });
  const { cpus, memory } = assignments.gives;
  return cpus || memory || rules.topologyPolicy !== 'none' ? assignments : undefined;
}
