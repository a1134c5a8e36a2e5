import type { Clock } from '#base/clock.ts';
import { leases } from '#api/schema/kind-ref.ts';
import type { Lease } from '#api/generated/objects.ts';
import { isAlreadyExists, isConflict, isNotFound } from '#client/api-error.ts';
import type { ApiClient } from '#client/client.ts';
import { microTime } from '#client/lease.ts';

export type LeaseView =
  | { readonly kind: 'ours' }
  /** Another has it, for so long at least if it does not renew it. */
  | { readonly kind: 'anothers'; readonly holder: string; readonly leftMs: number };

/** The Lease of a group of addresses: who holds it announces them. */
export interface GroupLease {
  /** Renews or takes it: where it is ours or free, where its holder is the one that is dead, or where nobody renewed it for its time. */
  hold(dead: string | undefined): Promise<LeaseView>;
  /** Free for another, if it is ours; removed where there is nothing more to announce. */
  release(isGone: boolean): Promise<void>;
}

export interface GroupLeaseOptions {
  readonly client: ApiClient;
  readonly clock: Clock;
  readonly identity: string;
  readonly name: string;
  /** After so many without a renewal it is anybody's. */
  readonly leaseSeconds: number;
}

/** Where nothing else is held, so that who may write these may not write others' (decision 0109). */
export const leaseNamespace = 'kube-public';

export function createGroupLease(options: GroupLeaseOptions): GroupLease {
  const { client, clock, identity, name, leaseSeconds } = options;
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
  const look = (lease: Lease | undefined): Extract<LeaseView, { readonly kind: 'anothers' }> => {
    const { resourceVersion: version = '' } = lease?.metadata ?? {};
    if (version !== seen.version) seen = { version, atMs: clock.monotonic() };
    const leftMs = seen.atMs + leaseSeconds * 1000 - clock.monotonic();
    return { kind: 'anothers', holder: lease?.spec?.holderIdentity ?? '', leftMs };
  };
  /** Whether it came to be written. */
  const write = async (lease: Lease | undefined): Promise<boolean> => {
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
      return true;
    } catch (error) {
      if (isConflict(error) || isAlreadyExists(error)) return false;
      throw error;
    }
  };
  return {
    hold: async (dead) => {
      const lease = await read();
      const view = look(lease);
      const { holder, leftMs } = view;
      const isAnothers = holder !== '' && holder !== identity && holder !== dead && leftMs > 0;
      if (isAnothers) return view;
      // Somebody was faster.
      return (await write(lease)) ? { kind: 'ours' } : look(await read());
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
