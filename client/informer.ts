import { objectKey, type KubeObject } from '#api/meta/object.ts';
import type { Informer, WatchEvent } from './client.ts';
import { createIndexes, type IndexFunction } from './indexes.ts';
import type { ReflectorSink } from './reflector.ts';
import { parseVersion, versionOf } from './resource-version.ts';

/** What a handler is told: what was under the key, and what is now; undefined: absent. */
export type Change<T> = Parameters<Parameters<Informer<T>['onChange']>[0]>[0];

/** An informer that its user also tells of its own writes, so that it reads them back at once. */
export interface WritableInformer<T> extends Informer<T> {
  /**
   * Takes in what the server answered to a write. Ignored when the cache is already as new: an object of a version that
   * the watch has passed and that is not in the cache has been deleted since. Must be within the informer's selection.
   */
  observe(object: T): void;
  /** All that was written up to this version is in the cache; perhaps also more. */
  readonly version: number;
  /** False before the first list, and from the loss of the watch until the server has told of something again. */
  readonly isCurrent: boolean;
  /** As `byIndex`, one after another as they are then: for whoever may not need all, or not in one turn. */
  eachByIndex(index: string, value: string): Iterable<T>;
  /** Makes the index if it is not there yet. The same name must mean the same function. */
  ensureIndex(name: string, values: IndexFunction<T>): void;
}

/** The cache of an informer, without the reflector that fills it. */
export interface InformerCache<T> extends WritableInformer<T>, ReflectorSink<T> {}

type Handler<T> = (change: Change<T>) => void;

export function createInformerCache<T extends KubeObject>(
  /** Told of a handler that threw: the others and the cache are not affected. */
  onHandlerError: (error: unknown) => void,
  /** What is kept of an object; what it throws keeps the object whole, and is told as a handler's. */
  transform?: (object: T) => T,
): InformerCache<T> {
  return new Cache<T>(onHandlerError, transform);
}

class Cache<T extends KubeObject> implements InformerCache<T> {
  readonly synced: Promise<void>;
  hasSynced = false;
  isCurrent = false;
  readonly #objects = new Map<string, T>();
  readonly #indexes = createIndexes<T>();
  readonly #handlers = new Set<Handler<T>>();
  readonly #setSynced: () => void;
  readonly #onHandlerError: (error: unknown) => void;
  readonly #transform: ((object: T) => T) | undefined;
  /** Everything up to it is in the cache; objects of later versions were observed. */
  #version = 0;

  constructor(onHandlerError: (error: unknown) => void, transform: ((object: T) => T) | undefined) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.synced = promise;
    this.#setSynced = resolve;
    this.#onHandlerError = onHandlerError;
    this.#transform = transform;
  }

  get(key: string): T | undefined {
    return this.#objects.get(key);
  }

  list(): readonly T[] {
    return [...this.#objects.values()];
  }

  byIndex(name: string, value: string): readonly T[] {
    const found: T[] = [];
    for (const key of this.#indexes.keys(name, value)) {
      const object = this.#objects.get(key);
      if (object !== undefined) found.push(object);
    }
    return found;
  }

  *eachByIndex(name: string, value: string): Iterable<T> {
    for (const key of this.#indexes.keys(name, value)) {
      const object = this.#objects.get(key);
      if (object !== undefined) yield object;
    }
  }

  ensureIndex(name: string, values: IndexFunction<T>): void {
    this.#indexes.ensure(name, values, this.#objects);
  }

  onChange(handler: Handler<T>): Disposable {
    this.#handlers.add(handler);
    for (const [key, current] of this.#objects) this.#notify([handler], { key, old: undefined, current });
    return { [Symbol.dispose]: () => void this.#handlers.delete(handler) };
  }

  get version(): number {
    return this.#version;
  }

  observe(object: T): void {
    const key = objectKey(object);
    if (this.hasSynced && versionOf(object) > this.#version && this.#isNews(key, object))
      this.#put(key, object);
  }

  interrupt(): void {
    this.isCurrent = false;
  }

  replace(items: readonly T[], resourceVersion: string): void {
    this.isCurrent = true;
    const listed = parseVersion(resourceVersion);
    const isReset = listed < this.#version; // The server's data began anew: nothing of the cache counts.
    const present = new Map(items.map((item) => [objectKey(item), item]));
    for (const [key, object] of this.#objects) {
      // What was observed after the list was made stays: the watch will tell of it.
      if (!present.has(key) && (isReset || versionOf(object) <= listed)) this.#put(key, undefined);
    }
    for (const [key, object] of present) if (isReset || this.#isNews(key, object)) this.#put(key, object);
    this.#version = listed;
    this.hasSynced = true;
    this.#setSynced();
  }

  apply(event: WatchEvent<T>): void {
    this.isCurrent = true;
    if (event.type === 'BOOKMARK') {
      this.#version = Math.max(this.#version, parseVersion(event.resourceVersion));
      return;
    }
    const { object } = event;
    const key = objectKey(object);
    this.#version = Math.max(this.#version, versionOf(object));
    if (event.type !== 'DELETED') {
      if (this.#isNews(key, object)) this.#put(key, object);
      return;
    }
    // The deletion of an earlier object of the name must not remove a later one that was observed.
    const cached = this.#objects.get(key);
    if (cached !== undefined && versionOf(cached) <= versionOf(object)) this.#put(key, undefined);
  }

  #isNews(key: string, object: T): boolean {
    const cached = this.#objects.get(key);
    return cached === undefined || versionOf(object) > versionOf(cached);
  }

  #kept(object: T): T {
    try {
      return this.#transform?.(object) ?? object;
    } catch (error) {
      this.#onHandlerError(error);
      return object;
    }
  }

  #put(key: string, next: T | undefined): void {
    const current = next === undefined ? undefined : this.#kept(next);
    const old = this.#objects.get(key);
    this.#indexes.change(key, old, current);
    if (current === undefined) this.#objects.delete(key);
    else this.#objects.set(key, current);
    // Another uid is another object: whoever counts must see the one go before the other comes.
    if (old !== undefined && current !== undefined && old.metadata?.uid !== current.metadata?.uid) {
      this.#notify(this.#handlers, { key, old, current: undefined });
      this.#notify(this.#handlers, { key, old: undefined, current });
    } else if (old !== undefined || current !== undefined)
      this.#notify(this.#handlers, { key, old, current });
  }

  #notify(to: Iterable<Handler<T>>, change: Change<T>): void {
    for (const handler of to) {
      try {
        handler(change);
      } catch (error) {
        this.#onHandlerError(error);
      }
    }
  }
}
