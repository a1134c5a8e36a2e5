import type { Binding, Pod } from '#api/generated/objects.ts';
import type { NodeInfo } from '#control-plane/scheduler/snapshot.ts';

/** Somebody who is asked about a pod beside the plugins, and answers later: no other pod is decided meanwhile. */
export interface Outsider extends Disposable {
  /** For logs. */
  readonly name: string;
  /** Pods are scheduled without it when it does not answer. */
  readonly isIgnorable: boolean;
  isInterestedIn(pod: Pod): boolean;
  /** @throws when there is no answer, or none that can be used; so do the others */
  readonly filter?: (pod: Pod, nodes: readonly NodeInfo[]) => Promise<OutsiderAnswer>;
  /** What is added to the nodes' scores, by name. */
  readonly prioritize?: (pod: Pod, nodes: readonly NodeInfo[]) => Promise<ReadonlyMap<string, number>>;
  readonly bind?: (binding: Binding) => Promise<void>;
  /** Those of the nodes where pods may go, with whom. */
  readonly preempt?: (pod: Pod, candidates: readonly VictimsOn[]) => Promise<readonly VictimsOn[]>;
}

export interface OutsiderAnswer {
  /** Names of nodes. */
  readonly passed: ReadonlySet<string>;
  /** Why others do not do, as far as it says. */
  readonly refused: ReadonlyMap<string, { readonly reason: string; readonly isHelpedByEviction: boolean }>;
}

/** Pods that would go from a node. */
export interface VictimsOn {
  readonly node: NodeInfo;
  readonly victims: readonly Pod[];
  /** How many of them a budget forbids. */
  readonly violations: number;
}
