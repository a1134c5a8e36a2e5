import { forbiddenField, invalidField, notSupportedField, type FieldError } from '#api/errors/field-error.ts';
import { at, listOf, objectOf, objectsOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';

/** User and group ids as Kubernetes takes them: the kernel has twice as many, and −1 is nobody there. */
const idMax = 2 ** 31 - 1;
const idText = `must be between 0 and ${idMax}, inclusive`;

/** Complaints about the security context of a pod, and about what it shares (ValidatePodSecurityContext). */
export function podSecurityErrors(spec: JsonObject, path: string): readonly FieldError[] {
  const context = objectOf(spec['securityContext']);
  const field = `${path}.securityContext`;
  return [
    ...idErrors(context, ['runAsUser', 'runAsGroup', 'fsGroup'], field),
    ...listOf(context['supplementalGroups']).flatMap((id, index) =>
      isId(id) ? [] : [invalidField(`${field}.supplementalGroups[${index}]`, id, idText)],
    ),
    ...(spec['shareProcessNamespace'] === true && spec['hostPID'] === true
      ? [
          invalidField(
            `${field}.shareProcessNamespace`,
            true,
            'ShareProcessNamespace and HostPID cannot both be enabled',
          ),
        ]
      : []),
    ...seLinuxErrors(context, field),
    ...hostUsersErrors(spec, path),
  ];
}

const changePolicies = ['MountOption', 'Recursive'];

function seLinuxErrors(context: JsonObject, field: string): readonly FieldError[] {
  const policy = stringOf(context['seLinuxChangePolicy']);
  return policy === '' || changePolicies.includes(policy)
    ? []
    : [notSupportedField(`${field}.seLinuxChangePolicy`, policy, changePolicies)];
}

/** Users of its own beside other namespaces of the host (validateHostUsers). */
function hostUsersErrors(spec: JsonObject, path: string): readonly FieldError[] {
  if (spec['hostUsers'] !== false) return [];
  return ['hostNetwork', 'hostPID', 'hostIPC']
    .filter((name) => spec[name] === true)
    .map((name) => forbiddenField(`${path}.${name}`, 'when `hostUsers` is false'));
}

/** Complaints about the security context of a container (ValidateSecurityContext, validateMountPropagation). */
export function containerSecurityErrors(container: JsonObject, path: string): readonly FieldError[] {
  const context = objectOf(container['securityContext']);
  const field = `${path}.securityContext`;
  return [
    ...idErrors(context, ['runAsUser', 'runAsGroup'], field),
    ...escalationErrors(context, field),
    ...objectsOf(container['volumeMounts']).flatMap((mount) =>
      mount['mountPropagation'] === 'Bidirectional' && context['privileged'] !== true
        ? [
            forbiddenField(
              `${path}.volumeMounts.mountPropagation`, // Without an index, as kube-apiserver has it.
              'Bidirectional mount propagation is available only to privileged containers',
            ),
          ]
        : [],
    ),
  ];
}

/** More rights at once, and a promise of never getting more. */
function escalationErrors(context: JsonObject, field: string): readonly FieldError[] {
  if (context['allowPrivilegeEscalation'] !== false) return [];
  const text = (what: string): string => `cannot set \`allowPrivilegeEscalation\` to false and ${what}`;
  const added = listOf(at(context, 'capabilities.add'));
  return [
    ...(context['privileged'] === true ? [invalidField(field, context, text('`privileged` to true'))] : []),
    ...(added.includes('CAP_SYS_ADMIN')
      ? [invalidField(field, context, text('`capabilities.Add` CAP_SYS_ADMIN'))]
      : []),
  ];
}

function idErrors(context: JsonObject, names: readonly string[], field: string): readonly FieldError[] {
  return names.flatMap((name) => {
    const id = context[name];
    return id === undefined || id === null || isId(id) ? [] : [invalidField(`${field}.${name}`, id, idText)];
  });
}

function isId(value: unknown): boolean {
  return typeof value === 'number' && value >= 0 && value <= idMax;
}
