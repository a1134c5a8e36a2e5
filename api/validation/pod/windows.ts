import {
  forbiddenField,
  invalidField,
  notSupportedField,
  requiredField,
  type FieldError,
} from '#api/errors/field-error.ts';
import { at, isObject, listOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { dnsSubdomain, formatErrors } from '#api/validation/format.ts';

/** Containers of a pod with the place of each, in the order in which upstream visits them (VisitContainersWithPath). */
export type PlacedContainers = readonly (readonly [container: JsonObject, path: string])[];

const specBytesMax = 64 * 1024;
const domainBytesMax = 255;
const userBytesMax = 104;

/** Complaints about options for Windows (validateWindowsSecurityContextOptions). */
export function windowsOptionErrors(options: unknown, path: string): readonly FieldError[] {
  if (!isObject(options)) return [];
  const { gmsaCredentialSpecName: name, gmsaCredentialSpec: spec, runAsUserName: user } = options;
  return [
    ...(typeof name === 'string' ? formatErrors(`${path}.gmsaCredentialSpecName`, name, dnsSubdomain) : []),
    ...(typeof spec === 'string' ? specErrors(spec, `${path}.gmsaCredentialSpec`) : []),
    ...(typeof user === 'string'
      ? userErrors(user).map((detail) => invalidField(`${path}.runAsUserName`, user, detail))
      : []),
  ];
}

function specErrors(spec: string, field: string): readonly FieldError[] {
  if (spec === '') return [invalidField(field, spec, 'gmsaCredentialSpec cannot be an empty string')];
  const detail = `gmsaCredentialSpec size must be under ${specBytesMax / 1024} KiB`;
  return Buffer.byteLength(spec) > specBytesMax ? [invalidField(field, spec, detail)] : [];
}

const label = '[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?';
const dnsDomain = new RegExp(String.raw`^${label}(?:\.${label})*$`);
const netBiosDomain = /^[^\\/:*?"<>|.][^\\/:*?"<>|]{0,14}$/;

/** `user` or `domain\user`. */
function userErrors(name: string): readonly string[] {
  if (name === '') return ['runAsUserName cannot be an empty string'];
  // eslint-disable-next-line no-control-regex
  if (/[\u0000-\u001f\u007f]/.test(name)) return ['runAsUserName cannot contain control characters'];
  const parts = name.split('\\');
  if (parts.length > 2) return ['runAsUserName cannot contain more than one backslash'];
  const [domain, user = ''] = parts.length === 2 ? parts : [undefined, parts[0]];
  const bytes = Buffer.byteLength(user);
  return [
    ...(domain === undefined ? [] : domainErrors(domain)),
    ...(bytes === 0 ? ["runAsUserName's User cannot be empty"] : []),
    ...(bytes > userBytesMax
      ? [`runAsUserName's User length must not be longer than ${userBytesMax} characters`]
      : []),
    ...(/^[. ]+$/.test(user) ? ["runAsUserName's User cannot contain only periods or spaces"] : []),
    ...(/["/:;|=,+*?<>@[\]]/.test(user)
      ? [`runAsUserName's User cannot contain the following characters: "/\\:;|=,+*?<>@[]`]
      : []),
  ];
}

function domainErrors(domain: string): readonly string[] {
  const isLong = Buffer.byteLength(domain) > domainBytesMax;
  const isName = netBiosDomain.test(domain) || (!isLong && dnsDomain.test(domain));
  return [
    ...(isLong ? [`runAsUserName's Domain length must be under ${domainBytesMax + 1} characters`] : []),
    ...(isName ? [] : ["runAsUserName's Domain doesn't match the NetBios nor the DNS format"]),
  ];
}

/** Processes of the host, which only pods of Windows have: all of a pod or none (validateWindowsHostProcessPod). */
export function hostProcessErrors(
  spec: JsonObject,
  path: string,
  containers: PlacedContainers,
): readonly FieldError[] {
  const pods = at(spec, 'securityContext.windowsOptions.hostProcess');
  const own = containers.map(
    ([container, place]) => [at(container, 'securityContext.windowsOptions.hostProcess'), place] as const,
  );
  const hostCount = own.filter(([value]) => (value ?? pods) === true).length;
  const differing = own.flatMap(([value, place]) =>
    pods === undefined || value === undefined || value === pods
      ? []
      : [
          invalidField(
            `${place}.securityContext.windowsOptions.hostProcess`,
            value,
            `pod hostProcess value must be identical if both are specified, was ${String(pods)}`,
          ),
        ],
  );
  if (hostCount === 0) return differing;
  const some =
    'If pod contains any hostProcess containers then all containers must be HostProcess containers';
  const bare = 'hostNetwork must be true if pod contains any hostProcess containers';
  return [
    ...differing,
    ...(hostCount === containers.length ? [] : [invalidField(path, '', some)]),
    ...(spec['hostNetwork'] === true ? [] : [invalidField(`${path}.hostNetwork`, false, bare)]),
  ];
}

/** What a pod of one system may not say of another (validateOS, validateLinux, validateWindows). */
export function systemErrors(
  spec: JsonObject,
  path: string,
  containers: PlacedContainers,
): readonly FieldError[] {
  if (spec['os'] === undefined) return [];
  const name = stringOf(at(spec, 'os.name'));
  if (name === '') return [requiredField(`${path}.os.name`)];
  if (name !== 'linux' && name !== 'windows') {
    return [notSupportedField(`${path}.os`, name, ['linux', 'windows'])];
  }
  const linux = name === 'linux';
  const detail = linux ? 'windows options cannot be set for a linux pod' : 'cannot be set for a windows pod';
  const given = (holder: JsonObject, names: readonly string[], place: string): readonly FieldError[] =>
    names
      .filter((field) => isGiven(holder, field))
      .map((field) => forbiddenField(`${place}.${field}`, detail));
  return [
    ...given(spec, linux ? ['securityContext.windowsOptions'] : linuxPodFields, path),
    ...containers.flatMap(([container, place]) =>
      given(container, linux ? ['securityContext.windowsOptions'] : linuxContainerFields, place),
    ),
  ];
}

/** Whether a field says something; flags that a pod holds beside its context are taken as absent when false. */
function isGiven(holder: JsonObject, path: string): boolean {
  const value = at(holder, path);
  if (path === 'hostPID' || path === 'hostIPC') return value === true;
  return path.endsWith('.sysctls') ? listOf(value).length > 0 : value !== undefined;
}

const linuxPodFields = [
  'securityContext.appArmorProfile',
  'securityContext.seLinuxOptions',
  'hostUsers',
  'hostPID',
  'hostIPC',
  'securityContext.seccompProfile',
  'securityContext.fsGroup',
  'securityContext.fsGroupChangePolicy',
  'securityContext.sysctls',
  'shareProcessNamespace',
  'securityContext.runAsUser',
  'securityContext.runAsGroup',
  'securityContext.supplementalGroups',
  'securityContext.supplementalGroupsPolicy',
  'securityContext.seLinuxChangePolicy',
];

const linuxContainerFields = [
  'appArmorProfile',
  'seLinuxOptions',
  'seccompProfile',
  'capabilities',
  'readOnlyRootFilesystem',
  'privileged',
  'allowPrivilegeEscalation',
  'procMount',
  'runAsUser',
  'runAsGroup',
].map((name) => `securityContext.${name}`);
