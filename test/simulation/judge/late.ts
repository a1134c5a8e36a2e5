/** Statuses that stay behind what is true, though nothing keeps anybody from writing them. */
import type { Pod, ReplicaSet } from '#api/generated/objects.ts';
import { isActive, isPodReady, isTerminal } from '#api/pod/state.ts';
import type { PodObservation } from '#agent/runtime/runtime.ts';
import type { Target } from '#test/simulation/faults/plan.ts';
import type { SimulatedNode } from '#test/simulation/world/node.ts';
import type { Held, Ledger } from './ledger.ts';

/** What a status does not say yet. */
export interface Behind {
  readonly key: string;
  /** Who is to write it. */
  readonly writer: Target;
  /** What is true, in words: as long as these are the same, it is the same that is late. */
  readonly truth: string;
  readonly said: string;
}

/**
 * For how long a status may be behind, from when it became so and nothing hindered its writer any more. A kubelet tries again after ten
 * seconds at most; a loop after as long as it could do nothing at all, which faults last at most (two minutes), and then as long again.
 */
const lateMsMax: Readonly<Record<'node' | 'loops', number>> = { node: 30_000, loops: 300_000 };

/** Remembers since when which status is behind. */
export class LateStatuses {
  readonly #sinceMs = new Map<string, { readonly truth: string; readonly ms: number }>();

  /**
   * @param behind all that is now
   * @param calmSinceMs since when nothing hinders a writer; Infinity: something does
   * @returns those that are late, in words
   */
  look(behind: readonly Behind[], nowMs: number, calmSinceMs: (writer: Target) => number): readonly string[] {
    const found = new Map(behind.map((one) => [one.key, one]));
    for (const key of this.#sinceMs.keys()) if (!found.has(key)) this.#sinceMs.delete(key);
    return behind.flatMap(({ key, truth, said, writer }) => {
      const known = this.#sinceMs.get(key);
      const ms = known?.truth === truth ? known.ms : nowMs;
      this.#sinceMs.set(key, { truth, ms });
      const lateMs = nowMs - Math.max(ms, calmSinceMs(writer));
      if (lateMs <= lateMsMax[writer === 'loops' ? 'loops' : 'node']) return [];
      return [`${key} says ${said} for ${Math.floor(lateMs / 1000)} s, and is ${truth}`];
    });
  }
}

/** Pure. */
export function behindOf(ledger: Ledger, nodes: readonly SimulatedNode[]): readonly Behind[] {
  return [
    ...nodes.flatMap((node) => (node.isUp ? podsBehind(ledger, node) : [])),
    ...ledger.all('replicasets').flatMap((held) => replicaSetBehind(held, ledger)),
  ];
}

function podsBehind(ledger: Ledger, { name, runtime }: SimulatedNode): readonly Behind[] {
  return runtime.observeAll().flatMap((actual) => {
    const held = ledger.get(`/registry/pods/${actual.namespace}/${actual.name}`);
    const pod = held?.object as Pod | undefined;
    if (held === undefined || pod === undefined || held.metadata.uid !== actual.uid || isTerminal(pod))
      return [];
    const [truth, said] = [runsOf(actual), runsSaid(pod)];
    return truth === said ? [] : [{ key: held.key, writer: name as Target, truth, said }];
  });
}

/** Which containers run, by the last run of each. */
function runsOf({ containers }: PodObservation): string {
  const last = new Map(containers.map(({ name, state }) => [name, state.state === 'running']));
  return words([...last]);
}

function runsSaid({ status }: Pod): string {
  return words(
    (status?.containerStatuses ?? []).map(({ name, state }) => [name, state?.running !== undefined]),
  );
}

function words(runs: readonly (readonly [name: string, isRunning: boolean])[]): string {
  const running = runs.filter(([, isRunning]) => isRunning).map(([name]) => name);
  return running.length === 0 ? 'at rest' : `running ${running.toSorted().join(', ')}`;
}

function replicaSetBehind(held: Held, ledger: Ledger): readonly Behind[] {
  if (held.metadata.deletionTimestamp !== undefined) return [];
  const { status } = held.object as ReplicaSet;
  const pods = ledger
    .all('pods')
    .filter(({ metadata }) =>
      metadata.ownerReferences?.some(
        ({ uid, controller }) => controller === true && uid === held.metadata.uid,
      ),
    )
    .map(({ object }) => object as Pod)
    .filter((pod) => isActive(pod));
  const truth = `of ${pods.length} pods, ${pods.filter((pod) => isPodReady(pod)).length} ready`;
  const said = `of ${status?.replicas ?? 0} pods, ${status?.readyReplicas ?? 0} ready`;
  return truth === said ? [] : [{ key: held.key, writer: 'loops', truth, said }];
}
