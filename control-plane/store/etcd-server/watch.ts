import type { ServerDuplexStream, UntypedHandleCall } from '@grpc/grpc-js';
import { isPodwrightError, type PodwrightError } from '#base/errors.ts';
import type { Outgoing } from '#proto/contract.ts';
import type { Event, WatchCreateRequest, WatchRequest, WatchResponse } from '#proto/etcd/rpc.ts';
import type { StoreEvent, StoreWatch } from '#control-plane/store/store.ts';
import { failStream, headerOf, type ServeContext } from './calls.ts';
import { decodeRange, isInRange, prefixOfRange, type KeyRange } from './key-range.ts';
import { encodeKeyValue } from './range.ts';
import { statusOf, statusOfRefusal, type CallStatus } from './refusal.ts';

/** Of one stream: clients put all their watches on one. */
export const watchesMax = 4096;
/** What a client has not read; then its stream ends, and it begins anew where it was. */
export const unreadBytesMax = 16_777_216;
/** As etcd cuts answers for who asks for fragments: its bound of a request and 512 KiB. */
export const fragmentBytesMax = 2_097_152;
/** etcd's --experimental-watch-progress-notify-interval */
const progressMs = 600_000;
/** What an answer takes beside keys and values. */
const overheadBytes = 64;
const noWatch = -1;

type WatchStream = ServerDuplexStream<WatchRequest, Outgoing<WatchResponse>>;

interface Watch {
  readonly id: number;
  readonly range: KeyRange;
  readonly request: WatchCreateRequest;
  source: StoreWatch | undefined;
  /** Since the last turn of progress something was told. */
  isBusy: boolean;
}

/** etcdserverpb.Watch.Watch */
export function watchHandler(context: ServeContext): UntypedHandleCall {
  const handler = (stream: WatchStream): void => {
    if (context.mayCall(stream)) new Watches(context, stream).serve();
    else failStream(stream, statusOfRefusal('permissionDenied'));
  };
  return handler as UntypedHandleCall;
}

/** The watches of one stream, and all that they have to say in one order. */
class Watches {
  readonly #context: ServeContext;
  readonly #stream: WatchStream;
  readonly #watches = new Map<number, Watch>();
  readonly #onClosing = (): void => this.#fail(statusOfRefusal('stopped'));
  #nextId = 0;
  #unreadBytes = 0;
  #isOver = false;
  #isProgressAsked = false;
  #timer: Disposable;

  constructor(context: ServeContext, stream: WatchStream) {
    this.#context = context;
    this.#stream = stream;
    this.#timer = context.clock.after(progressMs, () => this.#tellQuiet());
  }

