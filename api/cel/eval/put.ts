import { CelMap, Fault, keyOf, keyText, noSuchOverload, type Value } from './values.ts';

/** Entries into a map that a walk makes: its own, nobody else has seen it. A key may come once. */
export function put(carried: Value, entries: readonly (readonly [Value, Value])[]): Value {
  if (!(carried instanceof CelMap)) return noSuchOverload();
  for (const [key, value] of entries) {
    if (carried.entries.has(keyOf(key)))
      return new Fault(`insert failed: key ${keyText(key)} already exists`);
    carried.entries.set(keyOf(key), [key, value]);
  }
  return carried;
}
