import { describeError } from '#base/errors.ts';
import type { Binding, Pod } from '#api/generated/objects.ts';
import { objectKey } from '#api/meta/object.ts';
import { pods, type KindRef } from '#api/schema/kind-ref.ts';
import { isConflict, isNotFound } from '#client/api-error.ts';
import type { ClaimReservation } from './devices/device-binder.ts';
import { onNode } from './gang/trial-cluster.ts';
import type { MetricPoint, PointStatus, Profile } from './plugin.ts';
import { noteAttempt, schedulerNameOf, type Parts } from './scheduler-parts.ts';
import type { Reservation } from './volumes/bind-volumes.ts';

const bindings: KindRef<Binding> = {
  group: '',
  version: 'v1',
  kind: 'Binding',
  resource: 'pods',
  namespaced: true,
};

export interface Placement {
  readonly pod: Pod;
  readonly nodeName: string;
  /** Of volumes that it needs there; undefined: it has them. */
  readonly volumes: Reservation | undefined;
  /** Of devices; undefined: it has no claims of any. */
  readonly devices: ClaimReservation | undefined;
  readonly profile: Profile;
  /** Who writes the binding; undefined: the scheduler. */
  readonly bindBy: ((binding: Binding, byDefault: () => Promise<unknown>) => Promise<void>) | undefined;
}

type Timed = (point: MetricPoint, work: () => Promise<unknown>) => Promise<void>;

function pointTimer({ metrics, clock }: Pick<Parts, 'metrics' | 'clock'>, profile: string): Timed {
  return async (point, work) => {
    const sinceMs = clock.monotonic();
    const ended = (status: PointStatus): void =>
      metrics.ran({ point, profile, status }, (clock.monotonic() - sinceMs) / 1000);
    try {
      await work();
    } catch (error) {
      ended('Error');
      throw error;
    }
    ended('Success');
  };
}

function noteBound(
  { metrics, clock, pending }: Pick<Parts, 'metrics' | 'clock' | 'pending'>,
  key: string,
): void {
  const now = clock.monotonic();
  const { attempts, sinceMs, isFlushed } = pending.waitOf(key) ?? {
    attempts: 0,
    sinceMs: now,
    isFlushed: false,
  };
  metrics.bound(attempts + 1, { seconds: (now - sinceMs) / 1000, isFlushed });
}

/** Whether it was bound; what it would have taken of the node is free again otherwise. */
export async function bindPod(
  parts: Omit<Parts, 'profiles' | 'groups'>,
  { pod, nodeName, volumes, devices, profile, bindBy }: Placement,
  signal: AbortSignal,
): Promise<boolean> {
  const { informers, client, cache, pending, recorderFor, logger } = parts;
  const { namespace = '', name = '', uid } = pod.metadata ?? {};
  const key = objectKey(pod);
  // Before the write: the next decision must count this one, and the watch may be faster than the answer.
  cache.assume(onNode(pod, nodeName), nodeName);
  const timed = pointTimer(parts, profile.schedulerName);
  try {
    await timed('PreBind', async () => {
      await volumes?.bind(signal, profile.volumeBindMs);
      await devices?.bind(signal, profile.deviceBindMs);
    });
    const binding: Binding = {
      metadata: { name, namespace, uid },
      target: { apiVersion: 'v1', kind: 'Node', name: nodeName },
    };
    const bindByDefault = (): Promise<unknown> =>
      client.create(bindings, binding, { where: { namespace, name }, subresource: 'binding' });
    await timed('Bind', () => (bindBy === undefined ? bindByDefault() : bindBy(binding, bindByDefault)));
    noteAttempt(parts, pod, 'scheduled');
    noteBound(parts, key);
    pending.delete(key);
    recorderFor(schedulerNameOf(pod)).record(
      { kind: pods, object: pod },
      'Normal',
      'Scheduled',
      `Successfully assigned ${key} to ${nodeName}`,
    );
    return true;
  } catch (error) {
    cache.forget(key);
    noteAttempt(parts, pod, 'error');
    await devices
      ?.unbind()
      .catch((failure: unknown) =>
        logger.warn({ pod: key, error: describeError(failure) }, 'give claims back failed'),
      );
    if (isNotFound(error)) {
      pending.delete(key);
      return false;
    }
    if (!isConflict(error))
      logger.warn({ pod: key, node: nodeName, error: describeError(error) }, 'bind failed');
    const latest = informers.for(pods).get(key);
    if (latest?.metadata?.uid === uid && (latest?.spec?.nodeName ?? '') === '')
      pending.putFailed(latest ?? pod);
    return false;
  }
}
