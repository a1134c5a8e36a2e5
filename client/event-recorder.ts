import type { Backoff } from '#base/backoff.ts';
import type { Clock } from '#base/clock.ts';
import { describeError } from '#base/errors.ts';
import { KeyedQueue } from '#base/keyed-queue.ts';
import type { Logger } from '#base/log.ts';
import { apiVersionOf, events, type KindRef } from '#api/schema/kind-ref.ts';
import type { KubeObject } from '#api/meta/object.ts';
import type { Event, ObjectReference } from '#api/generated/objects.ts';
import { isNamespaceTerminating, isNotFound, statusOf } from './api-error.ts';
import type { ApiClient } from './client.ts';

export interface EventRecorder extends AsyncDisposable {
  /**
   * Records in the background; never throws. A repeated event increments the count of the first. A Normal event is written
   * half a second later, so that it takes no turn of the server from the work that it tells of; a Warning at once.
   */
  record(regarding: Regarding, type: 'Normal' | 'Warning', reason: string, message: string): void;
  /** Resolves when everything recorded so far has been written or given up. */
  flush(): Promise<void>;
}

export interface Regarding {
  readonly kind: KindRef<unknown>;
  readonly object: KubeObject;
  /** `spec.containers{name}`: which part of the object. */
  readonly fieldPath?: string | undefined;
  /** Of the event, for programs that read it. */
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

export interface EventRecorderOptions {
  readonly client: ApiClient;
  /** Who says it: `kubelet`, `default-scheduler`, `deployment-controller`. */
  readonly component: string;
  readonly host?: string | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface Known {
  readonly name: string;
  readonly namespace: string;
  readonly event: Event;
  count: number;
  writtenCount: number;
  lastMs: number;
}

// The bounds of client-go's event correlator (tools/record/events_cache.go).
const knownEventsMax = 4096;
const burstPerObject = 25;
const refillMs = 300_000;
const messageLengthMax = 1024;
/** Of an event, as of any object; of a longer one the object's name is cut. */
const nameLengthMax = 253;
const writesAtOnceMax = 4;
const triesMax = 3;
const normalDelayMs = 500;
/** Events that have not been written yet: bursts of a scheduler are some thousands a second. */
const waitingEventsMax = 20_000;
/** What is held back is written before the recorder closes, if the API takes it in this time. */
const closeMsMax = 2_000;
const retryBackoff: Backoff = { initialMs: 100, factor: 4, maxMs: 5000 };

/** The events that a recorder knows, by what is said: those that are not written yet are kept apart, so that what is known never costs one. */
class Memory {
  /** Said more often than written, who waits longest first. */
  readonly waiting = new Map<string, Known>();
  /** Least recently written first. */
  readonly #known = new Map<string, Known>();
  readonly #onLost: () => void;

  constructor(onLost: () => void) {
    this.#onLost = onLost;
  }

  find(key: string): Known | undefined {
    return this.waiting.get(key) ?? this.#known.get(key);
  }

  said(key: string, entry: Known): void {
    this.#known.delete(key);
    this.waiting.set(key, entry);
    if (this.waiting.size <= waitingEventsMax) return;
    deleteFirst(this.waiting);
    this.#onLost();
  }

