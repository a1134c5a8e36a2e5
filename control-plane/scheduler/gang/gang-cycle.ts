import { describeError } from '#base/errors.ts';
import type { Pod, PodGroup } from '#api/generated/objects.ts';
import { objectKey } from '#api/meta/object.ts';
import { pods } from '#api/schema/kind-ref.ts';
import { minCountOf } from '#api/pod/scheduling-group.ts';
import type { Decision } from '#control-plane/scheduler/decide.ts';
import type { ClaimReservation } from '#control-plane/scheduler/devices/device-binder.ts';
import type { Preemptor } from '#control-plane/scheduler/preempt/preemptor.ts';
import { isStillWaiting, schedulerNameOf, type Parts } from '#control-plane/scheduler/scheduler-parts.ts';
import { priorityOf } from '#control-plane/scheduler/snapshot.ts';
import { noteHeld, tellRefused } from '#control-plane/scheduler/tell-pod.ts';
import type { Reservation } from '#control-plane/scheduler/volumes/bind-volumes.ts';
import { gangScheduling } from './pod-groups.ts';
import { tellGroup } from './tell-group.ts';

/** What a pod was given for now; undone by disposing, unless it is bound. */
export interface Held extends Disposable {
  readonly volumes: Reservation | undefined;
  readonly devices: ClaimReservation | undefined;
}

/** What the scheduler does for one pod of a gang. */
export interface GangPorts {
  readonly parts: Parts;
  readonly preemptor: Preemptor;
  readonly decide: (pod: Pod) => Promise<Decision> | Decision;
  /** Counts the pod on the node, with what it needs there. @throws when that cannot be had */
  readonly hold: (pod: Pod, nodeName: string) => Held;
  readonly bind: (pod: Pod, nodeName: string, held: Held) => Promise<void>;
  /** Nobody else is decided meanwhile; what happens in the cluster is kept for those who wait then. */
  readonly alone: <T>(work: () => Promise<T>) => Promise<T>;
  /** What happened meanwhile may have helped pods that were just put among those that wait. */
  readonly wakeIfMissed: (pods: readonly (readonly [Pod, ReadonlySet<string>])[]) => void;
  /** Tries them again, though nothing happened. */
  readonly wakeAll: (pods: readonly Pod[]) => void;
}

type Unschedulable = Extract<Decision, { kind: 'unschedulable' }>;

/** What was found for a pod. */
type Found =
  | { readonly kind: 'node'; readonly pod: Pod; readonly nodeName: string; readonly held: Held }
  | { readonly kind: 'refused'; readonly pod: Pod; readonly decision: Unschedulable };

const waitingForGang = 'waiting for minCount pods from a gang to be scheduled';

/**
 * One try of a gang: all its pods that wait are decided, each counted for those that follow. If enough of them have nodes, with those that
 * are on nodes, they are bound; otherwise all is undone before anybody else is decided, and nothing stays taken (pod group cycle of
 * kube-scheduler 1.36, KEP-4671).
 */
export async function tryGang(ports: GangPorts, first: Pod, group: PodGroup): Promise<void> {
  const { parts } = ports;
  const key = objectKey(group);
  const isPutOff = parts.groups
    .membersOf(key)
    .map(objectKey)
    .some((one) => ports.preemptor.putsOff(one));
  if (isPutOff) return parts.pending.putUnschedulable(first, new Set([gangScheduling.name]));
  const members = gather(ports, first, key);
  if (members.length === 0) return;
  const why = members.map((pod) => parts.groups.hold(pod)).find((each) => each !== undefined);
  if (why !== undefined) {
    for (const pod of members) parts.pending.delete(objectKey(pod));
    await Promise.all(members.map((pod) => noteHeld(parts, pod, why)));
    return;
  }
  const names = new Set(members.map(schedulerNameOf));
  if (names.size > 1) {
    await failAll(ports, members, mixedNames([...names]));
    return;
  }
  const tried = await ports.alone(() => placeOrUndo(ports, members, group));
  if (typeof tried === 'string') {
    await failAll(ports, members, tried);
    await tellGroup(parts, group, { status: 'False', reason: 'SchedulerError', message: tried });
  } else if (tried.isEnough) await bindAll(ports, group, tried.found);
  else await refuseAll(ports, group, tried);
}

interface Tried {
  readonly found: readonly Found[];
  /** How many of the pods that were tried must have nodes. */
  readonly wanted: number;
  readonly isEnough: boolean;
}

/** Where too few have nodes, nothing is taken any more before anybody else is decided: what a gang tried with is not missing to others. */
async function placeOrUndo(
  ports: GangPorts,
  members: readonly Pod[],
  group: PodGroup,
): Promise<Tried | string> {
  const found = await placeMembers(ports, members);
  if (typeof found === 'string') return found;
  const placed = found.filter(({ kind }) => kind === 'node');
  const wanted = minCountOf(group) - scheduledCount(ports, objectKey(group), placed);
  const isEnough = placed.length >= wanted;
  if (!isEnough) undo(ports, found);
  return { found, wanted, isEnough };
}

/** The pods of the gang that wait, however they do: what helps one of them is tried with all. The most important, then the oldest first. */
function gather({ parts }: GangPorts, first: Pod, key: string): readonly Pod[] {
  const others = parts.groups.membersOf(key).map(objectKey);
  const taken = parts.pending.takeThese(others.filter((other) => other !== objectKey(first)));
  return [first, ...taken].toSorted(byTurn).filter((pod) => {
    const isWaiting = isStillWaiting(parts, pod);
    if (!isWaiting) parts.pending.delete(objectKey(pod));
    return isWaiting;
  });
}

