import type { Pod } from '#api/generated/objects.ts';
import type { ClusterEvent } from './cluster-event.ts';
import type { NodeInfo, Snapshot } from './snapshot.ts';
import type { TemplateMemory } from './template-memory.ts';

/** What a decision is made on. */
export interface SchedulingContext {
  readonly pod: Pod;
  readonly snapshot: Snapshot;
  /** Undefined: the default profile. */
  readonly profile?: Profile | undefined;
  /** What pods like this one were answered before; undefined: nothing is kept. */
  readonly memory?: TemplateMemory | undefined;
  /** Told how long parts of it took; undefined: nobody is. */
  readonly timer?: PointTimer | undefined;
}

/** An extension point of kube-scheduler's, as its metrics call it. */
export type MetricPoint = 'PreFilter' | 'Filter' | 'PostFilter' | 'Score' | 'Reserve' | 'PreBind' | 'Bind';
/** How it ended. */
export type PointStatus = 'Success' | 'Unschedulable' | 'UnschedulableAndUnresolvable' | 'Error';

export interface PointTimer {
  /** Seconds, from whenever. */
  readonly now: () => number;
  readonly ran: (point: MetricPoint, status: PointStatus, since: number) => void;
}

/** How the pods of one schedulerName are scheduled. */
export interface Profile {
  readonly schedulerName: string;
  /** In order: the first that refuses a pod, or a node, gives the reason. */
  readonly preFilters: readonly FilterPlugin[];
  readonly filters: readonly FilterPlugin[];
  readonly scores: readonly ScorePlugin[];
  /** Those that refuse pods, by name: what may help whom they refused. */
  readonly hints: ReadonlyMap<string, FilterPlugin>;
  /** Of the possible nodes that are looked for, in percent of all; 0: by their number. */
  readonly percentageOfNodesToScore: number;
  /** Of nodes where pods of lower priority might go; undefined: none go. */
  readonly preemption:
    | { readonly minCandidateNodesPercentage: number; readonly minCandidateNodesAbsolute: number }
    | undefined;
  /** Whether claims of devices give them back for a pod that finds no node. */
  readonly releasesClaims: boolean;
  /** Whether pods with gates wait. */
  readonly hasGates: boolean;
  readonly volumeBindMs: number;
  readonly deviceBindMs: number;
}

/**
 * What it says follows from the state of the node, the template of the pod and whether classes of devices stand for its resources (template-memory.ts),
 * not from labels, volumes, Services or other nodes: it is asked once for all pods of a template, as long as the node is as it was. What a
 * filter of `refuseAll` says is not meant.
 */
type Steady = true;

/**
 * Says which nodes a pod can run on. `filter` is asked once per pod and works out what does not depend on the node; the
 * function that it returns says why a node does not do (nothing: it does). Undefined: the pod asks nothing of this plugin.
 */
export interface FilterPlugin {
  readonly name: string;
  readonly isSteady?: Steady;
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

/**
 * How raw scores become 0 to 100: as they are, in proportion to the highest, or that reversed (fewer is better), from the lowest to the
 * highest, or the lowest to the highest reversed in proportion to the highest (NaN: 0).
 */
export type Normalization = 'none' | 'proportional' | 'reversed' | 'range' | 'spread';

/** Says which of the possible nodes is best. Undefined: the pod has no preference that this plugin knows. */
export interface ScorePlugin {
  readonly name: string;
  readonly isSteady?: Steady;
  readonly weight: number;
  readonly normalization: Normalization;
  /** `feasible` are the nodes that it is asked about then. */
  readonly score: (
    context: SchedulingContext,
    feasible: readonly NodeInfo[],
  ) => ((node: NodeInfo) => number) | undefined;
}

export const scoreMax = 100;

/** What a filter says of a node that does: one list for all of the thousands that it is asked about. */
export const passes: readonly string[] = [];
