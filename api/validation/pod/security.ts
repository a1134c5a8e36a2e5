import {
  forbiddenField,
  invalidField,
  invalidStruct,
  tooLongField,
  type FieldError,
} from '#api/errors/field-error.ts';
import { goStruct } from '#api/errors/go-struct.ts';
import { at, isObject, listOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { givenChoiceErrors } from '#api/validation/field.ts';
import { dnsSubdomain, formatErrors } from '#api/validation/format.ts';
import { appArmorErrors, seccompErrors } from './profiles.ts';
import { sysctlErrors } from './sysctls.ts';
import { windowsOptionErrors } from './windows.ts';

/** User and group ids as Kubernetes takes them: the kernel has twice as many, and −1 is nobody there. */
const idMax = 2 ** 31 - 1;
const idText = `must be between 0 and ${idMax}, inclusive`;

/** Complaints about the security context of a pod (validatePodSpecSecurityContext). */
export function podSecurityErrors(spec: JsonObject, field: string): readonly FieldError[] {
  const context = spec['securityContext'];
  const isShared = spec['shareProcessNamespace'] === true && spec['hostPID'] === true;
  const shared = isShared
    ? [
        invalidField(
          `${field}.shareProcessNamespace`,
          true,
          'ShareProcessNamespace and HostPID cannot both be enabled',
        ),
      ]
    : [];
  if (!isObject(context)) return shared;
  const choice = (name: string, allowed: readonly string[]): readonly FieldError[] =>
    givenChoiceErrors(`${field}.${name}`, context[name], allowed);
  return [
    ...idErrors(context, ['fsGroup', 'runAsUser', 'runAsGroup'], field),
    ...listOf(context['supplementalGroups']).flatMap((id, index) =>
      isId(id) ? [] : [invalidField(`${field}.supplementalGroups[${index}]`, id, idText)],
    ),
    ...shared,
    ...sysctlErrors(context, spec, `${field}.sysctls`),
    ...choice('fsGroupChangePolicy', ['Always', 'OnRootMismatch']),
    ...seccompErrors(context['seccompProfile'], `${field}.seccompProfile`),
    ...windowsOptionErrors(context['windowsOptions'], `${field}.windowsOptions`),
    ...appArmorErrors(context['appArmorProfile'], `${field}.appArmorProfile`),
    ...choice('supplementalGroupsPolicy', ['Merge', 'Strict']),
    ...choice('seLinuxChangePolicy', ['MountOption', 'Recursive']),
  ];
}

/** Complaints about the security context of a container (ValidateSecurityContext). */
export function containerSecurityErrors(
  context: unknown,
  spec: JsonObject,
  field: string,
): readonly FieldError[] {
  if (!isObject(context)) return [];
  const { procMount } = context;
  const isUnmasked = procMount === 'Unmasked' && spec['hostUsers'] !== false;
  return [
    ...idErrors(context, ['runAsUser', 'runAsGroup'], field),
    ...givenChoiceErrors(`${field}.procMount`, procMount, ['Default', 'Unmasked']),
    ...(isUnmasked
      ? [invalidField(`${field}.procMount`, procMount, '`hostUsers` must be false to use `Unmasked`')]
      : []),
    ...seccompErrors(context['seccompProfile'], `${field}.seccompProfile`),
    ...escalationErrors(context, field),
    ...windowsOptionErrors(context['windowsOptions'], `${field}.windowsOptions`),
    ...appArmorErrors(context['appArmorProfile'], `${field}.appArmorProfile`),
  ];
}

/** More rights at once, and a promise of never getting more. */
function escalationErrors(context: JsonObject, field: string): readonly FieldError[] {
  if (context['allowPrivilegeEscalation'] !== false) return [];
  const wrong = (what: string): FieldError =>
    invalidStruct(
      field,
      goStruct('SecurityContext', context),
      `cannot set \`allowPrivilegeEscalation\` to false and ${what}`,
    );
  return [
    ...(context['privileged'] === true ? [wrong('`privileged` to true')] : []),
    ...listOf(at(context, 'capabilities.add')).flatMap((name) =>
      name === 'CAP_SYS_ADMIN' ? [wrong('`capabilities.Add` CAP_SYS_ADMIN')] : [],
    ),
  ];
}

/** Users of its own beside other namespaces of the host, and devices (validateHostUsers); the paths are upstream's. */
export function hostUsersErrors(
  spec: JsonObject,
  path: string,
  containers: readonly (readonly [JsonObject, string])[],
): readonly FieldError[] {
  if (spec['hostUsers'] !== false) return [];
  const detail = 'when `hostUsers` is false';
  const names = { hostNetwork: 'hostNetwork', hostPID: 'HostPID', hostIPC: 'HostIPC' };
  return [
    ...Object.entries(names).flatMap(([name, said]) =>
      spec[name] === true ? [forbiddenField(`${path}.${said}`, detail)] : [],
    ),
    ...containers.flatMap(([container, place]) =>
      listOf(container['volumeDevices']).length > 0 ? [forbiddenField(`${place}.volumeDevices`, detail)] : [],
    ),
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

/** The name that a pod may give itself instead (validatePodHostName, KEP-4762). */
export function hostnameErrors(spec: JsonObject, path: string): readonly FieldError[] {
  const field = `${path}.hostnameOverride`;
  const { hostnameOverride: name } = spec;
  if (name === undefined) return [];
  const text = stringOf(name);
  return [
    ...['setHostnameAsFQDN', 'hostNetwork'].flatMap((other) =>
      spec[other] === true ? [forbiddenField(field, `may not be specified when ${other} is true`)] : [],
    ),
    ...(Buffer.byteLength(text) > 64 ? [tooLongField(field, 64)] : []),
    ...formatErrors(field, text, dnsSubdomain),
  ];
}
