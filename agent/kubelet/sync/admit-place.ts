import { isTerminal } from '#api/pod/state.ts';
import { nodes } from '#api/schema/kind-ref.ts';
import type { Node } from '#api/generated/objects.ts';
import { asksOfLabels, placeRefusal, taintRefusal } from '#agent/kubelet/admit/place.ts';
import type { KubeletPorts } from '#agent/kubelet/ports.ts';
import { isStatic } from '#agent/kubelet/static/static-pod.ts';
import { isNotFound } from '#client/api-error.ts';
import { refuse } from './admit-devices.ts';
import { isEnding } from './plan.ts';
import type { PodMemory } from './pod-memory.ts';

/**
 * Refuses a pod that may not be on this node; pods can name their node themselves. The Node that the agent saw last is seconds old, and a label
 * may have come meanwhile by which the scheduler chose: whoever would be refused by it, or asks for labels, is judged by the Node of now.
 * Files of this machine have their pods run with or without an API server.
 */
export async function admitPlace(memory: PodMemory, ports: KubeletPorts): Promise<void> {
  const { desired, facts, uid } = memory;
  const { pod } = desired;
  if (isStatic(pod) || facts.rejection !== undefined || isEnding(desired) || isTerminal(pod)) return;
  if (ports.runtime.observe(uid) !== undefined || pod.status?.containerStatuses !== undefined) return;
  const seen = ports.node.seen?.();
  const isBarred = seen !== undefined && taintRefusal(pod, seen) !== undefined;
  if (!isBarred && !asksOfLabels(pod)) return;
  const node = await readNode(ports);
  const refusal = node && placeRefusal(pod, node);
  // It may have been asked to end meanwhile.
  if (refusal !== undefined && !isEnding(memory.desired)) refuse(memory, refusal, ports);
}

async function readNode({ client, node: { name } }: KubeletPorts): Promise<Node | undefined> {
  try {
    return await client.get(nodes, { name });
  } catch (error) {
    if (isNotFound(error)) return undefined; // It is being registered.
    throw error;
  }
}
