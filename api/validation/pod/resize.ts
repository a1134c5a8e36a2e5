import { forbiddenField, invalidField, type FieldError } from '#api/errors/field-error.ts';
import { at, equalJson, objectOf, objectsOf, stringOf, withPath } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { qosClass } from '#api/pod/qos.ts';

/** The resources that a resize may change (KEP-1287). */
const resizable: ReadonlySet<string> = new Set(['cpu', 'memory']);

/**
 * What the resize subresource may change: cpu and memory of containers, of sidecars, and of the pod as a whole. Nothing once
 * asked for is taken back, and the QoS class stays, for it has placed the pod's cgroup. (ValidatePodResize of kube-apiserver)
 */
export function validatePodResize(old: JsonObject, pod: JsonObject): readonly FieldError[] {
  const [before, after] = [objectOf(old['spec']), objectOf(pod['spec'])];
  const order = ['containers', 'initContainers'].flatMap((list) => orderErrors(before, after, list));
  if (order.length > 0) return order;
  return [
    ...qosErrors(old, pod),
    ...['containers', 'initContainers'].flatMap((list) => listErrors(before, after, list)),
    ...removedErrors(
      objectOf(before['resources']),
      objectOf(after['resources']),
      'spec.resources',
      'pod-level ',
    ),
    ...otherErrors(before, after),
  ];
}

/** Containers are told apart by their place in the list. */
function orderErrors(before: JsonObject, after: JsonObject, list: string): readonly FieldError[] {
  const names = (spec: JsonObject): readonly unknown[] => objectsOf(spec[list]).map(({ name }) => name);
  if (equalJson(names(before), names(after))) return [];
  return [forbiddenField(`spec.${list}`, `${list} may not be renamed or reordered on resize`)];
}

function qosErrors(old: JsonObject, pod: JsonObject): readonly FieldError[] {
  const was = stringOf(at(old, 'status.qosClass')) || qosClass(old);
  const becomes = qosClass(pod);
  if (was === becomes) return [];
  return [invalidField('spec', becomes, 'Pod QOS Class may not change as a result of resizing')];
}

function listErrors(before: JsonObject, after: JsonObject, list: string): readonly FieldError[] {
  const old = objectsOf(before[list]);
  return objectsOf(after[list]).flatMap((container, index) => {
    const [was, becomes] = [objectOf(old[index]?.['resources']), objectOf(container['resources'])];
    const path = `spec.${list}[${index}].resources`;
    if (list === 'initContainers' && container['restartPolicy'] !== 'Always') {
      const text = 'resources for non-sidecar init containers are immutable';
      return equalJson(was, becomes) ? [] : [forbiddenField(path, text)];
    }
    return removedErrors(was, becomes, path, '');
  });
}

function removedErrors(
  was: JsonObject,
  becomes: JsonObject,
  path: string,
  whose: string,
): readonly FieldError[] {
  return (['requests', 'limits'] as const).flatMap((field) => {
    const kept = objectOf(becomes[field]);
    const isRemoved = Object.keys(objectOf(was[field])).some((name) => kept[name] === undefined);
    return isRemoved
      ? [forbiddenField(`${path}.${field}`, `${whose}resource ${field} cannot be removed`)]
      : [];
  });
}

/** With cpu and memory put back as they were, nothing may differ. */
function otherErrors(before: JsonObject, after: JsonObject): readonly FieldError[] {
  const restored = ['containers', 'initContainers'].reduce(
    (spec, list) => {
      const old = objectsOf(before[list]);
      if (old.length === 0) return spec;
      const containers = objectsOf(after[list]).map((container, index) =>
        restore(container, old[index] ?? {}),
      );
      return withPath(spec, list, containers);
    },
    restore(after, before),
  );
  return equalJson(before, restored)
    ? []
    : [forbiddenField('spec', 'only cpu and memory resources are mutable')];
}

/** A container, or a spec, with the cpu and memory that it had. */
function restore(holder: JsonObject, before: JsonObject): JsonObject {
  const [was, is] = [objectOf(before['resources']), objectOf(holder['resources'])];
  const fields = ['requests', 'limits'] as const;
  const amounts = fields.flatMap((field): [string, JsonObject][] => {
    const fixed = Object.entries(objectOf(is[field])).filter(([name]) => !resizable.has(name));
    const old = Object.entries(objectOf(was[field])).filter(([name]) => resizable.has(name));
    const all = [...fixed, ...old];
    return all.length === 0 && was[field] === undefined ? [] : [[field, Object.fromEntries(all)]];
  });
  const { requests: _requests, limits: _limits, ...rest } = is;
  const resources = { ...rest, ...Object.fromEntries(amounts) };
  const { resources: _resources, ...others } = holder;
  const isAbsent = before['resources'] === undefined && Object.keys(resources).length === 0;
  return isAbsent ? others : { ...others, resources };
}
