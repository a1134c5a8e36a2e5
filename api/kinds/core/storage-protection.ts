import { at, listOf, withPath } from '#api/wire/json.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import type { JsonObject } from '#api/meta/object.ts';

/** Admission with the finalizer of a protection controller, where these run. */
export function protectedBy(finalizer: string): NonNullable<KindRules['admit']> {
  return (object, { storageProtection }) =>
    storageProtection === true ? withFinalizer(object, finalizer) : object;
}

function withFinalizer(object: JsonObject, finalizer: string): JsonObject {
  const present = listOf(at(object, 'metadata.finalizers'));
  return present.includes(finalizer)
    ? object
    : withPath(object, 'metadata.finalizers', [...present, finalizer]);
}
