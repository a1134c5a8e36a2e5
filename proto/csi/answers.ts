/** What a driver's refusal means for whoever asked (CSI specification, error scheme; as kubernetes-csi's sidecars and the kubelet take it). */

/** Answers after which a driver may still be at it. */
const unsure: ReadonlySet<string> = new Set(['CANCELLED', 'DEADLINE_EXCEEDED', 'UNAVAILABLE', 'ABORTED']);

/** Whether the driver may have done, or be doing, what was asked. */
export function isUnsure(status: string): boolean {
  return unsure.has(status);
}

/** Answers to a size that is wrong: the same will be said of it again. */
const infeasible: ReadonlySet<string> = new Set(['INVALID_ARGUMENT', 'OUT_OF_RANGE', 'NOT_FOUND']);

/** Whether a size is not to be had, whenever it is asked for. */
export function isInfeasible(status: string): boolean {
  return infeasible.has(status);
}
