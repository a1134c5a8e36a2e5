import { checkServerIdentity } from 'node:tls';
import type { ChannelCredentials, Client, ClientDuplexStream, ServiceError } from '@grpc/grpc-js';
import { backoffMs, type Backoff } from '#base/backoff.ts';
import type { Clock } from '#base/clock.ts';
import { isPodwrightError, PodwrightError } from '#base/errors.ts';
import { familyOfIp } from '#base/ip.ts';
import type { Method, Outgoing } from '#proto/contract.ts';
import type { Services, WatchRequest, WatchResponse } from '#proto/etcd/rpc.ts';
import { loadContract, type LoadedContract } from '#proto/load.ts';
import { parseEndpoints, type EtcdTls } from './endpoints.ts';
import { etcdError, isTransient } from './status.ts';

export interface EtcdClientOptions {
  /** URLs of the members, tried in turn. */
  readonly endpoints: readonly string[];
  readonly tls?: EtcdTls;
  readonly clock: Clock;
}

export interface Answer<T> {
  readonly response: T;
  /** Above 1: an earlier try may have been carried out without its answer. */
  readonly tries: number;
}

/** How slow a member may be before another is asked: what goes to one whose leader has just died is often never answered. */
const patience: Backoff = { initialMs: 1000, factor: 1.5, maxMs: 2500 };
/** How long a request is tried in all. */
export const requestMsMax = 10_000;
const backoff: Backoff = { initialMs: 50, factor: 2, maxMs: 1000 };
/** Of one answer: pages are asked for again in smaller pieces, and etcd cuts what it tells watchers at 2 MiB. */
const messageBytesMax = 67_108_864;

const channelOptions = {
  'grpc.max_receive_message_length': messageBytesMax,
  // A peer that vanished without a word is found out (etcd takes a ping every 5 s, and only while there is a stream).
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 5000,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.min_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1000,
  // The members are named; a proxy of the environment is for other things.
  'grpc.enable_http_proxy': 0,
  'grpc.use_local_subchannel_pool': 1,
};

interface Member {
  readonly address: string;
  readonly client: Client;
  /** When it last answered anything. */
  heardAtMs: number;
}

/** Loads gRPC. Nothing is connected yet. @throws E_USAGE when a URL is none */
export async function createEtcdClient(options: EtcdClientOptions): Promise<EtcdClient> {
  parseEndpoints(options.endpoints);
  return new EtcdClient(options, await loadContract('etcd-v3'));
}

/** Calls of etcd's members: one is asked until it fails, then the next. Every call has a deadline. */
export class EtcdClient implements Disposable {
  readonly services: Services;
  readonly #clock: Clock;
  readonly #grpc: LoadedContract<'etcd-v3'>['grpc'];
  readonly #members: readonly Member[];
  readonly #calls = new Set<{ cancel(): void }>();
  readonly #watches = new Set<{ cancel(): void }>();
  readonly #closed = new AbortController();
  #at = 0;

