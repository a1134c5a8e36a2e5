import type { PodSpec } from '#api/generated/objects.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { at, isObject, stringMapOf, typed } from '#api/wire/json.ts';
import type { JudgedPod } from './control.ts';

/**
 * The pod in an object, by the path of its spec (`spec.template.spec`, KindRules.podSpec); undefined where there is none, as in a
 * ReplicationController without a template. Objects that are changed come before they are validated: what is required may be missing.
 */
export function judgedPodIn(object: JsonObject, specPath: string): JudgedPod | undefined {
  const path = specPath.split('.');
  const found = at(object, path);
  if (!isObject(found)) return undefined;
  const spec = typed<Partial<PodSpec>>(found);
  return {
    annotations: stringMapOf(at(object, [...path.slice(0, -1), 'metadata', 'annotations'])),
    spec: { ...spec, containers: spec.containers ?? [] },
  };
}
