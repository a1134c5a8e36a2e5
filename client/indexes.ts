/** The values of an index that an object is under. */
export type IndexFunction<T> = (object: T) => readonly string[];

/** Named indexes over the objects of a cache, from value to keys. */
export interface Indexes<T> {
  /** Makes the index over what there is, if it is not there yet. */
  ensure(name: string, values: IndexFunction<T>, objects: ReadonlyMap<string, T>): void;
  /** The object of a key changed; undefined: absent. */
  change(key: string, old: T | undefined, current: T | undefined): void;
  /** Changes with the objects. */
  keys(name: string, value: string): ReadonlySet<string>;
}

const none: ReadonlySet<string> = new Set();

export function createIndexes<T>(): Indexes<T> {
  const indexes = new Map<
    string,
    { readonly values: IndexFunction<T>; readonly keys: Map<string, Set<string>> }
  >();
  type Index = NonNullable<ReturnType<typeof indexes.get>>;
  const add = (index: Index, key: string, object: T): void => {
    for (const value of index.values(object)) {
      const keys = index.keys.get(value);
      if (keys === undefined) index.keys.set(value, new Set([key]));
      else keys.add(key);
    }
  };
  const remove = (index: Index, key: string, object: T): void => {
    for (const value of index.values(object)) {
      const keys = index.keys.get(value);
      keys?.delete(key);
      if (keys?.size === 0) index.keys.delete(value);
    }
  };
  return {
    ensure: (name, values, objects) => {
      if (indexes.has(name)) return;
      const index: Index = { values, keys: new Map() };
      indexes.set(name, index);
      for (const [key, object] of objects) add(index, key, object);
    },
    change: (key, old, current) => {
      for (const index of indexes.values()) {
        if (old !== undefined) remove(index, key, old);
        if (current !== undefined) add(index, key, current);
      }
    },
    keys: (name, value) => indexes.get(name)?.keys.get(value) ?? none,
  };
}
