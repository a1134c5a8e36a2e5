import { describeError } from '#base/errors.ts';
import type { Pod, PodCondition } from '#api/generated/objects.ts';
import { objectKey } from '#api/meta/object.ts';
import { formatTime } from '#api/meta/time.ts';
import { observedCondition } from '#api/pod/observed-condition.ts';
import { pods } from '#api/schema/kind-ref.ts';
import { isConflict, isNotFound } from '#client/api-error.ts';
import { noteAttempt, schedulerNameOf, type Parts } from './scheduler-parts.ts';

/** Says why no node does for the pod, and which node it waits for. Whom it was told already need not hear it at every try. */
export async function tellRefused(
  parts: Omit<Parts, 'profiles' | 'groups' | 'pending' | 'cache'>,
  pod: Pod,
  {
    reason,
    message,
    nodeName,
  }: {
    readonly reason: 'Unschedulable' | 'SchedulerError';
    readonly message: string;
    readonly nodeName: string | undefined;
  },
): Promise<void> {
  noteAttempt(parts, pod, reason === 'Unschedulable' ? 'unschedulable' : 'error');
  const isNew = conditionOf(pod)?.message !== message;
  if (isNew)
    parts
      .recorderFor(schedulerNameOf(pod))
      .record({ kind: pods, object: pod }, 'Warning', 'FailedScheduling', message);
  if (!isNew && (pod.status?.nominatedNodeName ?? '') === (nodeName ?? '')) return;
  await setCondition(parts, pod, { reason, message }, nodeName);
}

export function noteGated(
  parts: Pick<Parts, 'informers' | 'client' | 'logger' | 'clock'>,
  pod: Pod,
): Promise<void> {
  const message = 'Scheduling is blocked due to non-empty scheduling gates';
  return setCondition(parts, pod, { reason: 'SchedulingGated', message });
}

/** Of a pod whose group is not there, or not complete: it is not tried, as if it had a gate. */
export function noteHeld(
  parts: Pick<Parts, 'informers' | 'client' | 'logger' | 'clock'>,
  pod: Pod,
  message: string,
): Promise<void> {
  return setCondition(parts, pod, { reason: 'SchedulingGated', message });
}

/** PodScheduled=False on the pod, unless it says so already. */
async function setCondition(
  { informers, client, logger, clock }: Pick<Parts, 'informers' | 'client' | 'logger' | 'clock'>,
  pod: Pod,
  why: { readonly reason: string; readonly message: string },
  nominatedNodeName?: string,
): Promise<void> {
  const { namespace = '', name = '', uid } = pod.metadata ?? {};
  const before = conditionOf(pod);
  const isSaid = before?.status === 'False' && before.reason === why.reason && before.message === why.message;
  const isNominated = (pod.status?.nominatedNodeName ?? '') === (nominatedNodeName ?? '');
  if (isSaid && isNominated) return;
  const lastTransitionTime = before?.status === 'False' ? before.lastTransitionTime : formatTime(clock.now());
  const conditions = [
    observedCondition(pod, { type: 'PodScheduled', status: 'False', lastTransitionTime, ...why }),
  ];
  const status = { conditions, ...(isNominated ? {} : { nominatedNodeName: nominatedNodeName ?? null }) };
  try {
    const patched = await client.patch(
      pods,
      { namespace, name },
      { kind: 'strategic', body: { metadata: { uid }, status }, subresource: 'status' },
    );
    informers.for(pods).observe(patched);
  } catch (error) {
    if (isNotFound(error) || isConflict(error)) return; // Gone, or another of its name.
    logger.warn({ pod: objectKey(pod), error: describeError(error) }, 'set PodScheduled condition failed');
  }
}

function conditionOf(pod: Pod): PodCondition | undefined {
  return pod.status?.conditions?.find(({ type }) => type === 'PodScheduled');
}
