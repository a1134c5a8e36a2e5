/** What became of pods that asked for something of their own, for /metrics. */
import { SecondsHistogram } from '#agent/kubelet/stats/seconds-histogram.ts';
import type { Assignment } from './assignment.ts';

/** What could not be given; undefined: nothing was tried, as it does not lie together. */
export type Lacking = 'cpu' | 'memory' | undefined;

/** Of `kubelet_topology_manager_admission_duration_ms`: from 0.05 ms on, fifteen times twice as much. */
const durationBucketsMs: readonly number[] = Array.from({ length: 15 }, (_, index) => 0.05 * 2 ** index);

interface Pinnings {
  requests: number;
  errors: number;
}

export class AssignCounts {
  admissions = 0;
  refusals = 0;
  /** Containers whose parts lie on one NUMA node, as their policy wants it, and those whose could not. */
  aligned = 0;
  unaligned = 0;
  /** Milliseconds. */
  readonly durations: SecondsHistogram = new SecondsHistogram(durationBucketsMs);
  readonly pinnings: Readonly<Record<'cpu' | 'memory', Pinnings>> = {
    cpu: { requests: 0, errors: 0 },
    memory: { requests: 0, errors: 0 },
  };

  /** `given`: to containers of the pod. `aligns`: single-numa-node. */
  admitted(given: Iterable<Assignment>, aligns: boolean): void {
    for (const { cpus, memory } of given) {
      if (cpus.length > 0) this.pinnings.cpu.requests++;
      if (memory.length > 0) this.pinnings.memory.requests++;
      if (aligns) this.aligned++;
    }
  }

  refused(lacking: Lacking, aligns: boolean): void {
    this.refusals++;
    if (aligns) this.unaligned++;
    if (lacking === undefined) return;
    this.pinnings[lacking].requests++;
    this.pinnings[lacking].errors++;
  }
}
