import { backoffMs, type Backoff } from '#base/backoff.ts';
import type { Clock } from '#base/clock.ts';
import { describeError, PodwrightError } from '#base/errors.ts';
import type { KindRef } from '#api/schema/kind-ref.ts';
import type { KubeObject } from '#api/meta/object.ts';
import { isExpired } from './api-error.ts';
import type { ApiClient, ListOptions, WatchEvent } from './client.ts';
import { listAll } from './list-all.ts';

/** Which objects: everything of a kind, or what the selectors choose. */
export interface Selection {
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
  readonly metadataOnly?: boolean | undefined;
}

/** Where a reflector keeps what it sees. Calls come one after another. */
export interface ReflectorSink<T> {
  /** All objects there are, as of the resource version. */
  replace(items: readonly T[], resourceVersion: string): void;
  apply(event: WatchEvent<T>): void;
  /** List or watch failed: what is kept may be old until the next call. */
  interrupt?(): void;
}

export interface ReflectorOptions<T> {
  readonly client: ApiClient;
  readonly kind: KindRef<T>;
  readonly selection: Selection;
  readonly sink: ReflectorSink<T>;
  readonly clock: Clock;
  /** 0 ≤ random() < 1: spreads the retries of many clients of one server. */
  readonly random: () => number;
  /** Told of a failure that is waited out, once however often it comes again. */
  readonly onError: (error: unknown, retryMs: number) => void;
  readonly backoff?: Backoff;
}

/** First retries are quick, so that a restarted server is noticed within a tenth of a second. */
const defaultBackoff: Backoff = { initialMs: 100, factor: 1.6, maxMs: 5000 };
/** As client-go: 5 to 10 minutes, so that watches of many clients do not end together. */
const watchTimeoutMinSeconds = 300;
/** What a watch is given beyond its time: something on the way may keep a connection open that carries nothing. */
const watchGraceMs = 30_000;
/** A watch that ended sooner than this, without an event, failed. */
const watchLifeMinMs = 1000;

/**
 * Keeps the sink equal to what the server has, until the signal aborts: lists, then watches from the list's version; a
 * watch that ends is resumed at the last version seen, so that no event is lost; one that cannot be resumed lists anew.
 */
export async function runReflector<T extends KubeObject>(
  options: ReflectorOptions<T>,
  signal: AbortSignal,
): Promise<void> {
  const { clock, random, sink } = options;
  let version: string | undefined; // undefined: list first
  let failures = 0;
  let told: string | undefined;
  while (!signal.aborted) {
    try {
      if (version === undefined) {
        const listed = await listAll(options.client, options.kind, options.selection as ListOptions);
        if (signal.aborted) return;
        sink.replace(listed.items, listed.resourceVersion);
        version = listed.resourceVersion;
        told = undefined;
      }
      const startedMs = clock.monotonic();
      const from: string = version;
      const overtime = new AbortController();
      using _timer = endLate(clock, overtime);
      for await (const event of watch(options, from, AbortSignal.any([signal, overtime.signal]))) {
        sink.apply(event);
        version = event.type === 'BOOKMARK' ? event.resourceVersion : versionIn(event.object, version);
        failures = 0;
        told = undefined;
      }
      if (version !== from || clock.monotonic() - startedMs >= watchLifeMinMs) continue;
      failures += 1;
      sink.interrupt?.();
    } catch (error) {
      if (signal.aborted) return;
      sink.interrupt?.();
      if (isExpired(error)) {
        version = undefined;
        if (failures++ === 0) continue;
      } else failures += 1;
      const text = describeError(error);
      if (text !== told) options.onError(error, backoffMs(options.backoff ?? defaultBackoff, failures));
      told = text;
    }
    const waitMs = backoffMs(options.backoff ?? defaultBackoff, failures) * (0.5 + random() / 2);
    await clock.sleep(waitMs, signal).catch(() => undefined); // Only an abort rejects, and the loop asks for it.
  }
}

function endLate(clock: Clock, overtime: AbortController): Disposable {
  const late = new PodwrightError('E_TIMEOUT', 'watch: still open after its time');
  return clock.after(watchTimeoutMinSeconds * 2000 + watchGraceMs, () => overtime.abort(late));
}

function watch<T>(
  { client, kind, selection, random }: ReflectorOptions<T>,
  resourceVersion: string,
  signal: AbortSignal,
): AsyncIterable<WatchEvent<T>> {
  const timeoutSeconds = Math.round(watchTimeoutMinSeconds * (1 + random()));
  return client.watch(kind, { ...selection, resourceVersion, timeoutSeconds }, signal);
}

function versionIn(object: KubeObject, before: string): string {
  return object.metadata?.resourceVersion ?? before;
}
