import { isExtendedResource } from '#api/validation/resource-name.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { at, objectOf, objectsOf, withPath } from '#api/wire/json.ts';
import type { AdmissionPlugin } from '#control-plane/apiserver/chain/admission/admission.ts';
import { writesPod } from './pod.ts';
import { isSameToleration } from './tolerations.ts';

/**
 * Who asks for an extended resource may go to nodes that are kept for those who do, by a taint of its name
 * (plugin/pkg/admission/extendedresourcetoleration).
 */
export const extendedResourceToleration: AdmissionPlugin = {
  name: 'ExtendedResourceToleration',
  handles: (attributes) => (writesPod(attributes) ? 'atOnce' : 'no'),
  admit: (_context, { object: pod = {} }) => {
    const given = objectsOf(at(pod, 'spec.tolerations'));
    const tolerations = extendedResourcesOf(pod).reduce(withToleration, given);
    return tolerations === given ? undefined : withPath(pod, 'spec.tolerations', tolerations);
  },
};

function extendedResourcesOf(pod: JsonObject): readonly string[] {
  const names = ['containers', 'initContainers'].flatMap((list) =>
    objectsOf(at(pod, ['spec', list])).flatMap((container) =>
      Object.keys(objectOf(at(container, 'resources.requests'))),
    ),
  );
  return [...new Set(names)].filter(isExtendedResource).toSorted();
}

function withToleration(given: readonly JsonObject[], key: string): readonly JsonObject[] {
  const added = { key, operator: 'Exists', effect: 'NoSchedule' };
  return given.some((one) => isSameToleration(one, added)) ? given : [...given, added];
}
