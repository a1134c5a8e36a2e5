import { objectKey, type KubeObject } from '#api/meta/object.ts';
import type { Informer, WatchEvent } from './client.ts';
import { createIndexes, type IndexFunction } from './indexes.ts';
import type { ReflectorSink } from './reflector.ts';
import { parseVersion, versionOf } from './resource-version.ts';

export type Change<T> = Parameters<Parameters<Informer<T>['onChange']>[0]>[0];

/** An informer that its user also tells of its own writes, so that it reads them back at once. */
export interface WritableInformer<T> extends Informer<T> {
  /**
   * Takes in what the server answered to a write. Ignored when the cache is already as new: an object of a version that
   * the watch has passed and that is not in the cache has been deleted since. Must be within the informer's selection.
   */
  observe(object: T): void;
  /** Makes the index if it is not there yet. The same name must mean the same function. */
  ensureIndex(name: string, values: IndexFunction<T>): void;
}

/** The cache of an informer, without the reflector that fills it. */
export interface InformerCache<T> extends WritableInformer<T>, ReflectorSink<T> {}

type Handler<T> = (change: Change<T>) => void;

export function createInformerCache<T extends KubeObject>(
  /** Told of a handler that threw: the others and the cache are not affected. */
  onHandlerError: (error: unknown) => void,
): InformerCache<T> {
  const objects = new Map<string, T>();
  const indexes = createIndexes<T>();
  const handlers = new Set<Handler<T>>();
  const { promise: synced, resolve: setSynced } = Promise.withResolvers<void>();
  let hasSynced = false;
  let version = 0; // Everything up to it is in the cache; objects of later versions were observed.

  const notify = (to: Iterable<Handler<T>>, change: Change<T>): void => {
    for (const handler of to) {
      try {
        handler(change);
      } catch (error) {
        onHandlerError(error);
      }
    }
  };
  const put = (key: string, current: T | undefined): void => {
    const old = objects.get(key);
    indexes.change(key, old, current);
    if (current === undefined) objects.delete(key);
    else objects.set(key, current);
    // Another uid is another object: whoever counts must see the one go before the other comes.
    if (old !== undefined && current !== undefined && old.metadata?.uid !== current.metadata?.uid) {
      notify(handlers, { key, old, current: undefined });
      notify(handlers, { key, old: undefined, current });
    } else if (old !== undefined || current !== undefined) notify(handlers, { key, old, current });
  };
  const isNews = (key: string, object: T): boolean => {
    const cached = objects.get(key);
    return cached === undefined || versionOf(object) > versionOf(cached);
  };
  const replace = (items: readonly T[], resourceVersion: string): void => {
    const listed = parseVersion(resourceVersion);
    const isReset = listed < version; // The server's data began anew: nothing of the cache counts.
    const present = new Map(items.map((item) => [objectKey(item), item]));
    for (const [key, object] of objects) {
      // What was observed after the list was made stays: the watch will tell of it.
      if (!present.has(key) && (isReset || versionOf(object) <= listed)) put(key, undefined);
    }
    for (const [key, object] of present) if (isReset || isNews(key, object)) put(key, object);
    version = listed;
    hasSynced = true;
    setSynced();
  };
  const apply = (event: WatchEvent<T>): void => {
    if (event.type === 'BOOKMARK') {
      version = Math.max(version, parseVersion(event.resourceVersion));
      return;
    }
    const { object } = event;
    const key = objectKey(object);
    version = Math.max(version, versionOf(object));
    if (event.type !== 'DELETED') {
      if (isNews(key, object)) put(key, object);
      return;
    }
    // The deletion of an earlier object of the name must not remove a later one that was observed.
    const cached = objects.get(key);
    if (cached !== undefined && versionOf(cached) <= versionOf(object)) put(key, undefined);
  };
  return {
    get: (key) => objects.get(key),
    list: () => [...objects.values()],
    byIndex: (name, value) => indexes.keys(name, value).flatMap((key) => objects.get(key) ?? []),
    onChange: (handler) => {
      handlers.add(handler);
      for (const [key, current] of objects) notify([handler], { key, old: undefined, current });
      return { [Symbol.dispose]: () => void handlers.delete(handler) };
    },
    ensureIndex: (name, values) => indexes.ensure(name, values, objects),
    observe: (object) => {
      const key = objectKey(object);
      if (hasSynced && versionOf(object) > version && isNews(key, object)) put(key, object);
    },
    replace,
    apply,
    synced,
    get hasSynced() {
      return hasSynced;
    },
  };
}
