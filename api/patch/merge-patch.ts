import { cloneJson, isObject, setOwn, type Draft } from '#api/json.ts';

/** RFC 7386: null deletes, objects merge, everything else replaces. The base is not changed. */
export function applyMergePatch(base: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return cloneJson(patch);
  const merged = (isObject(base) ? cloneJson(base) : {}) as Draft;
  for (const key of Object.keys(patch)) {
    const value = patch[key];
    if (value === null) delete merged[key];
    else setOwn(merged, key, applyMergePatch(Object.hasOwn(merged, key) ? merged[key] : undefined, value));
  }
  return merged;
}
