import type { Clock } from '#base/clock.ts';
import { leases } from '#api/schema/kind-ref.ts';
import type { Lease } from '#api/generated/objects.ts';
import { isAlreadyExists, isConflict, isNotFound } from '#client/api-error.ts';
import type { ApiClient } from '#client/client.ts';
import { microTime } from '#client/lease.ts';

export type LeaseView = 'ours' | 'anothers';

/** The Lease of a group of addresses: who holds it announces them. */
export interface GroupLease {
  /** Renews or takes it: where it is ours or free, where its holder is dead, or where nobody renewed it for its time. */
  hold(isHolderDead: boolean): Promise<LeaseView>;
  /** Free for another, if it is ours; removed where there is nothing more to announce. */
  release(isGone: boolean): Promise<void>;
}

export interface GroupLeaseOptions {
  readonly client: ApiClient;
  readonly clock: Clock;
  readonly identity: string;
  readonly name: string;
}

/** Where nothing else is held, so that who may write these may not write others' (decision 0109). */
export const leaseNamespace = 'kube-public';
const leaseSeconds = 15;

export function createGroupLease({ client, clock, identity, name }: GroupLeaseOptions): GroupLease {
  const where = { namespace: leaseNamespace, name };
  // The holder's clock may be wrong: what counts is how long it was seen unchanged.
  let seen = { version: '', atMs: 0 };
  const read = async (): Promise<Lease | undefined> => {
    try {
      return await client.get(leases, where);
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  };
  const write = async (lease: Lease | undefined): Promise<LeaseView> => {
    const renewTime = microTime(clock.now());
    const isOurs = lease?.spec?.holderIdentity === identity;
    const spec = {
      ...lease?.spec,
      holderIdentity: identity,
      leaseDurationSeconds: leaseSeconds,
      acquireTime: isOurs ? lease.spec?.acquireTime : renewTime,
      leaseTransitions: lease === undefined ? 0 : (lease.spec?.leaseTransitions ?? 0) + (isOurs ? 0 : 1),
      renewTime,
    };
    try {
      if (lease === undefined) await client.create(leases, { metadata: where, spec });
      else await client.update(leases, { ...lease, spec });
      return 'ours';
    } catch (error) {
      if (isConflict(error) || isAlreadyExists(error)) return 'anothers';
      throw error;
    }
  };
  return {
    hold: async (isHolderDead) => {
      const lease = await read();
      const { resourceVersion: version = '' } = lease?.metadata ?? {};
      if (version !== seen.version) seen = { version, atMs: clock.monotonic() };
      const holder = lease?.spec?.holderIdentity ?? '';
      const isOver = clock.monotonic() - seen.atMs >= leaseSeconds * 1000;
      if (holder !== '' && holder !== identity && !isHolderDead && !isOver) return 'anothers';
      return write(lease);
    },
    release: async (isGone) => {
      const lease = await read();
      if (lease?.spec?.holderIdentity !== identity) return;
      const { uid, resourceVersion } = lease.metadata ?? {};
      if (isGone) {
        await client.delete(leases, where, {
          preconditions: {
            ...(uid === undefined ? {} : { uid }),
            ...(resourceVersion === undefined ? {} : { resourceVersion }),
          },
        });
        return;
      }
      await client.update(leases, { ...lease, spec: { ...lease.spec, holderIdentity: '' } });
    },
  };
}
