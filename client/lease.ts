import type { Clock } from '#base/clock.ts';
import { PodwrightError } from '#base/errors.ts';
import { leases } from '#api/schema/kind-ref.ts';
import type { Lease } from '#api/generated/objects.ts';
import { isAlreadyExists, isConflict, isNotFound } from './api-error.ts';
import type { ApiClient, ObjectRef } from './client.ts';

export interface LeaderElectionOptions {
  readonly client: ApiClient;
  readonly where: ObjectRef;
  readonly identity: string;
  readonly clock: Clock;
  readonly onError: (error: unknown) => void;
  /**
   * Told when work goes on although another may lead by now (`leaseMs` after the last renewal): its signal has aborted, and it did not
   * end. Whatever it still does is done by two; a process that cannot make it end had better end itself.
   */
  readonly onOverrun?: (() => void) | undefined;
  /** Default `defaultLeaseTimes`. */
  readonly times?: LeaseTimes | undefined;
}

/** Each longer than the one before. */
export interface LeaseTimes {
  /** Between two looks at a lease that another holds. */
  readonly lookMs: number;
  readonly renewMs: number;
  /** Without a renewal for so long, the term ends. */
  readonly holderEndsMs: number;
  /** For how long others wait for a holder of whom nothing is known: whole seconds. */
  readonly leaseMs: number;
}

/** What the Lease says: how long anybody waits for a holder of whom nothing more is known. As client-go's. */
export const leaseSeconds = 15;
const renewMs = 2000;
const lookMs = 1000;
/**
 * A holder of ours has ended by itself when it could not renew for so long, and the Lease says so; another of ours need not wait for the
 * whole term then, only for what clocks may differ in their pace and a busy process be late.
 */
export const holderEndsMs = 7000;
const marginMs = 2000;
/** What the end of a term waits for an API that does not answer, so that others need not wait. */
const releaseMsMax = 5000;
/** Those of client-go, and a holder that ends in half of its term. */
export const defaultLeaseTimes: LeaseTimes = { lookMs, renewMs, holderEndsMs, leaseMs: leaseSeconds * 1000 };
/** `IDENTITY MILLISECONDS`: what it promises holds for that holder only, as others leave annotations as they are. */
const endsAnnotation = 'podwright.holder-ends-ms';

/**
 * Runs `lead` while the lease is held, again each time it is won, until the signal aborts or `lead` ends by itself. The signal of `lead`
 * aborts when the lease could not be renewed in time; whoever led must then stop before another begins. A `lead` that throws gives the
 * lease back, and waits its turn like the others.
 * @throws {E_INVALID} for times that do not fit together
 */
export async function runWithLease(
  options: LeaderElectionOptions,
  lead: (signal: AbortSignal) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const { clock } = options;
  const { lookMs } = checkTimes(timesOf(options));
  // The holder's clock may be wrong: what counts is how long we have seen the lease unchanged.
  const seen: Seen = { version: undefined, atMs: 0 };
  while (!signal.aborted) {
    const askedAtMs = clock.monotonic();
    const attempt = await tryAcquire(options, seen);
    if (!attempt.isHeld) {
      await sleepQuietly(clock, Math.min(lookMs, attempt.dueMs), signal);
      continue;
    }
    const ending = await holdLease(options, lead, { seen, signal, heldAtMs: askedAtMs });
    if (ending === 'done') return;
    if (ending === 'failed') await sleepQuietly(clock, lookMs * 2, signal); // The others look before.
  }
}

function timesOf({ times = defaultLeaseTimes }: LeaderElectionOptions): LeaseTimes {
  return times;
}

function checkTimes(times: LeaseTimes): LeaseTimes {
  const { lookMs, renewMs, holderEndsMs, leaseMs } = times;
  if (lookMs > 0 && renewMs > 0 && renewMs < holderEndsMs && holderEndsMs < leaseMs && leaseMs % 1000 === 0)
    return times;
  throw new PodwrightError(
    'E_INVALID',
    `hold a lease: renewMs ${renewMs} < holderEndsMs ${holderEndsMs} < leaseMs ${leaseMs}, in whole seconds, does not hold`,
  );
}

/** How a term came to its end: by the signal or without a renewal, or because the work did. */
type Ending = 'over' | 'done' | 'failed';

interface Term {
  readonly seen: Seen;
  readonly signal: AbortSignal;
  readonly heldAtMs: number;
}

