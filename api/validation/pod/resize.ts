import { forbiddenField, invalidField, noField, type FieldError } from '#api/errors/field-error.ts';
import {
  at,
  equalStored,
  isObject,
  listOf,
  objectOf,
  objectsOf,
  stringOf,
  withPath,
} from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { qosClass } from '#api/pod/qos.ts';
import { isMirror } from './annotations.ts';

/** The resources that a resize may change (KEP-1287). */
const resizable: ReadonlySet<string> = new Set(['cpu', 'memory']);

/**
 * What the resize subresource may change: cpu and memory of containers, of init containers, and of the pod as a whole. Nothing once
 * asked for is taken back, and the QoS class stays, for it has placed the pod's cgroup. (ValidatePodResize)
 */
export function validatePodResize(old: JsonObject, pod: JsonObject): readonly FieldError[] {
  if (isMirror(old)) return [forbiddenField(noField, 'static pods cannot be resized')];
  const [before, after] = [objectOf(old['spec']), objectOf(pod['spec'])];
  if (at(before, 'os.name') === 'windows') return [forbiddenField(noField, 'windows pods cannot be resized')];
  const whole = podLevelErrors(before['resources'], after['resources']);
  const errors = [...qosErrors(old, pod), ...nodeErrors(old), ...whole];
  const order = ['containers', 'initContainers'].flatMap((list) => orderErrors(before, after, list));
  if (order.length > 0) return [...errors, ...order];
  const own = [
    ...errors,
    ...removedErrors(before, after, 'initContainers'),
    ...removedErrors(before, after, 'containers'),
    ...containerErrors(before, after),
    ...initErrors(before, after),
  ];
  return own.length > 0 ? own : otherErrors(before, after);
}

function qosErrors(old: JsonObject, pod: JsonObject): readonly FieldError[] {
  const was = stringOf(at(old, 'status.qosClass')) || qosClass(old);
  if (was === qosClass(pod)) return [];
  const shown = at(pod, 'status.qosClass') ?? '';
  return [invalidField('spec', shown, 'Pod QOS Class may not change as a result of resizing')];
}

/** A node that resizes says of a running container what it has; one that was given amounts by a claim cannot (KEP-5517). */
function nodeErrors(old: JsonObject): readonly FieldError[] {
  const running = objectsOf(at(old, 'status.containerStatuses')).find((status) =>
    isObject(at(status, 'state.running')),
  );
  const claimed = listOf(at(old, 'status.nodeAllocatableResourceClaimStatuses')).length > 0;
  return [
    ...(running !== undefined && running['resources'] === undefined
      ? [forbiddenField('spec', 'Pod running on node without support for resize')]
      : []),
    ...(claimed
      ? [forbiddenField('spec', 'pods with node allocatable resource claims cannot be resized')]
      : []),
  ];
}

const amounts = ['requests', 'limits'] as const;

function podLevelErrors(before: unknown, after: unknown): readonly FieldError[] {
  const isSet = (resources: unknown): boolean =>
    amounts.some((field) => Object.keys(objectOf(at(resources, field))).length > 0);
  if (!isSet(before) && !isSet(after)) return [];
  if (isObject(before) && !isObject(after)) {
    return [forbiddenField('spec.resources', 'pod-level resources cannot be removed')];
  }
  const [was, becomes] = [objectOf(before), objectOf(after)];
  const isSame = equalStored(was, maskedResources(becomes, was));
  return [
    ...removals(was, becomes, 'spec.resources', 'pod-level '),
    ...(isSame ? [] : [forbiddenField('spec', 'only cpu and memory resources are mutable at pod-level')]),
  ];
}

/** Containers are told apart by their place in the list. */
function orderErrors(before: JsonObject, after: JsonObject, list: string): readonly FieldError[] {
  const [old, given] = [objectsOf(before[list]), objectsOf(after[list])];
  if (old.length !== given.length) {
    return [forbiddenField(`spec.${list}`, `${list} may not be added or removed on resize`)];
  }
  return old.flatMap(({ name }, index) =>
    given[index]?.['name'] === name
      ? []
      : [forbiddenField(`spec.${list}[${index}].name`, `${list} may not be renamed or reordered on resize`)],
  );
}

