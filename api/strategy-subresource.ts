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

/**
 * Only resources and their policies are taken from the resized object, in its order of containers, so that validation sees what
 * was moved or renamed; everything else a resize may say is left out, as kube-apiserver does.
 */
function resizeContainers(old: JsonObject, object: JsonObject): JsonObject {
  const podResources = at(object, 'spec.resources');
  const resized = podResources === undefined ? old : withPath(old, 'spec.resources', podResources);
  return ['containers', 'initContainers'].reduce((next, list) => {
    const known = new Map(
      objectsOf(at(old, ['spec', list])).map((container) => [container['name'], container]),
    );
    const containers = objectsOf(at(object, ['spec', list])).map((given) => {
      const { resources: _resources, resizePolicy: _policy, ...rest } = known.get(given['name']) ?? given;
      const { resources, resizePolicy } = given;
      return {
        ...rest,
        ...(resources === undefined ? {} : { resources }),
        ...(resizePolicy === undefined ? {} : { resizePolicy }),
      };
    });
    return containers.length === 0 ? next : withPath(next, ['spec', list], containers);
  }, resized);
}