/** One term. It ends in its time, whatever a renewal is waiting for. */
async function holdLease(
  options: LeaderElectionOptions,
  lead: (signal: AbortSignal) => Promise<void>,
  { seen, signal, heldAtMs }: Term,
): Promise<Ending> {
  const { clock } = options;
  const { renewMs, holderEndsMs, leaseMs } = timesOf(options);
  const ended = new AbortController();
  const end = (): void => ended.abort(new DOMException('lease lost', 'AbortError'));
  const termOver = AbortSignal.any([signal, ended.signal]);
  const endAfter = (fromMs: number): Disposable =>
    clock.after(fromMs + holderEndsMs - clock.monotonic(), end);
  let ending = endAfter(heldAtMs);
  using _term = { [Symbol.dispose]: () => ending[Symbol.dispose]() };

  const leading = leadUntilOver(options, lead, termOver);
  void leading.then(end);
  let endsAtMs = heldAtMs + holderEndsMs;
  while (!termOver.aborted) {
    await sleepQuietly(clock, renewMs, termOver);
    const askedAtMs = clock.monotonic();
    // Before asking, too: a process that was stopped itself finds its timers late.
    if (termOver.aborted || askedAtMs >= endsAtMs) break;
    const attempt = await tryAcquire(options, seen);
    if (attempt.isAnothers) break;
    if (!attempt.isHeld || termOver.aborted) continue;
    ending[Symbol.dispose]();
    ending = endAfter(askedAtMs);
    endsAtMs = askedAtMs + holderEndsMs;
  }
  end();
  const lastMs = leaseMs - holderEndsMs - Math.max(0, clock.monotonic() - endsAtMs);
  using _overrun = signal.aborted ? undefined : clock.after(lastMs, () => options.onOverrun?.());
  const how = await leading;
  if (signal.aborted || how !== 'over') await releaseSoon(options);
  return how;
}

async function leadUntilOver(
  { onError }: LeaderElectionOptions,
  lead: (signal: AbortSignal) => Promise<void>,
  over: AbortSignal,
): Promise<Ending> {
  if (over.aborted) return 'over';
  try {
    await lead(over);
    return over.aborted ? 'over' : 'done';
  } catch (error) {
    onError(error);
    return over.aborted ? 'over' : 'failed';
  }
}

async function releaseSoon(options: LeaderElectionOptions): Promise<void> {
  const late = Promise.withResolvers<void>();
  using _timer = options.clock.after(releaseMsMax, late.resolve);
  await Promise.race([release(options), late.promise]);
}

/** For how long a lease has to be seen unchanged before it may be taken; 0: it is ours or free. */
export function waitForLease({ metadata, spec }: Lease, identity: string): number {
  const { holderIdentity = '', leaseDurationSeconds = leaseSeconds } = spec ?? {};
  if (holderIdentity === '' || holderIdentity === identity) return 0;
  const [holder, endsMs] = metadata?.annotations?.[endsAnnotation]?.split(' ') ?? [];
  const promisedMs = Number(endsMs);
  const wholeMs = leaseDurationSeconds * 1000;
  return holder === holderIdentity && promisedMs > 0 ? Math.min(wholeMs, promisedMs + marginMs) : wholeMs;
}

interface Seen {
  version: string | undefined;
  atMs: number;
}

interface Attempt {
  readonly isHeld: boolean;
  /** Somebody else holds it. */
  readonly isAnothers: boolean;
  /** When it may be taken unless it is renewed, from now on. */
  readonly dueMs: number;
}

const held: Attempt = { isHeld: true, isAnothers: false, dueMs: 0 };
const notNow: Attempt = { isHeld: false, isAnothers: false, dueMs: Infinity };

async function tryAcquire(options: LeaderElectionOptions, seen: Seen): Promise<Attempt> {
  const { client, where, identity, clock } = options;
  const renewTime = microTime(clock.now());
  try {
    const lease = await client.get(leases, where);
    const { resourceVersion } = lease.metadata ?? {};
    if (resourceVersion !== seen.version)
      Object.assign(seen, { version: resourceVersion, atMs: clock.monotonic() });
    const waitMs = waitForLease(lease, identity);
    const dueMs = seen.atMs + waitMs - clock.monotonic();
    if (waitMs > 0 && dueMs > 0) return { isHeld: false, isAnothers: true, dueMs };
    const isOurs = lease.spec?.holderIdentity === identity;
    const spec = {
      ...lease.spec,
      holderIdentity: identity,
      leaseDurationSeconds: timesOf(options).leaseMs / 1000,
      acquireTime: isOurs ? lease.spec?.acquireTime : renewTime,
      leaseTransitions: (lease.spec?.leaseTransitions ?? 0) + (isOurs ? 0 : 1),
      renewTime,
    };
    await client.update(leases, {
      ...lease,
      metadata: { ...lease.metadata, ...promiseOf(options, lease) },
      spec,
    });
    return held;
  } catch (error) {
    if (isNotFound(error)) return createLease(options, renewTime);
    if (!isConflict(error)) options.onError(error);
    return notNow;
  }
}

function promiseOf(
  options: LeaderElectionOptions,
  lease?: Lease,
): Pick<NonNullable<Lease['metadata']>, 'annotations'> {
  const promise = `${options.identity} ${timesOf(options).holderEndsMs}`;
  return { annotations: { ...lease?.metadata?.annotations, [endsAnnotation]: promise } };
}

async function createLease(options: LeaderElectionOptions, renewTime: string): Promise<Attempt> {
  const { client, where, identity } = options;
  try {
    await client.create(leases, {
      metadata: { ...where, ...promiseOf(options) },
      spec: {
        holderIdentity: identity,
        leaseDurationSeconds: timesOf(options).leaseMs / 1000,
        acquireTime: renewTime,
        renewTime,
        leaseTransitions: 0,
      },
    });
    return held;
  } catch (error) {
    if (!isAlreadyExists(error)) options.onError(error);
    return notNow;
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
