import type { Scale } from '#api/generated/objects.ts';
import type { KindRef } from '#api/schema/kind-ref.ts';
import type { ApiClient, ObjectRef } from '#client/client.ts';

/** The kind as seen through one of its subresources, whose objects are of another type. */
function asScale({ __object: _object, ...kind }: KindRef<unknown>): KindRef<Scale> {
  return { ...kind };
}

/** How many replicas an object of the kind has, and is to have. */
export function readScale(client: ApiClient, kind: KindRef<unknown>, where: ObjectRef): Promise<Scale> {
  return client.get(asScale(kind), where, { subresource: 'scale' });
}

/** Sets `spec.replicas` by the subresource scale, whatever kind the object is of. */
export function writeScale(
  client: ApiClient,
  kind: KindRef<unknown>,
  where: ObjectRef,
  replicas: number,
): Promise<Scale> {
  const body = { spec: { replicas } };
  return client.patch(asScale(kind), where, { kind: 'merge', body, subresource: 'scale' });
}

/** Sets the replicas of what was read as that Scale. @throws {E_API} 409 where it has changed since */
export function updateScale(
  client: ApiClient,
  kind: KindRef<unknown>,
  scale: Scale,
  replicas: number,
): Promise<Scale> {
  return client.update(asScale(kind), { ...scale, spec: { replicas } }, { subresource: 'scale' });
}
