import { randomInt } from 'node:crypto';
import type { ServerDuplexStream, UntypedHandleCall } from '@grpc/grpc-js';
import type { Outgoing } from '#proto/contract.ts';
import type {
  LeaseGrantRequest,
  LeaseGrantResponse,
  LeaseKeepAliveRequest,
  LeaseKeepAliveResponse,
  LeaseLeasesResponse,
  LeaseRevokeRequest,
  LeaseRevokeResponse,
  LeaseTimeToLiveRequest,
  LeaseTimeToLiveResponse,
} from '#proto/etcd/rpc.ts';
import { failStream, headerOf, unary, type Handlers, type ServeContext } from './calls.ts';
import { refusal, statusOf, statusOfRefusal } from './refusal.ts';

/** As etcd's, where an election takes a second; and its most. */
const ttlSecondsMin = 2;
const ttlSecondsMax = 9_000_000_000;
/** Ids are chosen at random, so that none comes again, and such that a number holds them. */
const idMax = 2 ** 48 - 1;
/** How late a lease may end. */
const expiryMs = 500;

/** etcdserverpb.Lease */
export function leaseHandlers(context: ServeContext): Handlers {
  const { store } = context;
  const grant = async ({ TTL, ID }: LeaseGrantRequest): Promise<Outgoing<LeaseGrantResponse>> => {
    if (TTL > ttlSecondsMax) throw refusal('leaseTtlTooLarge');
    if (!Number.isSafeInteger(ID)) throw refusal('leaseIdNotExact');
    const ttlSeconds = Math.max(TTL, ttlSecondsMin);
    const id = await store.grantLease(ttlSeconds, ID === 0 ? randomInt(1, idMax) : ID);
    return { header: headerOf(store), ID: id, TTL: ttlSeconds };
  };
  const revoke = async ({ ID }: LeaseRevokeRequest): Promise<Outgoing<LeaseRevokeResponse>> => {
    if (store.lease(ID) === undefined) throw refusal('leaseNotFound');
    await store.revokeLease(ID);
    return { header: headerOf(store) };
  };
  const timeToLive = ({ ID, keys }: LeaseTimeToLiveRequest): Outgoing<LeaseTimeToLiveResponse> => {
    const lease = store.lease(ID);
    if (lease === undefined) return { header: headerOf(store), ID, TTL: -1 };
    return {
      header: headerOf(store),
      ID,
      TTL: Math.floor(lease.leftMs / 1000),
      grantedTTL: lease.ttlSeconds,
      keys: keys ? lease.keys.map((key) => Buffer.from(key)) : [],
    };
  };
  const all = (): Outgoing<LeaseLeasesResponse> => ({
    header: headerOf(store),
    leases: store.leases().map(({ id }) => ({ ID: id })),
  });
  return {
    LeaseGrant: unary(context, grant),
    LeaseRevoke: unary(context, revoke),
    LeaseKeepAlive: keepAlive(context),
    LeaseTimeToLive: unary(context, timeToLive),
    LeaseLeases: unary(context, all),
  };
}

/** Ends leases soon after their time, which the engine itself looks for every ten seconds only. */
export function keepExpiring({ store, clock, closing }: ServeContext): Disposable {
  let timer: Disposable;
  const look = (): void => {
    if (closing.aborted) return;
    // What fails now is tried again, and the store says why it does not write.
    void store.expireLeases().then(wait, wait);
  };
  const wait = (): void => {
    if (!closing.aborted) timer = clock.after(expiryMs, look);
  };
  wait();
  return { [Symbol.dispose]: () => timer[Symbol.dispose]() };
}

type KeepAliveStream = ServerDuplexStream<LeaseKeepAliveRequest, Outgoing<LeaseKeepAliveResponse>>;

/** One question at a time: whoever asks faster than the disk answers is not read on. */
function keepAlive(context: ServeContext): UntypedHandleCall {
  const { store } = context;
  const serve = async (stream: KeepAliveStream): Promise<void> => {
    for await (const { ID } of stream as AsyncIterable<LeaseKeepAliveRequest>) {
      const TTL = (await store.renewLease(ID)) ?? 0;
      if (stream.cancelled) return;
      stream.write({ header: headerOf(store), ID, TTL });
    }
    stream.end();
  };
  const handler = (stream: KeepAliveStream): void => {
    if (!context.mayCall(stream)) {
      failStream(stream, statusOfRefusal('permissionDenied'));
      return;
    }
    const onClosing = (): void => failStream(stream, statusOfRefusal('stopped'));
    context.closing.addEventListener('abort', onClosing, { once: true });
    serve(stream)
      .catch((error: unknown) => {
        if (!stream.cancelled) failStream(stream, statusOf(error));
      })
      .finally(() => context.closing.removeEventListener('abort', onClosing));
  };
  return handler as UntypedHandleCall;
}