  /** Where it was said again meanwhile, it still waits. */
  written(key: string, entry: Known): void {
    if (entry.count > entry.writtenCount || this.waiting.get(key) !== entry) return;
    this.waiting.delete(key);
    this.#known.set(key, entry);
    if (this.#known.size > knownEventsMax) deleteFirst(this.#known);
  }
}

/** Records Events of a component; dispose it last, so that what was said is written. */
export function createEventRecorder(options: EventRecorderOptions): EventRecorder {
  const { client, clock, logger } = options;
  const memory = new Memory(() =>
    logger.warn({ waiting: waitingEventsMax }, 'an event is not recorded: too many wait to be written'),
  );
  const budgets = new Map<string, { tokens: number; atMs: number }>(); // by the object spoken of
  const failures = new Map<string, number>();
  const queue = new KeyedQueue<string>({
    clock,
    concurrencyMax: writesAtOnceMax,
    backoff: retryBackoff,
    work: (key) => write(key),
    onError: () => undefined, // `write` counts and logs.
  });

  const write = async (key: string): Promise<void> => {
    const entry = memory.waiting.get(key);
    if (entry === undefined) return;
    const { count } = entry;
    try {
      await writeEvent(client, entry, new Date(entry.lastMs).toISOString());
      entry.writtenCount = count;
      failures.delete(key);
      memory.written(key, entry);
    } catch (error) {
      const tries = (failures.get(key) ?? 0) + 1;
      const isHopeless = statusOf(error) !== undefined && !isNotFound(error);
      if (isHopeless || isNamespaceTerminating(error) || tries >= triesMax) {
        failures.delete(key);
        memory.waiting.delete(key);
        logger.debug({ event: key, error: describeError(error) }, 'event not recorded');
        return;
      }
      failures.set(key, tries);
      throw error;
    }
  };
  const flush = (): Promise<void> => {
    for (const key of memory.waiting.keys()) queue.add(key);
    return queue.idle();
  };
  return {
    record: (regarding, type, reason, message) => {
      const involved = referenceOf(regarding);
      const nowMs = clock.now();
      const text = message.slice(0, messageLengthMax);
      const key = keyOf(involved, [type, reason, text]);
      const before = memory.find(key);
      // What is said again and again must not take the place of what is new.
      const kind = before === undefined ? 'new' : 'again';
      if (!takeToken(budgets, `${kind}/${involved.uid ?? ''}/${involved.name}`, nowMs)) return;
      const said = { type, reason, message: text, nowMs, annotations: regarding.annotations };
      const entry = before ?? newEntry(options, involved, said);
      entry.count += 1;
      entry.lastMs = nowMs;
      memory.said(key, entry);
      queue.addAfter(key, type === 'Normal' ? normalDelayMs : 0);
    },
    flush,
    [Symbol.asyncDispose]: async () => {
      const isLate = Promise.withResolvers<void>();
      using _timer = clock.after(closeMsMax, isLate.resolve);
      await Promise.race([flush(), isLate.promise]);
      // What an API does not answer is not waited for, either.
      await Promise.race([queue[Symbol.asyncDispose](), isLate.promise]);
    },
  };
}

/** What tells one thing said of an object from another. */
function keyOf(about: ObjectReference, said: readonly string[]): string {
  const { kind, namespace, name, uid, fieldPath } = about;
  return [kind, namespace, name, uid, fieldPath, ...said].join('/');
}

async function writeEvent(client: ApiClient, entry: Known, at: string): Promise<void> {
  const { name, namespace, event } = entry;
  if (entry.writtenCount > 0) {
    try {
      const body = { count: entry.count, lastTimestamp: seconds(at) };
      await client.patch(events, { namespace, name }, { kind: 'merge', body });
      return;
    } catch (error) {
      if (!isNotFound(error)) throw error; // Gone by its time to live: written anew.
    }
  }
  await client.create(events, { ...event, count: entry.count, lastTimestamp: seconds(at) }, { namespace });
}

interface Said extends Pick<Regarding, 'annotations'> {
  readonly type: string;
  readonly reason: string;
  readonly message: string;
  readonly nowMs: number;
}

function newEntry(options: EventRecorderOptions, involved: ObjectReference, said: Said): Known {
  const { nowMs, annotations, ...what } = said;
  const namespace = involved.namespace ?? 'default'; // Of cluster-scoped objects, by convention.
  // As client-go names events: the object's name and the time in hexadecimal nanoseconds; the fraction tells two of a millisecond apart.
  const end = `.${(BigInt(nowMs) * 1_000_000n + BigInt(nextFraction(options.clock))).toString(16)}`;
  const name = `${(involved.name ?? '').slice(0, nameLengthMax - end.length).replace(/[^a-z0-9]+$/, '')}${end}`;
  const firstTimestamp = seconds(new Date(nowMs).toISOString());
  const event: Event = {
    metadata: { name, namespace, ...(annotations === undefined ? {} : { annotations }) },
    involvedObject: involved,
    ...what,
    source: { component: options.component, ...(options.host === undefined ? {} : { host: options.host }) },
    reportingComponent: options.component,
    reportingInstance: options.host ?? '',
    firstTimestamp,
  };
  return { name, namespace, event, count: 0, writtenCount: 0, lastMs: nowMs };
}

/** Of each clock, as recorders that share one write of the same moments. */
const fractions = new WeakMap<Clock, number>();

function nextFraction(clock: Clock): number {
  const fraction = ((fractions.get(clock) ?? 0) + 1) % 1_000_000;
  fractions.set(clock, fraction);
  return fraction;
}

/** Two buckets of tokens for each object, of news and of what is said again, so that one in trouble does not fill the store. */
function takeToken(
  budgets: Map<string, { tokens: number; atMs: number }>,
  key: string,
  nowMs: number,
): boolean {
  const before = budgets.get(key) ?? { tokens: burstPerObject, atMs: nowMs };
  const tokens = Math.min(burstPerObject, before.tokens + (nowMs - before.atMs) / refillMs);
  budgets.delete(key);
  budgets.set(key, { tokens: tokens >= 1 ? tokens - 1 : tokens, atMs: nowMs });
  if (budgets.size > knownEventsMax) deleteFirst(budgets);
  return tokens >= 1;
}

function deleteFirst(map: Map<string, unknown>): void {
  const first = map.keys().next();
  if (first.done !== true) map.delete(first.value);
}

function referenceOf({ kind, object, fieldPath }: Regarding): ObjectReference {
  const { name, namespace, uid, resourceVersion } = object.metadata ?? {};
  return {
    apiVersion: apiVersionOf(kind),
    kind: kind.kind,
    name,
    namespace,
    uid,
    resourceVersion,
    ...(fieldPath === undefined ? {} : { fieldPath }),
  };
}

function seconds(iso: string): string {
  return iso.replace(/\.\d+Z$/, 'Z');
}
