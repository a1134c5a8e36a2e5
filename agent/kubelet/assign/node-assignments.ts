/** What the containers of this node have for themselves, kept over restarts of the agent. */
import type { Pod } from '#api/generated/objects.ts';
import { systemClock, type Clock } from '#base/clock.ts';
import { PodwrightError } from '#base/errors.ts';
import type { Refusal } from '#agent/kubelet/admit/refusal.ts';
import { AssignCounts } from './assign-counts.ts';
import { assignPod, isRefusal } from './assign-pod.ts';
import type { Assigned, AssignInput, Assignment, HintProvider } from './assignment.ts';
import { readCheckpoint, removeCheckpoint, renderCheckpoint, writeCheckpoint } from './checkpoint.ts';
import { formatCpuList } from './cpu-list.ts';
import { nodesIn } from './hints.ts';
import { freeCpus, sharedCpus, takenCpus } from './share-cpus.ts';
import { memoryBlocks } from './share-memory.ts';

/** Where a container runs: lists as cpuset.cpus and cpuset.mems take them. Undefined: no matter. */
export interface Placement {
  readonly cpus: string | undefined;
  readonly mems: string | undefined;
  /** No other container runs on its CPUs, and no quota is needed. */
  readonly isAlone: boolean;
}

export interface CpuShares {
  readonly shared: number;
  readonly alone: number;
  readonly perNode: readonly (readonly [node: number, cpus: number])[];
}

export interface AssignmentsOptions extends AssignInput {
  /** Where the checkpoints are. */
  readonly directory: string;
  readonly providers?: readonly HintProvider[];
  /** By which the time of an admission is measured. */
  readonly clock?: Pick<Clock, 'monotonic'>;
}

export class NodeAssignments {
  readonly #input: AssignInput;
  readonly #providers: readonly HintProvider[];
  readonly #directory: string;
  readonly #clock: Pick<Clock, 'monotonic'>;
  #assigned: Assigned;
  #writing: Promise<void> = Promise.resolve();
  readonly counts: AssignCounts = new AssignCounts();

  /** @throws {E_DAMAGED} {E_INVALID} for a checkpoint of another machine, with what to do */
  static async open(options: AssignmentsOptions): Promise<NodeAssignments> {
    const { rules, topology, directory } = options;
    const keepsNothing = rules.cpuPolicy === 'none' && rules.memoryPolicy === 'None';
    if (keepsNothing) await removeCheckpoint(directory);
    const before = keepsNothing ? new Map() : await readCheckpoint(directory);
    const online = new Set(topology.cpus.map(({ id }) => id));
    const lost = [...takenCpus(before)].filter((id) => !online.has(id) || rules.reservedCpus.includes(id));
    if (lost.length > 0)
      throw new PodwrightError(
        'E_INVALID',
        `take on assigned CPUs: ${formatCpuList(lost)} of cpu_manager_state are offline or reserved now; drain the node, remove the file and start the agent again`,
      );
    return new NodeAssignments(options, before);
  }

  private constructor(options: AssignmentsOptions, assigned: Assigned) {
    const { directory, providers = [], clock = systemClock, ...input } = options;
    this.#input = input;
    this.#providers = providers;
    this.#clock = clock;
    this.#directory = directory;
    this.#assigned = assigned;
  }

