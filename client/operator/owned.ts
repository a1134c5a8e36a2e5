import { ownerReference } from '#api/meta/owner.ts';
import { controllerRef } from '#api/meta/owner.ts';
import type { KindRef } from '#api/schema/kind-ref.ts';
import type { KubeObject } from '#api/meta/object.ts';
import { source, type Source } from '#client/controller.ts';
import type { Informer } from '#client/client.ts';

/** The object with `owner` as its controller: the garbage collector deletes it after its owner. In the owner's namespace. */
export function withController<T extends KubeObject>(
  object: T,
  owner: KubeObject,
  kind: KindRef<unknown>,
): T {
  const reference = ownerReference(owner, kind);
  const others = object.metadata?.ownerReferences?.filter(({ uid }) => uid !== reference.uid) ?? [];
  const namespace = object.metadata?.namespace ?? (kind.namespaced ? owner.metadata?.namespace : undefined);
  const metadata = {
    ...object.metadata,
    ...(namespace === undefined ? {} : { namespace }),
    ownerReferences: [...others, reference],
  };
  return { ...object, metadata };
}

/**
 * The key of the object that controls this one, where that is of the kind, in any of its versions; undefined where it has no
 * controller, or one of another kind.
 */
export function controllerKey(object: KubeObject, kind: KindRef<unknown>): string | undefined {
  const owner = controllerRef(object);
  if (owner?.kind !== kind.kind || groupOf(owner.apiVersion) !== kind.group) return undefined;
  const { namespace } = object.metadata ?? {};
  return kind.namespaced && namespace !== undefined ? `${namespace}/${owner.name}` : owner.name;
}

/** Every change of what objects of the kind control enqueues their key; of one that changes hands, both keys. */
export function controlledBy<T extends KubeObject>(informer: Informer<T>, kind: KindRef<unknown>): Source {
  return source(informer, ({ old, current }) => {
    const keys = [old, current].map((object) =>
      object === undefined ? undefined : controllerKey(object, kind),
    );
    return new Set(keys.filter((key) => key !== undefined));
  });
}

/** The index `controller` of `informers.for(kind, { indexes: { controller: byControllerUid } })`: by uid of the owner. */
export function byControllerUid(object: KubeObject): readonly string[] {
  const uid = controllerRef(object)?.uid;
  return uid === undefined ? [] : [uid];
}

function groupOf(apiVersion: string | undefined): string {
  const slash = apiVersion?.indexOf('/') ?? -1;
  return slash < 0 ? '' : (apiVersion ?? '').slice(0, slash);
}
