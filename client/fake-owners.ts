import { termsOf } from '#api/patch/apply/kind-terms.ts';
import { manageApply, manageUpdate, withOwners, type Writer } from '#api/patch/apply/manage.ts';
import { apiVersionOf, type KindRef } from '#api/schema/kind-ref.ts';
import { findKind, type Kind } from '#api/schema/kinds.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { at } from '#api/wire/json.ts';

/** What a fake knows of a kind that clients bring: nothing, so that lists are wholes, and objects are of fields. */
const untyped: Omit<Kind, 'group' | 'version' | 'kind' | 'resource' | 'namespaced' | 'schema'> = {
  ...{ singular: '', shortNames: [], categories: [], verbs: [], subresources: [], typeName: '' },
};

function kindOf(ref: KindRef<unknown>): Kind {
  const { group, version, kind, resource, namespaced } = ref;
  const known = findKind(group, version, resource);
  if (known !== undefined) return known;
  const schema = { find: () => undefined, fillsDefaults: false };
  return { ...untyped, group, version, kind, resource, namespaced, schema };
}

/** A configuration applied to what is there, or to nothing: the object with its owners. Pure. @throws {E_API} 409 for what others own */
export function applied(
  ref: KindRef<unknown>,
  {
    live,
    config,
    isForced,
  }: { readonly live: JsonObject | undefined; readonly config: JsonObject; readonly isForced: boolean },
  writer: Writer,
): JsonObject {
  const terms = termsOf(kindOf(ref), writer.subresource, findKind);
  const typed = { ...config, apiVersion: apiVersionOf(ref), kind: ref.kind };
  const { object, owners } = manageApply(
    terms,
    { live: live ?? terms.empty, config: typed, isForced },
    writer,
  );
  return withOwners(object ?? live ?? typed, owners);
}

/** A plain write of an object that somebody applied: what it changes is the writer's. Others' owners nobody keeps. Pure. */
export function owned(
  ref: KindRef<unknown>,
  { live, next }: { readonly live: JsonObject; readonly next: JsonObject },
  writer: Writer,
): JsonObject {
  if (at(live, 'metadata.managedFields') === undefined) return next;
  return manageUpdate(termsOf(kindOf(ref), writer.subresource, findKind), { live, next }, writer);
}
