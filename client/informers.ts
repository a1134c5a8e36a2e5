import type { Clock } from '#base/clock.ts';
import { describeError } from '#base/errors.ts';
import { silentLogger, type Logger } from '#base/log.ts';
import { apiVersionOf, type KindRef } from '#api/schema/kind-ref.ts';
import type { KubeObject } from '#api/meta/object.ts';
import type { ApiClient } from './client.ts';
import type { IndexFunction } from './indexes.ts';
import { createInformerCache, type WritableInformer } from './informer.ts';
import { withRemedy } from './remedy.ts';
import { runReflector, type Selection } from './reflector.ts';

export interface InformerOptions<T> extends Selection {
  readonly indexes?: Readonly<Record<string, IndexFunction<T>>>;
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
}

interface Running {
  readonly informer: unknown;
  readonly synced: Promise<void>;
  readonly abort: AbortController;
  readonly done: Promise<void>;
}

/** Owns its informers: disposing ends them all. */
export function createInformers(options: InformersOptions): Informers {
  const { client, clock, logger = silentLogger, random = Math.random } = options;
  const running = new Map<string, Running>();

  const start = <T extends KubeObject>(kind: KindRef<T>, selection: Selection): WritableInformer<T> => {
    const log = logger.child({ informer: `${apiVersionOf(kind)}/${kind.resource}`, ...selection });
    const cache = createInformerCache<T>((error) =>
      log.error({ error: describeError(error) }, 'handler of an informer threw'),
    );
    const abort = new AbortController();
    const onError = (error: unknown, retryMs: number): void =>
      log.warn({ error: describeError(error), retryMs, ...withRemedy(error) }, 'list and watch interrupted');
    const done = runReflector({ client, kind, selection, sink: cache, clock, random, onError }, abort.signal);
    running.set(keyOf(kind, selection), { informer: cache, synced: cache.synced, abort, done });
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
      { indexes = {}, ...selection }: InformerOptions<T> = {},
    ) => {
      const found = running.get(keyOf(kind, selection));
      // The key holds the kind, and a kind has one type of object.
      const informer = found === undefined ? start(kind, selection) : (found.informer as WritableInformer<T>);
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
