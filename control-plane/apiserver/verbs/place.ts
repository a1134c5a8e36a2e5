import { badRequest } from '#api/errors/status.ts';
import type { Kind } from '#api/schema/kinds.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { at, stringOf } from '#api/wire/json.ts';
import type { ResourceRoute } from '#control-plane/apiserver/chain/route.ts';

/** @throws {E_API} 400 when the object names another namespace than the URL */
export function checkNamespaceOf(kind: Kind, namespace: string, object: JsonObject): void {
  const own = stringOf(at(object, 'metadata.namespace'));
  if (own === '' || own === namespace) return;
  if (!kind.namespaced) throw badRequest('namespace is not allowed on this type');
  throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
}

/** @throws {E_API} 400 when the object has another name than the URL */
export function checkNameOf(name: string, object: JsonObject): void {
  const own = stringOf(at(object, 'metadata.name'));
  if (own === '') return; // Filled in from the URL.
  if (own !== name)
    throw badRequest(`the name of the object (${own}) does not match the name on the URL (${name})`);
}

/** @throws {E_API} 400 where a patch gives the object another name or namespace, or takes its name */
export function checkPlaceOf({ kind, namespace, name }: ResourceRoute, object: JsonObject): void {
  if (stringOf(at(object, 'metadata.name')) === '') {
    throw badRequest(
      `the name of the object (${name} based on URL) was undeterminable: name must be provided`,
    );
  }
  checkNameOf(name, object);
  checkNamespaceOf(kind, namespace, object);
}
