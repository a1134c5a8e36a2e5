import { listOf, mapOf, types, type CelType, type ObjectType } from '#api/cel/check/cel-type.ts';

/** An object of these fields. */
export function objectType(name: string, fields: Readonly<Record<string, CelType>>): ObjectType {
  const typeOf = (field: string): CelType | undefined =>
    Object.hasOwn(fields, field) ? fields[field] : undefined;
  return {
    kind: 'object',
    name,
    fieldOf: (field) => {
      const type = typeOf(field);
      return type === undefined ? undefined : { type };
    },
    typeOfProperty: typeOf,
  };
}

function texts(...names: readonly string[]): Readonly<Record<string, CelType>> {
  return Object.fromEntries(names.map((name) => [name, types.string]));
}

const kindType = objectType('kubernetes.GroupVersionKind', texts('group', 'version', 'kind'));
const resourceType = objectType('kubernetes.GroupVersionResource', texts('group', 'version', 'resource'));

/** The variable `request`: of an AdmissionRequest what expressions may know (apiserver/pkg/admission/plugin/cel, BuildRequestType). */
export const requestType: ObjectType = objectType('kubernetes.AdmissionRequest', {
  ...{ kind: kindType, resource: resourceType, requestKind: kindType, requestResource: resourceType },
  ...texts('subResource', 'requestSubResource', 'name', 'namespace', 'operation'),
  userInfo: objectType('kubernetes.UserInfo', {
    ...texts('username', 'uid'),
    groups: listOf(types.string),
    extra: mapOf(types.string, listOf(types.string)),
  }),
  dryRun: types.bool,
  options: types.dyn,
});

/** The variable `namespaceObject` (BuildNamespaceType). */
export const namespaceType: ObjectType = objectType('kubernetes.Namespace', {
  metadata: objectType('kubernetes.NamespaceMetadata', {
    ...texts('name', 'generateName', 'namespace', 'UID', 'resourceVersion'),
    labels: mapOf(types.string, types.string),
    annotations: mapOf(types.string, types.string),
    ...{ creationTimestamp: types.timestamp, deletionTimestamp: types.timestamp },
    ...{ deletionGracePeriodSeconds: types.int, generation: types.int },
    finalizers: listOf(types.string),
  }),
  spec: objectType('kubernetes.NamespaceSpec', { finalizers: listOf(types.string) }),
  status: objectType('kubernetes.NamespaceStatus', { phase: types.string }),
});