  /** Gives the pod what it asks for alone; safe to repeat. Those of pods that are not in `active` are free again. */
  admit(pod: Pod, active: ReadonlySet<string>): Refusal | undefined {
    this.keepOnly(active);
    if (this.#assigned.has(pod.metadata?.uid ?? '')) return undefined;
    // Without a policy nobody is asked what is near to what.
    const drafts = this.aligns ? this.#providers.map((provider) => provider.begin(pod)) : [];
    const begunMs = this.#clock.monotonic();
    const result = assignPod(pod, this.#assigned, this.#input, drafts);
    this.counts.admissions++;
    this.counts.durations.observe(this.#clock.monotonic() - begunMs);
    const isOneNode = this.#input.rules.topologyPolicy === 'single-numa-node';
    if (isRefusal(result)) {
      const { lacking, ...refusal } = result;
      this.counts.refused(lacking, isOneNode);
      return refusal;
    }
    for (const draft of drafts) draft.keep();
    this.#set(result);
    this.counts.admitted(result.get(pod.metadata?.uid ?? '')?.values() ?? [], isOneNode);
    return undefined;
  }

  /** Whether something became free. */
  keepOnly(active: ReadonlySet<string>): boolean {
    const kept = [...this.#assigned].filter(([uid]) => active.has(uid));
    if (kept.length === this.#assigned.size) return false;
    this.#set(new Map(kept));
    return true;
  }

  placementOf(uid: string, container: string): Placement {
    const { cpus = [], memory = [] } = this.#assigned.get(uid)?.get(container) ?? {};
    const { rules } = this.#input;
    const nodes = memory.reduce((mask, block) => mask | block.nodes, 0);
    const isAlone = cpus.length > 0;
    return {
      cpus:
        rules.cpuPolicy === 'none'
          ? undefined
          : formatCpuList(isAlone ? cpus : sharedCpus(this.#input, this.#assigned)),
      mems: nodes === 0 ? undefined : formatCpuList(nodesIn(nodes)),
      isAlone,
    };
  }

  /** What the container has alone; memory of init containers only as far as it is not the others' later on. */
  ofContainer(uid: string, container: string): Assignment | undefined {
    return this.#assigned.get(uid)?.get(container);
  }

  /** All that containers may have alone, whoever has it now; without a policy that gives any, nothing. */
  allocatable(): Assignment {
    const none = new Map();
    const { cpus, memory } = this.gives;
    return {
      cpus: cpus ? [...freeCpus(this.#input, none)].toSorted((a, b) => a - b) : [],
      memory: memory ? memoryBlocks(this.#input) : [],
    };
  }

  get scope(): AssignInput['rules']['scope'] {
    return this.#input.rules.scope;
  }

  /** How the CPUs are shared out: those that nobody has alone, those that somebody has, and of the latter how many by NUMA node. */
  get cpuShares(): CpuShares {
    const { topology, rules } = this.#input;
    const taken = takenCpus(this.#assigned);
    const perNode = topology.nodes.map(({ id }) => {
      const own = topology.cpus.filter((cpu) => cpu.node === id && taken.has(cpu.id));
      return [id, own.length] as const;
    });
    const shared = rules.cpuPolicy === 'none' ? 0 : sharedCpus(this.#input, this.#assigned).length;
    return { shared, alone: taken.size, perNode };
  }

  /** Whether some container of the pod has CPUs alone. */
  hasAlone(uid: string): boolean {
    return [...(this.#assigned.get(uid)?.values() ?? [])].some(({ cpus }) => cpus.length > 0);
  }

  /** Whether what a pod gets is to lie together: all that it asks for has to be known when it is admitted. */
  get aligns(): boolean {
    return this.#input.rules.topologyPolicy !== 'none';
  }

  /** Whether pods of this node may have CPUs, or memory, for themselves. */
  get gives(): { readonly cpus: boolean; readonly memory: boolean } {
    const { cpuPolicy, memoryPolicy } = this.#input.rules;
    return { cpus: cpuPolicy === 'static', memory: memoryPolicy === 'Static' };
  }

  /** Resolves when all that was given is on disk. @throws what the file system says */
  async written(): Promise<void> {
    await this.#writing;
  }

  /** The next one writes what is so by then; a failure is told to whoever waits, and written anew with the next change. */
  #set(assigned: Assigned): void {
    if (assigned === this.#assigned) return;
    this.#assigned = assigned;
    const write = (): Promise<void> =>
      writeCheckpoint(
        this.#directory,
        renderCheckpoint(this.#assigned, this.#input.rules, sharedCpus(this.#input, this.#assigned)),
      );
    this.#writing = this.#writing.then(write, write);
    this.#writing.catch(() => undefined); // Told by `written`.
  }
}
