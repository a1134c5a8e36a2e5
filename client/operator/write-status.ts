import { equalJson } from '#api/wire/json.ts';
import type { KindRef } from '#api/schema/kind-ref.ts';
import type { KubeObject } from '#api/meta/object.ts';
import type { ApiClient } from '#client/client.ts';

/**
 * Writes the status of an object as it was read: a Conflict says that it has changed since, and `reconcile` comes again. Nothing is
 * written where the status is that already, so that a controller does not wake itself for ever.
 */
export async function writeStatus<T extends KubeObject & { readonly status?: unknown }>(
  client: ApiClient,
  kind: KindRef<T>,
  object: T,
  status: T['status'],
): Promise<T> {
  if (equalJson(object.status ?? {}, status ?? {})) return object;
  return client.update(kind, { ...object, status }, { subresource: 'status' });
}
