import { at, objectsOf, withPath } from '#api/wire/json.ts';
import type { PartRules } from '#api/kinds/rules.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { validatePodResize } from '#api/validation/pod/resize.ts';
import { validateEphemeralContainers } from '#api/validation/pod/update.ts';

/** The parts of a pod that are written by themselves, by subresource. */
export const podParts: Readonly<Record<string, PartRules>> = {
  ephemeralcontainers: {
    write: (old, pod) => withPath(old, 'spec.ephemeralContainers', at(pod, 'spec.ephemeralContainers')),
    validate: validateEphemeralContainers,
    checksAll: true,
  },
  resize: { write: resizeContainers, validate: validatePodResize, checksAll: true },
};

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
