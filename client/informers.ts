import type { Clock } from '#base/clock.ts';
import { describeError, PodwrightError } from '#base/errors.ts';
import { silentLogger, type Logger } from '#base/log.ts';
import { apiVersionOf, type KindRef } from '#api/schema/kind-ref.ts';
import type { KubeObject } from '#api/meta/object.ts';
import { isNotFound } from './api-error.ts';
import type { ApiClient } from './client.ts';
import type { IndexFunction } from './indexes.ts';
import { createInformerCache, type WritableInformer } from './informer.ts';
import { withRemedy } from './remedy.ts';
import { runReflector, type Selection } from './reflector.ts';

export interface InformerOptions<T> extends Selection {
  readonly indexes?: Readonly<Record<string, IndexFunction<T>>>;
  /** What of an object is kept, such as without a large field. Its identity stays: name, namespace, uid, resourceVersion. */
  readonly transform?: ((object: T) => T) | undefined;
}

/** One informer for each kind and selection, started when first asked for and shared by all who ask. */
export interface Informers extends AsyncDisposable {
  readonly client: ApiClient;
  for<T extends KubeObject>(kind: KindRef<T>, options?: InformerOptions<T>): WritableInformer<T>;
  /** Resolves when all informers asked for so far have their first complete list. */
  synced(): Promise<void>;
  /** Ends the informer; for kinds that may go away. */
  stop(kind: KindRef<unknown>, selection?: Selection): Promise<void>;
}

export interface InformersOptions {
  readonly client: ApiClient;
  readonly clock: Clock;
  readonly logger?: Logger;
  readonly random?: () => number;
  /** What is kept of objects of all kinds, before a transform of the informer's own; `withoutManagedFields` saves a third of the memory. */
  readonly transform?: (<T extends KubeObject>(object: T) => T) | undefined;
}

/** A transform: who wrote which field is left out. Written back so, the server keeps what it knows of it. */
export function withoutManagedFields<T extends KubeObject>(object: T): T {
  if (object.metadata?.managedFields === undefined) return object;
  const { managedFields: _left, ...metadata } = object.metadata;
  return { ...object, metadata };
}

interface Running {
  readonly transform: unknown;
  readonly informer: unknown;
  readonly synced: Promise<void>;
  readonly abort: AbortController;
  readonly done: Promise<void>;
}

/** Owns its informers: disposing ends them all. */
export function createInformers(options: InformersOptions): Informers {
  const { client, clock, logger = silentLogger, random = Math.random, transform: always } = options;
  const running = new Map<string, Running>();

  const start = <T extends KubeObject>(
    kind: KindRef<T>,
    selection: Selection,
    transform: ((object: T) => T) | undefined,
  ): WritableInformer<T> => {
    const log = logger.child({ informer: `${apiVersionOf(kind)}/${kind.resource}`, ...selection });
    const onHandlerError = (error: unknown): void =>
      log.error({ error: describeError(error) }, 'handler of an informer threw');
    const cache = createInformerCache<T>(onHandlerError, both<T>(always, transform));
    const abort = new AbortController();
    const onError = (error: unknown, retryMs: number): void => {
      if (isNotFound(error) && cache.hasSynced)
        log.info({}, 'the server has this kind no more; it is watched once it does');
      else if (isNotFound(error))
        log.warn({}, 'the server does not have this kind; it is watched once it does');
      else
        log.warn(
          { error: describeError(error), retryMs, ...withRemedy(error) },
          'list and watch interrupted; it is tried again',
        );
    };
    const done = runReflector({ client, kind, selection, sink: cache, clock, random, onError }, abort.signal);
    running.set(keyOf(kind, selection), { transform, informer: cache, synced: cache.synced, abort, done });
    return cache;
  };
  const stopOne = async (key: string): Promise<void> => {
    const one = running.get(key);
    running.delete(key);
    one?.abort.abort(new DOMException('informer stopped', 'AbortError'));
    await one?.done;
  };
  return {
    client,
    for: <T extends KubeObject>(
      kind: KindRef<T>,
      { indexes = {}, transform, ...selection }: InformerOptions<T> = {},
    ) => {
      const found = running.get(keyOf(kind, selection));
      if (transform !== undefined && found !== undefined && found.transform !== transform) {
        throw new PodwrightError(
          'E_CONFLICT',
          `watch ${kind.resource}: another user keeps something else of them`,
        );
      }
      // The key holds the kind, and a kind has one type of object.
      const informer =
        found === undefined ? start(kind, selection, transform) : (found.informer as WritableInformer<T>);
      for (const [name, values] of Object.entries(indexes)) informer.ensureIndex(name, values);
      return informer;
    },
    synced: async () => {
      await Promise.all([...running.values()].map((one) => one.synced));
    },
    stop: (kind, selection = {}) => stopOne(keyOf(kind, selection)),
    [Symbol.asyncDispose]: async () => {
      await Promise.all([...running.keys()].map(stopOne));
    },
  };
}

function keyOf(kind: KindRef<unknown>, selection: Selection): string {
  const { namespace, labelSelector, fieldSelector, metadataOnly = false } = selection;
  return JSON.stringify([
    apiVersionOf(kind),
    kind.resource,
    namespace,
    labelSelector,
    fieldSelector,
    metadataOnly,
  ]);
}

function both<T>(
  first: ((object: T) => T) | undefined,
  second: ((object: T) => T) | undefined,
): ((object: T) => T) | undefined {
  if (first === undefined || second === undefined) return first ?? second;
  return (object) => second(first(object));
}
