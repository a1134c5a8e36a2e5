/** Why a node does not take a pod: reason and message of its Failed status. */
export interface Refusal {
  readonly reason: string;
  readonly message: string;
  /** Of a pod that runs already: the time that its containers have to end, at most. */
  readonly graceSecondsMax?: number;
  /** The node ends it for reasons of its own: controllers need not count that against the pod (KEP-3329). */
  readonly isDisruption?: true;
  /** Of one that is evicted: the kubelet's name of what was measured, by which its metrics count. */
  readonly signal?: string;
  /** When that was measured (milliseconds since the epoch), where the node was short of it. */
  readonly measuredAtMs?: number;
}
