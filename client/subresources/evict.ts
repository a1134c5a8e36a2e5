import type { DeleteOptions, Eviction } from '#api/generated/objects.ts';
import { pods, type KindRef } from '#api/schema/kind-ref.ts';
import type { ApiClient, ObjectRef } from '#client/client.ts';

const evictions: KindRef<Eviction> = {
  group: '',
  version: 'v1',
  kind: 'Eviction',
  resource: pods.resource,
  namespaced: true,
};

/**
 * Deletes a pod unless a budget of disruptions forbids it now: then it is refused as TooManyRequests (`isTooManyRequests`), and whoever asks
 * decides when to ask again.
 */
export async function evict(
  client: ApiClient,
  where: ObjectRef,
  deleteOptions?: Partial<DeleteOptions>,
): Promise<void> {
  const eviction = {
    apiVersion: 'policy/v1',
    metadata: { name: where.name, namespace: where.namespace },
    ...(deleteOptions === undefined ? {} : { deleteOptions }),
  };
  await client.create(evictions, eviction, { where, subresource: 'eviction' });
}
