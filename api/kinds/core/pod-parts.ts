import { at, equalJson, objectOf, objectsOf, withPath } from '#api/wire/json.ts';
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

const containerLists = ['containers', 'initContainers'] as const;

/**
 * Only resources and their policies are taken from the resized object; everything else that a resize may say is left out. Where there are
 * more containers, less, or others, they are as given, for validation to say so (dropNonResizeUpdates of kube-apiserver).
 */
function resizeContainers(old: JsonObject, object: JsonObject): JsonObject {
  const counts = (pod: JsonObject): readonly number[] =>
    containerLists.map((list) => objectsOf(at(pod, ['spec', list])).length);
  if (!equalJson(counts(old), counts(object))) return withPath(old, 'spec', objectOf(object['spec']));
  const resized = withPath(old, 'spec.resources', at(object, 'spec.resources'));
  return containerLists.reduce((next, list) => {
    const containers = resizedContainers(
      objectsOf(at(old, ['spec', list])),
      objectsOf(at(object, ['spec', list])),
    );
    return containers.length === 0 ? next : withPath(next, ['spec', list], containers);
  }, resized);
}

function resizedContainers(old: readonly JsonObject[], given: readonly JsonObject[]): readonly JsonObject[] {
  if (old.some(({ name }, index) => given[index]?.['name'] !== name)) return given;
  return old.map((container, index) => {
    const { resources: _resources, resizePolicy: _policy, ...rest } = container;
    const { resources, resizePolicy } = objectOf(given[index]);
    return {
      ...rest,
      ...(resources === undefined ? {} : { resources }),
      ...(resizePolicy === undefined ? {} : { resizePolicy }),
    };
  });
}
