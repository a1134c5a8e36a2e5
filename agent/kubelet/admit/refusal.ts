/** Why a node does not take a pod: reason and message of its Failed status. */
export interface Refusal {
  readonly reason: string;
  readonly message: string;
  /** Of a pod that runs already: the time that its containers have to end, at most. */
  readonly graceSecondsMax?: number;
}
