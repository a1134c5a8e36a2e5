import type { Clock } from '#base/clock.ts';
import { leases } from '#api/schema/kind-ref.ts';
import type { Lease } from '#api/generated/objects.ts';
import { isAlreadyExists, isConflict, isNotFound } from './api-error.ts';
import type { ApiClient, ObjectRef } from './client.ts';

export interface LeaderElectionOptions {
  readonly client: ApiClient;
  readonly where: ObjectRef;
  readonly identity: string;
  readonly clock: Clock;
  readonly leaseSeconds?: number;
  readonly retryMs?: number;
  readonly onError: (error: unknown) => void;
}

const defaultLeaseSeconds = 15;
const defaultRetryMs = 2000;

/**
 * Runs `lead` while the lease is held, again each time it is won, until the signal aborts. The signal of `lead` aborts when
 * the lease could not be renewed in time; whoever led must then stop before another begins.
 */
export async function runWithLease(
  options: LeaderElectionOptions,
  lead: (signal: AbortSignal) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const { clock, leaseSeconds = defaultLeaseSeconds, retryMs = defaultRetryMs } = options;
  // The holder's clock may be wrong: what counts is how long we have seen the lease unchanged.
  const seen: Seen = { renewTime: undefined, atMs: 0 };
  while (!signal.aborted) {
    if (await tryAcquire(options, seen)) {
      using term = new DisposableStack();
      const ended = new AbortController();
      term.defer(() => ended.abort(new DOMException('lease lost', 'AbortError')));
      const leading = lead(AbortSignal.any([signal, ended.signal]));
      let heldAtMs = clock.monotonic();
      for (;;) {
        await sleepQuietly(clock, retryMs, signal);
        const askedAtMs = clock.monotonic();
        // Given up at two thirds of the term, so that another cannot begin before this one stopped; and before asking, as a
        // process that was stopped itself leads on until it looks.
        if (signal.aborted || askedAtMs - heldAtMs >= (leaseSeconds * 1000 * 2) / 3) break;
        if (await tryAcquire(options, seen)) heldAtMs = askedAtMs;
      }
      ended.abort(new DOMException('lease lost', 'AbortError'));
      await leading.catch(options.onError);
      if (signal.aborted) await release(options);
    } else await sleepQuietly(clock, retryMs, signal);
  }
}

/** Whether `lease` may be taken: it is ours, free, or unchanged for longer than its term. */
export function canAcquireLease(lease: Lease, identity: string, unchangedMs: number): boolean {
  const { holderIdentity = '', leaseDurationSeconds = defaultLeaseSeconds } = lease.spec ?? {};
  return holderIdentity === '' || holderIdentity === identity || unchangedMs > leaseDurationSeconds * 1000;
}

interface Seen {
  renewTime: string | undefined;
  atMs: number;
}

async function tryAcquire(options: LeaderElectionOptions, seen: Seen): Promise<boolean> {
  const { client, where, identity, clock, leaseSeconds = defaultLeaseSeconds } = options;
  const renewTime = microTime(clock.now());
  try {
    const lease = await client.get(leases, where);
    const { renewTime: theirs } = lease.spec ?? {};
    if (theirs !== seen.renewTime) Object.assign(seen, { renewTime: theirs, atMs: clock.monotonic() });
    if (!canAcquireLease(lease, identity, clock.monotonic() - seen.atMs)) return false;
    const isOurs = lease.spec?.holderIdentity === identity;
    const spec = {
      ...lease.spec,
      holderIdentity: identity,
      leaseDurationSeconds: leaseSeconds,
      acquireTime: isOurs ? lease.spec?.acquireTime : renewTime,
      leaseTransitions: (lease.spec?.leaseTransitions ?? 0) + (isOurs ? 0 : 1),
      renewTime,
    };
    await client.update(leases, { ...lease, spec });
    return true;
  } catch (error) {
    if (isNotFound(error)) return createLease(options, renewTime);
    if (!isConflict(error)) options.onError(error);
    return false;
  }
}

async function createLease(options: LeaderElectionOptions, renewTime: string): Promise<boolean> {
  const { client, where, identity, leaseSeconds = defaultLeaseSeconds } = options;
  try {
    await client.create(leases, {
      metadata: { ...where },
      spec: {
        holderIdentity: identity,
        leaseDurationSeconds: leaseSeconds,
        acquireTime: renewTime,
        renewTime,
        leaseTransitions: 0,
      },
    });
    return true;
  } catch (error) {
    if (!isAlreadyExists(error)) options.onError(error);
    return false;
  }
}

/** So that another need not wait for the term to pass. */
async function release({ client, where, identity, onError }: LeaderElectionOptions): Promise<void> {
  try {
    const lease = await client.get(leases, where);
    if (lease.spec?.holderIdentity !== identity) return;
    await client.update(leases, { ...lease, spec: { ...lease.spec, holderIdentity: '' } });
  } catch (error) {
    onError(error);
  }
}

/** A time as MicroTime fields take it: six digits of a second. */
export function microTime(ms: number): string {
  return new Date(ms).toISOString().replace('Z', '000Z');
}

function sleepQuietly(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return clock.sleep(ms, signal).catch(() => undefined); // Only an abort rejects, and the loop asks for it.
}