function removedErrors(before: JsonObject, after: JsonObject, list: string): readonly FieldError[] {
  const given = objectsOf(after[list]);
  return objectsOf(before[list]).flatMap((container, index) =>
    removals(
      objectOf(container['resources']),
      objectOf(given[index]?.['resources']),
      `spec.${list}[${index}].resources`,
      '',
    ),
  );
}

function removals(was: JsonObject, becomes: JsonObject, path: string, whose: string): readonly FieldError[] {
  return amounts.flatMap((field) => {
    const kept = objectOf(becomes[field]);
    const isRemoved = Object.keys(objectOf(was[field])).some((name) => kept[name] === undefined);
    return isRemoved
      ? [forbiddenField(`${path}.${field}`, `${whose}resource ${field} cannot be removed`)]
      : [];
  });
}

/** One complaint for each container that differs otherwise, as upstream has it. */
function containerErrors(before: JsonObject, after: JsonObject): readonly FieldError[] {
  return pairs(before, after, 'containers').flatMap(([was, becomes]) =>
    equalStored(was, masked(becomes, was))
      ? []
      : [forbiddenField('spec', 'only cpu and memory resources are mutable')],
  );
}

function initErrors(before: JsonObject, after: JsonObject): readonly FieldError[] {
  const other = 'only cpu and memory resources for init or sidecar containers are mutable';
  const restarts = 'non-sidecar init containers with a resize policy of RestartContainer cannot be resized';
  return pairs(before, after, 'initContainers').flatMap(([was, becomes], index) => {
    const path = `spec.initContainers[${index}]`;
    const ends = becomes['restartPolicy'] !== 'Always' && !equalStored(was, becomes);
    return [
      ...(equalStored(was, masked(becomes, was)) ? [] : [forbiddenField(path, other)]),
      ...objectsOf(ends ? becomes['resizePolicy'] : []).flatMap(({ restartPolicy }) =>
        restartPolicy === 'RestartContainer' ? [forbiddenField(path, restarts)] : [],
      ),
    ];
  });
}

function pairs(
  before: JsonObject,
  after: JsonObject,
  list: string,
): readonly (readonly [JsonObject, JsonObject])[] {
  const given = objectsOf(after[list]);
  return objectsOf(before[list]).map((container, index) => [container, given[index] ?? {}] as const);
}

/** With cpu and memory put back as they were, nothing may differ. */
function otherErrors(before: JsonObject, after: JsonObject): readonly FieldError[] {
  const restored = ['containers', 'initContainers'].reduce(
    (spec, list) => {
      const containers = pairs(before, after, list).map(([was, becomes]) => masked(becomes, was));
      return containers.length === 0 ? spec : withPath(spec, list, containers);
    },
    masked(after, before),
  );
  return equalStored(before, restored)
    ? []
    : [forbiddenField('spec', 'only cpu and memory resources are mutable')];
}

/** A container, or a spec, with the cpu and memory that it had. */
function masked(holder: JsonObject, before: JsonObject): JsonObject {
  const was = before['resources'];
  const resources = maskedResources(objectOf(holder['resources']), objectOf(was));
  const { resources: _resources, ...others } = holder;
  const isAbsent = was === undefined && Object.keys(resources).length === 0;
  return isAbsent ? others : { ...others, resources };
}

function maskedResources(is: JsonObject, was: JsonObject): JsonObject {
  const { requests: _requests, limits: _limits, ...rest } = is;
  const lists = amounts.flatMap((field): [string, JsonObject][] => {
    const fixed = Object.entries(objectOf(is[field])).filter(([name]) => !resizable.has(name));
    const old = Object.entries(objectOf(was[field])).filter(([name]) => resizable.has(name));
    const all = [...fixed, ...old];
    return all.length === 0 && was[field] === undefined ? [] : [[field, Object.fromEntries(all)]];
  });
  return { ...rest, ...Object.fromEntries(lists) };
}
