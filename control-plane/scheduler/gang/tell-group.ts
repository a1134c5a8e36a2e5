import { describeError } from '#base/errors.ts';
import type { Condition, PodGroup } from '#api/generated/objects.ts';
import { objectKey } from '#api/meta/object.ts';
import { formatTime } from '#api/meta/time.ts';
import { podGroups } from '#api/schema/kind-ref.ts';
import { isConflict, isNotFound } from '#client/api-error.ts';
import type { Parts } from '#control-plane/scheduler/scheduler-parts.ts';

export type GroupState = Pick<Condition, 'reason' | 'message'> & { readonly status: 'True' | 'False' };

/**
 * The condition PodGroupScheduled; an event goes with one that says something new. A group that was scheduled once stays so, whatever
 * becomes of pods that come later (kube-scheduler 1.36 updatePodGroupCondition).
 */
export async function tellGroup(
  parts: Pick<Parts, 'informers' | 'client' | 'recorderFor' | 'logger' | 'clock'>,
  group: PodGroup,
  state: GroupState,
): Promise<void> {
  const latest = parts.informers.for(podGroups).get(objectKey(group)) ?? group;
  const before = latest.status?.conditions?.find(({ type }) => type === 'PodGroupScheduled');
  if (before?.status === 'True' && state.status !== 'True') return;
  const isSaid =
    before?.status === state.status && before.reason === state.reason && before.message === state.message;
  if (isSaid) return;
  if (state.status === 'False')
    parts
      .recorderFor('default-scheduler')
      .record({ kind: podGroups, object: latest }, 'Warning', 'FailedScheduling', state.message);
  const lastTransitionTime =
    before?.status === state.status ? before.lastTransitionTime : formatTime(parts.clock.now());
  await writeCondition(parts, latest, { type: 'PodGroupScheduled', ...state, lastTransitionTime });
}

/** A condition beside the others that the group has. */
export async function writeCondition(
  { informers, client, logger }: Pick<Parts, 'informers' | 'client' | 'logger'>,
  group: PodGroup,
  condition: Condition,
): Promise<void> {
  const { namespace = '', name = '', uid } = group.metadata ?? {};
  const body = { metadata: { uid }, status: { conditions: [condition] } };
  try {
    const patched = await client.patch(
      podGroups,
      { namespace, name },
      { kind: 'strategic', body, subresource: 'status' },
    );
    informers.for(podGroups).observe(patched);
  } catch (error) {
    if (isNotFound(error) || isConflict(error)) return; // Gone, or another of its name.
    logger.warn({ podGroup: objectKey(group), error: describeError(error) }, 'write its condition failed');
  }
}
