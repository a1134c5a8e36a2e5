/** Keeps containers where they are to run: those that share, on what is left when others have CPUs alone. */
import { describeError, isPodwrightError } from '#base/errors.ts';
import { isTerminal } from '#api/pod/state.ts';
import type { KubeletPorts } from '#agent/kubelet/ports.ts';
import type { PodMemories } from '#agent/kubelet/sync/pod-memory.ts';
import { repeat, type Repeated } from '#agent/kubelet/cgroups/repeat.ts';
import type { NodeAssignments } from './node-assignments.ts';

/** Pods that hold what they were given: they run here, or are to. */
export function holdersOf(memories: PodMemories, ports: Pick<KubeletPorts, 'runtime'>): ReadonlySet<string> {
  const holds = [...memories.values()].filter(({ uid, desired, facts }) => {
    const runs =
      ports.runtime.observe(uid)?.containers.some(({ state }) => state.state !== 'exited') === true;
    return runs || (desired.isPresent && facts.rejection === undefined && !isTerminal(desired.pod));
  });
  return new Set(holds.map(({ uid }) => uid));
}

export interface PlacementsOptions {
  readonly assignments: NodeAssignments;
  readonly memories: PodMemories;
  readonly ports: Pick<KubeletPorts, 'runtime' | 'clock' | 'logger'>;
  /** cpuManagerReconcilePeriod */
  readonly everyMs: number;
}

/** Looks at every running container at once when asked, and every so often anyway. What is so already is not written again. */
export function keepPlacements(options: PlacementsOptions): Repeated {
  const { clock, logger } = options.ports;
  const written = new Map<string, string>();
  return repeat({ clock, logger, everyMs: options.everyMs }, 'containers are not placed', () =>
    place(options, written),
  );
}

/** One look. `written`: by container id, the lists that its cgroup has. */
export async function place(
  { assignments, memories, ports }: Omit<PlacementsOptions, 'everyMs'>,
  written: Map<string, string>,
): Promise<void> {
  const { runtime, logger } = ports;
  assignments.keepOnly(holdersOf(memories, ports));
  const seen = new Set<string>();
  for (const { uid, containers } of runtime.observeAll()) {
    for (const { id, name, state } of containers) {
      if (state.state !== 'running') continue;
      seen.add(id);
      const { cpus, mems } = assignments.placementOf(uid, name);
      const wanted = `${cpus ?? ''} ${mems ?? ''}`;
      if (written.get(id) === wanted || wanted === ' ') continue;
      const unified = {
        ...(cpus === undefined ? {} : { 'cpuset.cpus': cpus }),
        ...(mems === undefined ? {} : { 'cpuset.mems': mems }),
      };
      try {
        await runtime.updateContainerResources(uid, id, { unified });
        written.set(id, wanted);
      } catch (error) {
        // It has ended meanwhile, or is tried again at the next look.
        if (!isPodwrightError(error, 'E_NOT_FOUND'))
          logger.warn({ pod: uid, container: name, error: describeError(error) }, 'container is not placed');
      }
    }
  }
  for (const id of written.keys()) if (!seen.has(id)) written.delete(id);
}
