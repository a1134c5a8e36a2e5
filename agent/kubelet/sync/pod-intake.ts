/** How pods come to the node's notice, and how they are forgotten. */
import type { Pod } from '#api/generated/objects.ts';
import { isTerminal } from '#api/pod/state.ts';
import type { Change } from '#client/informer.ts';
import { refusalOf } from '#agent/kubelet/admit/admission.ts';
import type { Refusal } from '#agent/kubelet/admit/refusal.ts';
import { refuse } from './admit-devices.ts';
import { allocatedPod, createPodMemory, type PodMemories, type PodMemory } from './pod-memory.ts';
import type { SyncPorts } from './pod-sync.ts';

/** Where pods come from. The API's is an informer; a list of files or one pod of a command line can be another. */
export interface PodSource {
  /** The pods that are wanted now. */
  list(): readonly Pod[];
  /** Told at once of all that are there, then of each change. */
  onChange(handler: (change: Change<Pod>) => void): Disposable;
}

export interface Intake {
  readonly source: PodSource;
  readonly memories: PodMemories;
  readonly ports: SyncPorts;
}

/** Takes in every pod of the source, and each change of one. */
export function takePods(intake: Intake): Disposable {
  return intake.source.onChange(({ old, current }) => {
    // One name, another uid: the old pod is gone.
    if (old !== undefined && old.metadata?.uid !== current?.metadata?.uid) note(old, false, intake);
    if (current !== undefined) note(current, true, intake);
  });
}

function note(pod: Pod, isPresent: boolean, intake: Intake): void {
  const { memories, ports } = intake;
  const uid = pod.metadata?.uid ?? '';
  const now = ports.clock.now();
  const desired = { pod, isPresent };
  const known = memories.get(uid);
  if (known === undefined && !isPresent) return; // Never seen here.
  const memory = known ?? createPodMemory(uid, desired, now, ports.onOutcome);
  if (known === undefined) {
    memories.set(uid, memory);
    ports.onSeen?.(pod);
    admit(memory, intake);
  }
  memory.want(desired, now);
  if (known === undefined || !isPresent) ports.podsChanged?.();
  ports.enqueue(uid);
  // Whatever changed may have made the room that a resize waits for.
  for (const other of memories.values())
    if (other.facts.resize.pending !== undefined) ports.enqueue(other.uid);
}

/** Refuses what this node cannot run, once, before anything of it is made. */
function admit(memory: PodMemory, intake: Intake): void {
  const { ports } = intake;
  const { runtime, node } = ports;
  const { pod } = memory.desired;
  if (runtime.observe(memory.uid) !== undefined || pod.metadata?.deletionTimestamp !== undefined) return;
  if (isTerminal(pod)) return;
  // What ran here before a reboot was taken; what its containers had for themselves, they get anew.
  const wasTaken = pod.status?.containerStatuses !== undefined;
  const refusal =
    (wasTaken ? undefined : refusalOf(pod, admittedPods(intake), node)) ?? assign(memory, intake);
  if (refusal === undefined) return;
  refuse(memory, refusal, ports);
}

/** Where what a pod gets is to lie together, that is said when its devices are there to choose from: `admitDevices`. */
function assign({ desired: { pod } }: PodMemory, { ports }: Intake): Refusal | undefined {
  const { assignments, devices } = ports;
  const isLater = assignments?.aligns === true && devices?.lacks(pod) !== undefined;
  const wasTaken = pod.status?.containerStatuses !== undefined;
  return isLater && !wasTaken ? undefined : assignments?.admit(pod);
}

/** Also those of which nothing is made yet: two that come at once may not both have the last of something. */
function admittedPods({ source, memories, ports }: Intake): readonly Pod[] {
  return source.list().flatMap((pod) => {
    const uid = pod.metadata?.uid ?? '';
    const known = memories.get(uid);
    if (known !== undefined && known.facts.rejection === undefined) return allocatedPod(known);
    return ports.runtime.observe(uid) === undefined ? [] : pod;
  });
}

/** Of a pod nothing is left. */
export function forgetPod(uid: string, memories: PodMemories, ports: SyncPorts): void {
  memories.delete(uid);
  ports.statusWriter.forget(uid);
  ports.objects.release(uid);
  ports.prober.keepOnly(uid, new Set());
}
