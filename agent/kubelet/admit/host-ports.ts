/** Whether the ports of the node that a pod asks for are free. Pure. */
import type { Pod } from '#api/generated/objects.ts';
import { conflictsWith, isPortOfNode, podHostPorts, type HostPort } from '#api/pod/host-ports.ts';
import type { Refusal } from './refusal.ts';

/** `active` are the other pods of the node that have not ended. */
export function portConflict(pod: Pod, active: readonly Pod[]): Refusal | undefined {
  const wanted = podHostPorts(pod);
  if (wanted.length === 0) return undefined;
  const taken = active.flatMap(podHostPorts);
  const isTaken = (one: HostPort): boolean =>
    isPortOfNode(one) || taken.some((used) => conflictsWith(one, used));
  if (!wanted.some(isTaken)) return undefined;
  return { reason: 'NodePorts', message: "node(s) didn't have free ports for the requested pod ports" };
}