  constructor({ endpoints, tls, clock }: EtcdClientOptions, { grpc, services }: LoadedContract<'etcd-v3'>) {
    const { addresses, isSecure } = parseEndpoints(endpoints);
    this.services = services;
    this.#clock = clock;
    this.#grpc = grpc;
    this.#members = addresses.map((address) => ({
      address,
      heardAtMs: -Infinity,
      client: new grpc.Client(address, credentialsFor(grpc, address, isSecure ? (tls ?? {}) : undefined), {
        ...channelOptions,
        ...(familyOfIp(hostOf(address)) === undefined
          ? {}
          : { 'grpc.ssl_target_name_override': nameOfAddress }),
      }),
    }));
  }

  /** Asks once. What failed by E_CONNECTION or E_TIMEOUT may have been done all the same. @throws as `etcdError` */
  async once<Q, R>(
    what: string,
    method: Method<Q, R>,
    request: Outgoing<Q>,
    ms: number = requestMsMax,
  ): Promise<R> {
    this.#checkOpen(what);
    const member = this.#member();
    const { promise, resolve, reject } = Promise.withResolvers<R>();
    let isLate = false;
    const askedAtMs = this.#clock.monotonic();
    const onAnswer = (error: ServiceError | null, response?: R): void => {
      this.#calls.delete(call);
      timer[Symbol.dispose]();
      if (error === null && response !== undefined) {
        member.heardAtMs = this.#clock.monotonic();
        resolve(response);
        return;
      }
      const where = `${what} in etcd ${member.address}`;
      const failure = isLate
        ? new PodwrightError('E_TIMEOUT', `${where}: no answer in ${Math.round(ms)} ms`)
        : this.#failureOf(where, error);
      // One that answers others meanwhile is slow, not away: to leave it would only make every member do more, and end the watches.
      const isSlow = isLate && member.heardAtMs > askedAtMs;
      if (isTransient(failure) && !isSlow) this.leave(member.address);
      reject(failure);
    };
    const { path, requestSerialize, responseDeserialize } = method;
    const call = member.client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      new this.#grpc.Metadata(),
      onAnswer,
    );
    this.#calls.add(call);
    // Not by gRPC's deadline, which is a time of day: who sets the clock would end or keep what is under way.
    const timer = this.#clock.after(ms, () => {
      isLate = true;
      call.cancel();
    });
    return promise;
  }

  /** Asks until there is an answer, one member after another: for what may be asked twice. @throws as `etcdError` */
  async ask<Q, R>(what: string, method: Method<Q, R>, request: Outgoing<Q>): Promise<Answer<R>> {
    const endMs = this.#clock.monotonic() + requestMsMax;
    for (let tries = 1; ; tries++) {
      const leftMs = endMs - this.#clock.monotonic();
      try {
        const response = await this.once(what, method, request, Math.min(leftMs, backoffMs(patience, tries)));
        return { response, tries };
      } catch (error) {
        const waitMs = backoffMs(backoff, Math.max(0, tries - this.#members.length + 1));
        const isOver = this.#clock.monotonic() + waitMs >= endMs;
        if (isOver || !isPodwrightError(error) || !isTransient(error)) throw error;
        await this.#clock.sleep(waitMs, this.#closed.signal);
        if (this.#clock.monotonic() >= endMs) throw error; // A busy process wakes late.
      }
    }
  }

  /** A stream of watches at the present member, which ends itself when that one loses its leader. The caller ends it. */
  openWatch(): ClientDuplexStream<Outgoing<WatchRequest>, WatchResponse> {
    this.#checkOpen('watch etcd');
    const { path, requestSerialize, responseDeserialize } = this.services['etcdserverpb.Watch'].Watch;
    const metadata = new this.#grpc.Metadata();
    metadata.set('hasleader', 'true');
    const member = this.#member();
    const { client } = member;
    const stream = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, metadata, {});
    this.#watches.add(stream);
    stream.on('data', () => (member.heardAtMs = this.#clock.monotonic()));
    stream.on('status', () => this.#watches.delete(stream));
    return stream;
  }

  /** The address of the member that is asked now. */
  get address(): string {
    return this.#member().address;
  }

  /** Turns to the next member if that is the one that is asked now, and ends its watches: it may hang and never say so. */
  leave(address: string): void {
    if (this.#members.length < 2 || this.#member().address !== address) return;
    this.#at = (this.#at + 1) % this.#members.length;
    for (const watch of this.#watches) watch.cancel();
  }

  [Symbol.dispose](): void {
    this.#closed.abort(new PodwrightError('E_CLOSED', 'use store: it is closed'));
    for (const call of [...this.#calls, ...this.#watches]) call.cancel();
    for (const { client } of this.#members) client.close();
  }

  #member(): Member {
    const member = this.#members[this.#at];
    if (member === undefined) throw new PodwrightError('E_INTERNAL', 'choose an etcd member: there is none');
    return member;
  }

  #failureOf(what: string, error: ServiceError | null): PodwrightError {
    if (this.#closed.signal.aborted) return new PodwrightError('E_CLOSED', 'use store: it is closed');
    if (error === null) return new PodwrightError('E_INTERNAL', `${what}: neither answer nor error`);
    return etcdError(what, error);
  }

  #checkOpen(what: string): void {
    if (this.#closed.signal.aborted) throw new PodwrightError('E_CLOSED', `${what}: the store is closed`);
  }
}

/** TLS sends the name of whom it wants to talk to, and an address is no name (RFC 6066 section 3): any will do then. */
const nameOfAddress = 'etcd';

function hostOf(address: string): string {
  return address.slice(0, address.lastIndexOf(':')).replace(/^\[(.*)\]$/, '$1');
}

/** `tls` undefined: without. */
function credentialsFor(
  { credentials }: LoadedContract<'etcd-v3'>['grpc'],
  address: string,
  tls: EtcdTls | undefined,
): ChannelCredentials {
  if (tls === undefined) return credentials.createInsecure();
  const pem = (text: Uint8Array | undefined): Buffer | null =>
    text === undefined ? null : Buffer.from(text);
  return credentials.createSsl(pem(tls.ca), pem(tls.key), pem(tls.cert), {
    checkServerIdentity: (_name, certificate) => checkServerIdentity(hostOf(address), certificate),
  });
}
