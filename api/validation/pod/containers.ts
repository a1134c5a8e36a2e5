import {
  duplicateField,
  forbiddenField,
  invalidField,
  notFoundField,
  requiredField,
  type FieldError,
} from '#api/errors/field-error.ts';
import { isObject, objectsOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import {
  hostPortErrors,
  imageErrors,
  restartErrors,
  validateContainer,
  type ContainerContext,
} from './container.ts';
import { lifecycleErrors, noLifecycleErrors } from './handlers.ts';
import type { PlacedContainers } from './windows.ts';

/** All containers of a pod with their places, in the order of upstream's visits. */
export function placedContainers(spec: JsonObject, path: string): PlacedContainers {
  return ['initContainers', 'containers', 'ephemeralContainers'].flatMap((list) =>
    objectsOf(spec[list]).map((container, index) => [container, `${path}.${list}[${index}]`] as const),
  );
}

/** Complaints about the containers of a pod, its init containers and those added to it while it runs. */
export function containerErrors(context: ContainerContext, path: string): readonly FieldError[] {
  return [
    ...regularErrors(context, `${path}.containers`),
    ...initErrors(context, `${path}.initContainers`),
    ...ephemeralErrors(context, `${path}.ephemeralContainers`),
  ];
}

function regularErrors(context: ContainerContext, path: string): readonly FieldError[] {
  const { spec } = context;
  const containers = objectsOf(spec['containers']);
  if (containers.length === 0) return [requiredField(path)];
  const names = new Set<string>();
  return [
    ...containers.flatMap((container, index) => {
      const place = `${path}[${index}]`;
      return [
        ...validateContainer(container, place, context),
        ...nameErrors(container, place, names),
        ...lifecycleErrors(container, spec, place),
        ...restartErrors(container, place),
      ];
    }),
    ...hostPortErrors(containers, path),
  ];
}

/** Two without a name are not told to be the same, except where upstream does so: among regular containers. */
function nameErrors(container: JsonObject, path: string, names: Set<string>): readonly FieldError[] {
  const name = stringOf(container['name']);
  if (names.has(name)) return [duplicateField(`${path}.name`, name)];
  names.add(name);
  return [];
}

function initErrors(context: ContainerContext, path: string): readonly FieldError[] {
  const { spec } = context;
  const names = new Set(objectsOf(spec['containers']).map(({ name }) => stringOf(name)));
  return objectsOf(spec['initContainers']).flatMap((container, index) => {
    const place = `${path}[${index}]`;
    const isSidecar = container['restartPolicy'] === 'Always';
    const errors = [
      ...validateContainer(container, place, context),
      ...restartErrors(container, place),
      ...nameErrors(container, place, names),
      // One by one, since they run one by one; the place is upstream's.
      ...hostPortErrors([container], path),
      ...(isSidecar ? lifecycleErrors(container, spec, place) : noLifecycleErrors(container, place)),
      ...(isSidecar ? [] : initResizeErrors(container, place)),
    ];
    if (stringOf(container['name']) === '') names.delete('');
    return errors;
  });
}

function initResizeErrors(container: JsonObject, path: string): readonly FieldError[] {
  const detail = "must not be set to 'RestartContainer' for non-sidecar initContainers";
  return objectsOf(container['resizePolicy']).flatMap(({ restartPolicy }, index) =>
    restartPolicy === 'RestartContainer'
      ? [invalidField(`${path}.resizePolicy[${index}].restartPolicy`, restartPolicy, detail)]
      : [],
  );
}

/** What a container may not have that is added to a running pod, in upstream's order: it is never restarted, nobody waits for it. */
const notEphemeral = [
  'ports',
  'resources',
  'resizePolicy',
  'restartPolicy',
  'restartPolicyRules',
  'livenessProbe',
  'readinessProbe',
  'startupProbe',
  'lifecycle',
];

function ephemeralErrors(context: ContainerContext, path: string): readonly FieldError[] {
  const { spec } = context;
  const others = new Set(
    ['containers', 'initContainers'].flatMap((list) =>
      objectsOf(spec[list]).map(({ name }) => stringOf(name)),
    ),
  );
  const names = new Set(others);
  return objectsOf(spec['ephemeralContainers']).flatMap((container, index) => {
    const place = `${path}[${index}]`;
    const target = stringOf(container['targetContainerName']);
    return [
      ...validateContainer(container, place, context),
      ...imageErrors(container, place),
      ...nameErrors(container, place, names),
      ...(target === '' || others.has(target) ? [] : [notFoundField(`${place}.targetContainerName`, target)]),
      ...ephemeralFieldErrors(container, place),
    ];
  });
}

function ephemeralFieldErrors(container: JsonObject, path: string): readonly FieldError[] {
  const detail = 'cannot be set for an Ephemeral Container';
  return [
    ...notEphemeral
      .filter((name) => isGiven(container[name]))
      .map((name) => forbiddenField(`${path}.${name}`, detail)),
    ...objectsOf(container['volumeMounts']).flatMap((mount, index) =>
      ['subPath', 'subPathExpr']
        .filter((name) => stringOf(mount[name]) !== '')
        .map((name) => forbiddenField(`${path}.volumeMounts[${index}].${name}`, detail)),
    ),
  ];
}

/** An empty struct is none, and so is an empty list. */
function isGiven(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  return isObject(value) ? Object.keys(value).length > 0 : value !== undefined;
}
