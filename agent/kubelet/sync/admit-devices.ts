import { isTerminal } from '#api/pod/state.ts';
import type { Refusal } from '#agent/kubelet/admit/refusal.ts';
import type { KubeletPorts } from '#agent/kubelet/ports.ts';
import { isEnding } from './plan.ts';
import type { PodMemories, PodMemory } from './pod-memory.ts';

/**
 * Devices are given before anything of a pod is made, and with them what is to lie near to them; who cannot have them is refused. A pod that runs,
 * or ran before a reboot, is not refused any more: its next container waits for them.
 * @returns when to ask again, ms; undefined: go on
 */
export async function admitDevices(
  memory: PodMemory,
  ports: KubeletPorts,
  signal: AbortSignal,
): Promise<number | undefined> {
  const { desired, facts, uid } = memory;
  const { devices, runtime, assignments } = ports;
  const { pod } = desired;
  if (devices === undefined || isEnding(desired) || facts.rejection !== undefined || isTerminal(pod))
    return undefined;
  if (runtime.observe(uid) !== undefined || pod.status?.containerStatuses?.some(ran) === true)
    return undefined;
  if (assignments?.aligns === true && devices.lacks(pod) === 'devices') {
    const refusal = assignments.admit(pod);
    if (refusal !== undefined) return refuse(memory, refusal, ports);
  }
  const verdict = await devices.admit(pod, signal);
  // It may have been asked to end meanwhile.
  if (verdict.kind === 'admitted' || isEnding(memory.desired)) return undefined;
  if (verdict.kind === 'notYet') return verdict.retryMs;
  return refuse(memory, { reason: 'UnexpectedAdmissionError', message: verdict.message }, ports);
}

/** As the kubelet says it (rejectPod); the event has the message alone. */
export function refuse(
  memory: PodMemory,
  refusal: Refusal,
  { events }: Pick<KubeletPorts, 'events'>,
): undefined {
  const message = `Pod was rejected: ${refusal.message}`;
  memory.report({ kind: 'refused', refusal: { ...refusal, message } });
  events.warning(memory.desired.pod, refusal.reason, refusal.message);
  return undefined;
}

function ran({ containerID = '' }: { readonly containerID?: string | undefined }): boolean {
  return containerID !== '';
}

/** Whether a pod may still use what it was given: until it is over and nothing of it runs. */
export function mayUseDevices(
  uid: string,
  memories: PodMemories,
  { runtime }: Pick<KubeletPorts, 'runtime'>,
): boolean {
  const containers = runtime.observe(uid)?.containers ?? [];
  if (containers.some(({ state }) => state.state !== 'exited')) return true;
  const memory = memories.get(uid);
  return (
    memory?.desired.isPresent === true &&
    memory.facts.rejection === undefined &&
    !isTerminal(memory.desired.pod)
  );
}
