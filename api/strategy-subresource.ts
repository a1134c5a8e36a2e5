import { at, objectOf, objectsOf, withPath } from './json.ts';
import type { JsonObject } from './object.ts';

/** A write to a subresource of an object that is there. */
export interface SubresourceWrite {
  readonly old: JsonObject;
  readonly object: JsonObject;
  readonly subresource: string;
}

/** The object after a write to a subresource: the old one, with only what that subresource may change. */
export function updateSubresource(write: SubresourceWrite): JsonObject {
  const { old, object, subresource } = write;
  switch (subresource) {
    case 'status':
      return { ...withPath(old, 'status', object['status']), metadata: statusMetadata(old, object) };
    case 'approval':
      return {
        ...withPath(old, 'status.conditions', at(object, 'status.conditions')),
        metadata: statusMetadata(old, object),
      };
    case 'finalize':
      return withPath(old, 'spec.finalizers', at(object, 'spec.finalizers'));
    case 'ephemeralcontainers':
      return withPath(old, 'spec.ephemeralContainers', at(object, 'spec.ephemeralContainers'));
    case 'resize':
      return resizeContainers(old, object);
    default:
      return old; // Others (binding, scale, token, …) are not written as the object itself.
  }
}

/** Labels, annotations and finalizers may come with a status or an approval (kubelets send annotations so); owners may not. */
function statusMetadata(old: JsonObject, object: JsonObject): JsonObject {
  const metadata = objectOf(object['metadata']);
  return objectOf(withPath(metadata, 'ownerReferences', at(old, 'metadata.ownerReferences')));
}

function resizeContainers(old: JsonObject, object: JsonObject): JsonObject {
  return ['containers', 'initContainers'].reduce((next, list) => {
    const given = new Map(
      objectsOf(at(object, ['spec', list])).map((container) => [container['name'], container]),
    );
    const containers = objectsOf(at(old, ['spec', list])).map((container) => {
      const resized = given.get(container['name']);
      return resized === undefined
        ? container
        : { ...container, resources: resized['resources'], resizePolicy: resized['resizePolicy'] };
    });
    return containers.length === 0 ? next : withPath(next, ['spec', list], containers);
  }, old);
}
