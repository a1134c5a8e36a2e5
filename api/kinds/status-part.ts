import { objectOf, withPath } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';

/**
 * The status of all kinds that have it as a part. What metadata says may come with it (kubelets send annotations so), but where
 * `keepsMetadata` says otherwise.
 */
export function writeStatus(old: JsonObject, object: JsonObject): JsonObject {
  return { ...withPath(old, 'status', object['status']), metadata: objectOf(object['metadata']) };
}
