import { at, objectOf, withPath } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';

/** The status of all kinds that have it as a part. */
export function writeStatus(old: JsonObject, object: JsonObject): JsonObject {
  return { ...withPath(old, 'status', object['status']), metadata: statusMetadata(old, object) };
}

/** Labels, annotations and finalizers may come with a status or an approval (kubelets send annotations so); owners may not. */
export function statusMetadata(old: JsonObject, object: JsonObject): JsonObject {
  const metadata = objectOf(object['metadata']);
  return objectOf(withPath(metadata, 'ownerReferences', at(old, 'metadata.ownerReferences')));
}
