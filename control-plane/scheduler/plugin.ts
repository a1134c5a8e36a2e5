import type { Pod } from '#api/generated/objects.ts';
import type { ClusterEvent } from './cluster-event.ts';
import type { NodeInfo, Snapshot } from './snapshot.ts';

/** What a decision is made on. */
export interface SchedulingContext {
  readonly pod: Pod;
  readonly snapshot: Snapshot;
}

/**
 * Says which nodes a pod can run on. `filter` is asked once per pod and works out what does not depend on the node; the
 * function that it returns says why a node does not do (nothing: it does). Undefined: the pod asks nothing of this plugin.
 */
export interface FilterPlugin {
  readonly name: string;
  readonly filter: (context: SchedulingContext) => ((node: NodeInfo) => readonly string[]) | undefined;
  /**
   * Whether a node that it refuses might do once some of its pods are gone (Unschedulable of kube-scheduler, where others are
   * UnschedulableAndUnresolvable). Absent: never.
   */
  readonly evictionHelps?: (pod: Pod, node: NodeInfo, reasons: readonly string[]) => boolean;
  /** What it says of a node depends on the pods of others, too. */
  readonly looksAtPods?: true;
  /** Why no node at all will do, whichever it is: none is looked at (a PreFilter status of kube-scheduler). */
  readonly refuseAll?: (context: SchedulingContext) => string | undefined;
  /** Names of the only nodes that may do, where the pod says them: no others are looked at (PreFilterResult of kube-scheduler). */
  readonly onlyNodes?: (pod: Pod) => ReadonlySet<string> | undefined;
  /**
   * Whether the event may let a pod run that this plugin refused (kube-scheduler's queueing hint). It is asked of every such pod at
   * every event, so it looks at the two only; when in doubt, yes: a pod that is not woken waits for five minutes.
   */
  readonly mayHelp: (pod: Pod, event: ClusterEvent, namespaceLabels: Snapshot['namespaceLabels']) => boolean;
}

/** How raw scores become 0 to 100: as they are, in proportion to the highest, or that reversed (fewer is better). */
export type Normalization = 'none' | 'proportional' | 'reversed';

/** Says which of the possible nodes is best. Undefined: the pod has no preference that this plugin knows. */
export interface ScorePlugin {
  readonly name: string;
  readonly weight: number;
  readonly normalization: Normalization;
  readonly score: (context: SchedulingContext) => ((node: NodeInfo) => number) | undefined;
}

export const scoreMax = 100;

/** What a filter says of a node that does: one list for all of the thousands that it is asked about. */
export const passes: readonly string[] = [];
