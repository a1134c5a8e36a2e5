import { backoffMs, type Backoff } from '#base/backoff.ts';
import type { Clock } from '#base/clock.ts';
import { isPodwrightError, PodwrightError } from '#base/errors.ts';
import type { Event, ResponseHeader, WatchResponse } from '#proto/etcd/rpc.ts';
import type { EtcdClient } from './client.ts';
import { etcdError, type CallStatus } from './status.ts';

export interface Follower {
  /** The first revision that was not told yet. */
  readonly next: () => number;
  /** Whole revisions, in order, from `next` on. */
  readonly onEvents: (events: readonly Event[]) => void;
  /** Of each answer; throws when it is of another etcd. */
  readonly onHeader: (header: ResponseHeader | null) => void;
  /** What was not told yet is compacted: the follower starts anew and then says another `next`. */
  readonly onGap: () => Promise<void>;
  /** undefined: it follows (again). */
  readonly onState: (failure: PodwrightError | undefined) => void;
}

const backoff: Backoff = { initialMs: 50, factor: 2, maxMs: 1000 };
/** Every key there is: each revision has an event then, so that the last one that was told says how far that is. */
const everything: Uint8Array = Uint8Array.of(0);

/** Tells the follower what happens in etcd until the signal, over lost connections, without a gap or a repeat. */
export async function followEtcd(
  client: EtcdClient,
  follower: Follower,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  let failures = 0;
  while (!signal.aborted) {
    try {
      await followOnce(client, follower, () => (failures = 0), signal);
    } catch (error) {
      if (signal.aborted) return;
      failures++;
      const failure = isPodwrightError(error)
        ? error
        : new PodwrightError('E_INTERNAL', 'follow etcd', { cause: error });
      if (failure.detail['compacted'] !== true) follower.onState(failure);
      await clock.sleep(backoffMs(backoff, failures), signal).catch(() => {});
    }
  }
}

/** One stream; ends by throwing. */
async function followOnce(
  client: EtcdClient,
  follower: Follower,
  onUp: () => void,
  signal: AbortSignal,
): Promise<void> {
  const { address } = client;
  const what = `watch etcd ${address}`;
  const stream = client.openWatch();
  const { promise, reject } = Promise.withResolvers<never>();
  const gather = createGatherer(follower.onEvents);
  stream.on('data', (response: WatchResponse) => {
    try {
      follower.onHeader(response.header);
      checkGoesOn(what, response);
      if (response.created) {
        onUp();
        follower.onState(undefined);
      }
      gather(response);
    } catch (error) {
      reject(error);
    }
  });
  stream.on('error', (error: Error & CallStatus) => reject(etcdError(what, error)));
  stream.on('end', () => reject(new PodwrightError('E_CONNECTION', `${what}: it ended the watch`)));
  const onAbort = (): void => reject(new PodwrightError('E_CLOSED', `${what}: the store is closed`));
  signal.addEventListener('abort', onAbort, { once: true });
  stream.write({
    create_request: {
      key: everything,
      range_end: everything,
      start_revision: follower.next(),
      fragment: true,
    },
  });
  try {
    await promise;
  } catch (error) {
    if (!isPodwrightError(error) || error.detail['compacted'] !== true) {
      client.leave(address);
      throw error;
    }
    await follower.onGap();
  } finally {
    signal.removeEventListener('abort', onAbort);
    stream.cancel();
  }
}

/** @throws E_NOT_FOUND { compacted: true }, or E_CONNECTION when etcd ended the watch (it has no leader) */
function checkGoesOn(what: string, response: WatchResponse): void {
  if (!response.canceled) return;
  if (response.compact_revision > 0) {
    const message = `${what}: compacted up to ${response.compact_revision}`;
    throw new PodwrightError('E_NOT_FOUND', message, { detail: { compacted: true } });
  }
  throw new PodwrightError('E_CONNECTION', `${what}: ${response.cancel_reason || 'it cancelled the watch'}`);
}

/** Puts answers that come in pieces together: etcd cuts by size, also within a revision. */
export function createGatherer(
  onEvents: (events: readonly Event[]) => void,
): (response: Pick<WatchResponse, 'events' | 'fragment'>) => void {
  let pieces: Event[] = [];
  return ({ events, fragment }) => {
    pieces.push(...events);
    if (fragment) return;
    const whole = pieces;
    pieces = [];
    if (whole.length > 0) onEvents(whole);
  };
}
