/** In which order pods end when the node goes down, and how long each of them has (KEP-2000, KEP-2712). Pure. */
import type { Pod } from '#api/generated/objects.ts';
import type { Refusal } from '#agent/kubelet/admit/refusal.ts';
import type { ShutdownGroups } from '#agent/kubelet/config/shutdown.ts';

export interface ShutdownTurn {
  readonly seconds: number;
  readonly pods: readonly Pod[];
}

/** Turns of the groups that have pods, the least important first. */
export function planShutdown(groups: ShutdownGroups, pods: readonly Pod[]): readonly ShutdownTurn[] {
  const placeOf = (pod: Pod): number => {
    const priority = pod.spec?.priority ?? 0;
    return Math.max(
      0,
      groups.findLastIndex((group) => group.priority <= priority),
    );
  };
  return groups
    .map(({ seconds }, index) => ({ seconds, pods: pods.filter((pod) => placeOf(pod) === index) }))
    .filter((turn) => turn.pods.length > 0);
}

/** Of all groups together: so long the machine has to be held. */
export function shutdownSeconds(groups: ShutdownGroups): number {
  return groups.reduce((sum, { seconds }) => sum + seconds, 0);
}

/** The end of a pod, in the words of the kubelet. */
export function shutdownRefusal(seconds: number): Refusal {
  const message = 'Pod was terminated in response to imminent node shutdown.';
  return { reason: 'Terminated', message, graceSecondsMax: seconds, isDisruption: true };
}

export const notAdmitted: Refusal = {
  reason: 'NodeShutdown',
  message: 'Pod was rejected as the node is shutting down.',
};

/** The node's condition Ready meanwhile. */
export const shutdownProblem = 'node is shutting down';
