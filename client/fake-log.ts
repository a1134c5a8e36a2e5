import type { JsonObject } from '#api/meta/object.ts';
import { objectOf } from '#api/wire/json.ts';
import { expired } from '#api/errors/status.ts';
import type { WatchEvent, WatchOptions } from './client.ts';

interface LogEntry {
  readonly version: number;
  readonly kindId: string;
  readonly key: string;
  readonly old: JsonObject | undefined;
  readonly current: JsonObject | undefined; // undefined: deleted
  readonly final: JsonObject; // the last state, at this version
}

/** The store of the fake: objects by kind and key, and every change since the last compaction. */
export interface FakeLog {
  get(kindId: string, key: string): JsonObject | undefined;
  /** In order of keys; `at` an earlier version. */
  list(kindId: string, at?: number): { readonly items: readonly JsonObject[]; readonly version: number };
  put(kindId: string, key: string, object: JsonObject): JsonObject;
  remove(kindId: string, key: string, final: JsonObject): JsonObject;
  compact(): void;
  endWatches(error?: Error): void;
  watch<T>(
    kindId: string,
    options: WatchOptions & { readonly matches: (object: JsonObject) => boolean },
    signal: AbortSignal,
  ): AsyncGenerator<WatchEvent<T>, void, void>;
}

interface LogState {
  readonly objects: Map<string, Map<string, JsonObject>>;
  entries: LogEntry[];
  version: number;
  compacted: number;
  /** Of the watches that are open: ended together. */
  epoch: { ended: boolean; error: Error | undefined };
  changed: PromiseWithResolvers<void>;
}

export function createFakeLog(): FakeLog {
  const state: LogState = {
    objects: new Map(),
    entries: [],
    version: 0,
    compacted: 0,
    epoch: { ended: false, error: undefined },
    changed: Promise.withResolvers(),
  };
  const note = (entry: Omit<LogEntry, 'version' | 'final'>, object: JsonObject): JsonObject => {
    state.version += 1;
    const metadata = { ...objectOf(object['metadata']), resourceVersion: String(state.version) };
    const final = { ...object, metadata };
    const current = entry.current === undefined ? undefined : final;
    state.entries.push({ ...entry, current, final, version: state.version });
    if (current === undefined) objectsIn(state, entry.kindId).delete(entry.key);
    else objectsIn(state, entry.kindId).set(entry.key, current);
    wake(state);
    return final;
  };
  const get = (kindId: string, key: string): JsonObject | undefined => objectsIn(state, kindId).get(key);
  return {
    get,
    list: (kindId, at = state.version) => {
      if (at < state.compacted) throw expired('The provided continue parameter is too old');
      const items = [...itemsAt(state, kindId, at)]
        .toSorted(([a], [b]) => (a < b ? -1 : 1))
        .map(([, item]) => item);
      return { items, version: at };
    },
    put: (kindId, key, object) => note({ kindId, key, old: get(kindId, key), current: object }, object),
    remove: (kindId, key, final) => note({ kindId, key, old: get(kindId, key), current: undefined }, final),
    compact: () => {
      state.compacted = state.version;
      state.entries = [];
      wake(state);
    },
    endWatches: (error) => {
      Object.assign(state.epoch, { ended: true, error });
      state.epoch = { ended: false, error: undefined };
      wake(state);
    },
    watch: (kindId, options, signal) => watch(state, { ...options, kindId }, signal),
  };
}

async function* watch<T>(
  state: LogState,
  options: WatchOptions & { readonly kindId: string; readonly matches: (object: JsonObject) => boolean },
  signal: AbortSignal,
): AsyncGenerator<WatchEvent<T>, void, void> {
  const mine = state.epoch;
  const { kindId, resourceVersion = '0', matches } = options;
  const isFromNow = resourceVersion === '0' || resourceVersion === '';
  let at = isFromNow ? state.version : Number(resourceVersion);
  if (at < state.compacted) throw tooOld(at, state.compacted);
  if (options.sendInitialEvents === true || isFromNow) {
    for (const object of itemsAt(state, kindId, at).values()) {
      if (matches(object)) yield { type: 'ADDED', object: object as T };
    }
  }
  if (options.sendInitialEvents === true) {
    yield { type: 'BOOKMARK', resourceVersion: String(at), initialEventsEnd: true };
  }
  const aborted = Promise.withResolvers<void>();
  signal.addEventListener('abort', () => aborted.resolve(), { once: true });
  for (;;) {
    for (const entry of state.entries.filter((candidate) => candidate.version > at)) {
      if (mine.ended || signal.aborted) break;
      at = entry.version;
      const type = entry.kindId === kindId ? eventOf(entry, matches) : undefined;
      if (type !== undefined) yield { type, object: entry.final as T };
    }
    if (signal.aborted) return;
    if (mine.error !== undefined) throw mine.error;
    if (mine.ended) return;
    if (at < state.compacted) throw tooOld(at, state.compacted);
    if (state.version > at) continue;
    await Promise.race([state.changed.promise, aborted.promise]);
  }
}

function objectsIn({ objects }: LogState, kindId: string): Map<string, JsonObject> {
  const found = objects.get(kindId) ?? new Map<string, JsonObject>();
  objects.set(kindId, found);
  return found;
}

/** The objects of a kind as they were at a version: the later changes taken back. */
function itemsAt(state: LogState, kindId: string, at: number): ReadonlyMap<string, JsonObject> {
  const items = new Map(objectsIn(state, kindId));
  for (const entry of state.entries.toReversed()) {
    if (entry.version <= at || entry.kindId !== kindId) continue;
    if (entry.old === undefined) items.delete(entry.key);
    else items.set(entry.key, entry.old);
  }
  return items;
}

function wake(state: LogState): void {
  state.changed.resolve();
  state.changed = Promise.withResolvers();
}

function tooOld(at: number, compacted: number): Error {
  return expired(`too old resource version: ${at} (${compacted})`);
}

/** How a watcher with a selector sees a change: an object that comes to match is added, one that no longer does is deleted. */
function eventOf(
  { old, current }: LogEntry,
  matches: (object: JsonObject) => boolean,
): 'ADDED' | 'MODIFIED' | 'DELETED' | undefined {
  const was = old !== undefined && matches(old);
  const is = current !== undefined && matches(current);
  if (is) return was ? 'MODIFIED' : 'ADDED';
  return was ? 'DELETED' : undefined;
}
