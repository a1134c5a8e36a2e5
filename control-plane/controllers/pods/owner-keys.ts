import type { KindRef } from '#api/schema/kind-ref.ts';
import { objectKey, type KubeObject } from '#api/meta/object.ts';
import { controllerRef } from '#api/meta/owner.ts';
import { source, type Source } from '#client/controller.ts';
import type { WritableInformer } from '#client/informer.ts';
import { isKindOf } from './claim.ts';

/** The index by namespace that `ownedSource` needs of the owners. */
export const byNamespace = ({ metadata }: KubeObject): readonly string[] => [metadata?.namespace ?? ''];

/** Changes of owned objects enqueue their owner; those of orphans all owners that might adopt them. */
export function ownedSource<O extends KubeObject, T extends KubeObject>(
  kind: KindRef<O>,
  owners: WritableInformer<O>,
  owned: WritableInformer<T>,
): Source {
  const keysOf = (object: T | undefined): readonly string[] => {
    if (object === undefined) return [];
    const namespace = object.metadata?.namespace ?? '';
    const controller = controllerRef(object);
    if (controller !== undefined)
      return isKindOf(kind, controller) ? [`${namespace}/${controller.name}`] : [];
    return object.metadata?.labels === undefined ? [] : owners.byIndex('namespace', namespace).map(objectKey);
  };
  return source(owned, ({ old, current }) => [...keysOf(old), ...keysOf(current)]);
}