  serve(): void {
    const { closing } = this.#context;
    closing.addEventListener('abort', this.#onClosing, { once: true });
    this.#stream.on('data', (request: WatchRequest) => {
      if (this.#isOver) return;
      try {
        this.#take(request);
      } catch (error) {
        this.#fail(statusOf(error));
      }
    });
    this.#stream.on('end', () => {
      if (!this.#isOver) this.#stream.end();
      this.#close();
    });
    this.#stream.on('cancelled', () => this.#close());
    this.#stream.on('close', () => this.#close());
    if (closing.aborted) this.#onClosing();
  }

  #take({ create_request, cancel_request, progress_request }: WatchRequest): void {
    if (create_request !== undefined) this.#create(create_request);
    if (cancel_request !== undefined) this.#cancel(cancel_request.watch_id);
    if (progress_request !== undefined && !this.#isProgressAsked) {
      this.#isProgressAsked = true;
      this.#tellProgress();
    }
  }

  #create(request: WatchCreateRequest): void {
    const key = request.key.length === 0 ? Uint8Array.of(0) : request.key;
    const range = decodeRange(key, request.range_end);
    const id = request.watch_id === 0 ? this.#freeId() : request.watch_id;
    const problem = this.#problemOf(id, range, request);
    if (problem !== undefined) {
      this.#write({ watch_id: noWatch, created: true, canceled: true, cancel_reason: problem });
      return;
    }
    const watch: Watch = { id, range, request, source: undefined, isBusy: false };
    this.#watches.set(id, watch);
    this.#write({ watch_id: id, created: true });
    const { store } = this.#context;
    const revision = request.start_revision > 0 ? request.start_revision : store.revision + 1;
    try {
      watch.source = store.watchFrom({
        prefix: prefixOfRange(range),
        revision,
        onEvents: (events) => this.#tell(watch, events),
        onEnd: (error) => this.#endCompacted(watch, error),
      });
    } catch (error) {
      if (!isPodwrightError(error)) throw error;
      this.#endCompacted(watch, error);
    }
  }

  #problemOf(id: number, { from, to }: KeyRange, { range_end }: WatchCreateRequest): string | undefined {
    if (this.#watches.has(id)) return 'mvcc: duplicate watch ID provided on the WatchStream';
    if (to !== undefined && from >= to && range_end.length > 0) return 'mvcc: watcher range is empty';
    return this.#watches.size < watchesMax
      ? undefined
      : `podwright: a stream has ${watchesMax} watches at most`;
  }

  #freeId(): number {
    while (this.#watches.has(this.#nextId)) this.#nextId++;
    return this.#nextId++;
  }

  #cancel(id: number): void {
    const watch = this.#watches.get(id);
    if (watch === undefined) return;
    this.#forget(watch);
    this.#write({ watch_id: id, canceled: true });
  }

  #endCompacted(watch: Watch, error: PodwrightError): void {
    if (error.detail['compacted'] !== true) {
      this.#fail(statusOf(error));
      return;
    }
    this.#forget(watch);
    const { compactRevision } = this.#context.store;
    this.#write({ watch_id: watch.id, canceled: true, compact_revision: compactRevision });
  }

  #tell(watch: Watch, events: readonly StoreEvent[]): void {
    const { range, request } = watch;
    const filters = new Set(request.filters);
    const wanted = events.filter(
      ({ type, key }) => isInRange(range, key) && !filters.has(type === 'put' ? 'NOPUT' : 'NODELETE'),
    );
    if (wanted.length === 0) return;
    watch.isBusy = true;
    for (const piece of request.fragment ? cutEvents(wanted, request.prev_kv) : [wanted]) {
      this.#write(
        {
          watch_id: watch.id,
          events: piece.map((event) => encodeEvent(event, request.prev_kv)),
          fragment: piece.at(-1) !== wanted.at(-1),
        },
        bytesOf(piece, request.prev_kv),
      );
    }
  }

  /** Answers behind all that was written before, once every watch has been told all of it. */
  #tellProgress(): void {
    if (this.#isOver) return;
    if ([...this.#watches.values()].some(({ source }) => source?.isCurrent !== true)) {
      setImmediate(() => this.#tellProgress());
      return;
    }
    this.#isProgressAsked = false;
    this.#write({ watch_id: noWatch });
  }

  /** Who asked for it is told now and then how far the store is, when nothing else says so. */
  #tellQuiet(): void {
    if (this.#isOver) return;
    for (const watch of this.#watches.values()) {
      const isQuiet = watch.source?.isCurrent === true && !watch.isBusy;
      if (watch.request.progress_notify && isQuiet) this.#write({ watch_id: watch.id });
      watch.isBusy = false;
    }
    this.#timer = this.#context.clock.after(progressMs, () => this.#tellQuiet());
  }

  #write(response: Outgoing<WatchResponse>, bytes: number = overheadBytes): void {
    if (this.#isOver) return;
    // The first is taken whatever its size: who begins anew must get further.
    const isTooMuch = this.#unreadBytes > 0 && this.#unreadBytes + bytes > unreadBytesMax;
    this.#unreadBytes += bytes;
    if (isTooMuch) {
      this.#fail({ code: 14, details: 'podwright: the answers of this watch are not read' });
      return;
    }
    this.#stream.write({ header: headerOf(this.#context.store), ...response }, () => {
      this.#unreadBytes -= bytes;
    });
  }

  #forget(watch: Watch): void {
    watch.source?.[Symbol.dispose]();
    this.#watches.delete(watch.id);
  }

  #fail(status: CallStatus): void {
    if (this.#isOver) return;
    this.#close();
    failStream(this.#stream, status);
  }

  #close(): void {
    this.#isOver = true;
    this.#timer[Symbol.dispose]();
    this.#context.closing.removeEventListener('abort', this.#onClosing);
    for (const watch of [...this.#watches.values()]) this.#forget(watch);
  }
}

/** A deletion tells its key and revision only. */
function encodeEvent({ type, key, current, previous }: StoreEvent, hasPrevious: boolean): Outgoing<Event> {
  const kv =
    type === 'put' ? encodeKeyValue(current) : { key: Buffer.from(key), mod_revision: current.modRevision };
  return {
    type: type === 'put' ? 'PUT' : 'DELETE',
    kv,
    ...(hasPrevious && previous !== undefined ? { prev_kv: encodeKeyValue(previous) } : {}),
  };
}

function bytesOf(events: readonly StoreEvent[], hasPrevious: boolean): number {
  let bytes = overheadBytes;
  for (const { type, key, current, previous } of events) {
    bytes += overheadBytes + key.length + (type === 'put' ? current.value.length : 0);
    if (hasPrevious && previous !== undefined) bytes += overheadBytes + key.length + previous.value.length;
  }
  return bytes;
}

/** Pieces of at most `fragmentBytesMax`, or of one event. Pure. */
export function cutEvents(
  events: readonly StoreEvent[],
  hasPrevious: boolean,
): readonly (readonly StoreEvent[])[] {
  const pieces: StoreEvent[][] = [];
  let bytes = Infinity;
  for (const event of events) {
    const size = bytesOf([event], hasPrevious);
    if (bytes + size > fragmentBytesMax) {
      pieces.push([]);
      bytes = 0;
    }
    pieces.at(-1)?.push(event);
    bytes += size;
  }
  return pieces;
}