function byTurn(a: Pod, b: Pod): number {
  const made = ({ metadata }: Pod): string => metadata?.creationTimestamp ?? '';
  if (priorityOf(a) !== priorityOf(b)) return priorityOf(b) - priorityOf(a);
  if (made(a) !== made(b)) return made(a) < made(b) ? -1 : 1;
  return objectKey(a) < objectKey(b) ? -1 : 1;
}

/** In the words of kube-scheduler 1.36. */
function mixedNames([one = '', other = '']: readonly string[]): string {
  return `all pods in a single pod group should have the same .spec.schedulerName set, got: "${one}" and "${other}"`;
}

/** How many of the gang are on nodes, or about to be, without those of this try. */
function scheduledCount({ parts }: GangPorts, key: string, placed: readonly { readonly pod: Pod }[]): number {
  const own = new Set(placed.map(({ pod }) => objectKey(pod)));
  return parts.groups.membersOf(key).filter((pod) => {
    const podKey = objectKey(pod);
    return !own.has(podKey) && ((pod.spec?.nodeName ?? '') !== '' || parts.cache.isAssumed(podKey));
  }).length;
}

/** All of them, or what failed, and then nothing is taken. */
async function placeMembers(ports: GangPorts, members: readonly Pod[]): Promise<readonly Found[] | string> {
  const found: Found[] = [];
  try {
    for (const pod of members) {
      const decision = await ports.decide(pod);
      if (decision.kind !== 'node') found.push({ kind: 'refused', pod, decision });
      else {
        const { nodeName } = decision;
        found.push({ kind: 'node', pod, nodeName, held: ports.hold(pod, nodeName) });
      }
    }
    return found;
  } catch (error) {
    undo(ports, found);
    return `failed to schedule other pod from a pod group: ${describeError(error)}`;
  }
}

function undo({ parts }: GangPorts, found: readonly Found[]): void {
  for (const one of found.toReversed())
    if (one.kind === 'node') {
      one.held[Symbol.dispose]();
      parts.cache.forget(objectKey(one.pod));
    }
}

async function failAll(
  { parts, preemptor }: GangPorts,
  members: readonly Pod[],
  message: string,
): Promise<void> {
  for (const pod of members) parts.pending.putFailed(parts.informers.for(pods).get(objectKey(pod)) ?? pod);
  await Promise.all(
    members.map((pod) => {
      const nodeName = preemptor.nominations.nodeOf(objectKey(pod));
      return tellRefused(parts, pod, { reason: 'SchedulerError', message, nodeName });
    }),
  );
}

async function bindAll(ports: GangPorts, group: PodGroup, found: readonly Found[]): Promise<void> {
  const { parts } = ports;
  const binding = found.flatMap((one) =>
    one.kind === 'node' ? [ports.bind(one.pod, one.nodeName, one.held)] : [],
  );
  const refused = found.filter((one) => one.kind === 'refused');
  for (const { pod, decision } of refused) parts.pending.putUnschedulable(pod, decision.refusedBy);
  await Promise.all([
    ...binding,
    ...refused.map(({ pod, decision: { message } }) =>
      tellRefused(parts, pod, { reason: 'Unschedulable', message, nodeName: undefined }),
    ),
    tellGroup(parts, group, { status: 'True', reason: 'Scheduled', message: '' }),
  ]);
}

/** Nothing is taken any more when others go for it. */
async function refuseAll(ports: GangPorts, group: PodGroup, { found, wanted }: Tried): Promise<void> {
  const { parts, preemptor } = ports;
  const waiting = found.map((one) => [one.pod, refusedByOf(one)] as const);
  for (const [pod, refusedBy] of waiting) parts.pending.putUnschedulable(pod, refusedBy);
  ports.wakeIfMissed(waiting);
  const members = found.map(({ pod }) => pod);
  const fits = found.filter(({ kind }) => kind === 'node').length;
  const isMissed = await preemptor.during(members, async () => {
    const { why, plan } = await preemptor.planGang(group, { members, wanted });
    const message = `pod group is unschedulable: ${fits} of ${wanted} pods that it needs find a node, pod group preemption: ${why}`;
    await Promise.all([
      ...found.map((one) => tellMember(ports, one)),
      tellGroup(parts, group, { status: 'False', reason: 'Unschedulable', message }),
    ]);
    if (plan !== undefined) await preemptor.evictForGang(group, plan);
  });
  if (isMissed) ports.wakeAll(members);
}

function refusedByOf(found: Found): ReadonlySet<string> {
  return found.kind === 'node' ? new Set([gangScheduling.name]) : found.decision.refusedBy;
}

async function tellMember({ parts, preemptor }: GangPorts, found: Found): Promise<void> {
  if (!isStillWaiting(parts, found.pod)) return;
  const nodeName = preemptor.nominations.nodeOf(objectKey(found.pod));
  const own = found.kind === 'node' ? waitingForGang : found.decision.message;
  const message = nodeName === undefined ? own : 'pod group is waiting for preemption to complete';
  await tellRefused(parts, found.pod, { reason: 'Unschedulable', message, nodeName });
}
