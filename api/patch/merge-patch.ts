import { cloneJson, isObject, setOwn, type Draft } from '#api/wire/json.ts';

/** RFC 7386: null deletes, objects merge, everything else replaces. The base is not changed. */
export function applyMergePatch(base: unknown, patch: unknown): unknown {
  return mergeInto(isObject(patch) ? cloneJson(base) : undefined, patch);
}

/** Changes `base`, which is a copy already: one of each level would be copied as often as it is deep. */
function mergeInto(base: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return cloneJson(patch);
  const merged = (isObject(base) ? base : {}) as Draft;
  for (const key of Object.keys(patch)) {
    const value = patch[key];
    if (value === null) delete merged[key];
    else setOwn(merged, key, mergeInto(Object.hasOwn(merged, key) ? merged[key] : undefined, value));
  }
  return merged;
}
