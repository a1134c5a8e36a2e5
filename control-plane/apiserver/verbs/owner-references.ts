import type { JsonObject } from '#api/meta/object.ts';
import { at, equalJson, objectsOf, stringOf, withPath } from '#api/wire/json.ts';
import type { RequestScope } from '#control-plane/apiserver/serve/request.ts';

const advice =
  'API server dedups owner references in 1.20+, and may reject such requests as early as 1.24; please fix your requests';
/** What is told of owners that a body names twice, and of those that are there twice once it is patched. */
export const duplicatesGiven: string = `.metadata.ownerReferences contains duplicate entries; ${advice}`;
export const duplicatesMade: string = `.metadata.ownerReferences contains duplicate entries after mutating admission happens; ${advice}`;

/** The object with each owner once; who named one twice is told so. */
export function withOwnersOnce(
  object: JsonObject,
  scope: Pick<RequestScope, 'warn'> | undefined,
  warning: string,
): JsonObject {
  const path = 'metadata.ownerReferences';
  const owners = objectsOf(at(object, path));
  if (owners.length < 2) return object;
  const byUid = new Map<string, JsonObject[]>();
  const duplicates: string[] = [];
  const once = owners.filter((owner) => {
    const uid = stringOf(owner['uid']);
    const same = byUid.get(uid) ?? [];
    if (same.some((known) => equalJson(known, owner))) {
      duplicates.push(uid);
      return false;
    }
    byUid.set(uid, [...same, owner]);
    return true;
  });
  if (duplicates.length === 0) return object;
  scope?.warn(`${warning}; duplicate UID(s) observed: ${duplicates.join(', ')}`);
  return withPath(object, path, once);
}
