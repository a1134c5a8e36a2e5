import { invalid, oneOfAt, ruleAt, says } from '#api/validation/rules/row.fixture.ts';
import type { RuleRow } from '#api/validation/rules/rule-table.fixture.ts';

const id = 'must be between 0 and 2147483647, inclusive';

/** What contexts of pods and of containers have in common. */
function contextRows(context: string): readonly RuleRow[] {
  const [seccomp, appArmor, windows] = ['seccompProfile', 'appArmorProfile', 'windowsOptions'].map(
    (name) => `${context}.${name}`,
  );
  const user = `${windows}.runAsUserName`;
  return [
    ...['runAsUser', 'runAsGroup'].map((name) =>
      ruleAt(`${context}.${name}`, 'an id', { passes: 2 ** 31 - 1, fails: -1 }, invalid(-1, id)),
    ),
    ruleAt(
      `${seccomp}.type`,
      'one of three',
      { passes: 'Unconfined', fails: 'X' },
      'Unsupported value: "X": supported values: "Localhost", "RuntimeDefault", "Unconfined"',
    ),
    ruleAt(
      `${seccomp}.type`,
      'there',
      { fails: '' },
      'Required value: type is required when seccompProfile is set',
    ),
    ruleAt(
      `${seccomp}.localhostProfile`,
      'of Localhost',
      { fails: 'x' },
      `Invalid value: {"Type":"Unconfined","LocalhostProfile":"x"}: can only be set when seccomp type is Localhost`,
      { [`${seccomp}.type`]: 'Unconfined' },
    ),
    ruleAt(
      `${seccomp}.localhostProfile`,
      'there for Localhost',
      { passes: 'a/b', fails: undefined },
      'Required value: must be set when seccomp type is Localhost',
      { [`${seccomp}.type`]: 'Localhost' },
    ),
    ruleAt(
      `${seccomp}.localhostProfile`,
      'below the root of profiles',
      { fails: '../x' },
      invalid('../x', "must not contain '..'"),
      { [`${seccomp}.type`]: 'Localhost' },
    ),
    ruleAt(
      `${appArmor}.type`,
      'one of three',
      { passes: 'Unconfined', fails: 'X' },
      'Unsupported value: "X": supported values: "Localhost", "RuntimeDefault", "Unconfined"',
    ),
    ruleAt(
      `${appArmor}.type`,
      'there',
      { fails: '' },
      'Required value: type is required when appArmorProfile is set',
    ),
    ruleAt(
      `${appArmor}.localhostProfile`,
      'of Localhost',
      { fails: 'x' },
      invalid('x', 'can only be set when AppArmor type is Localhost'),
      { [`${appArmor}.type`]: 'Unconfined' },
    ),
    ruleAt(
      `${appArmor}.localhostProfile`,
      'there for Localhost',
      { passes: 'x', fails: '' },
      'Required value: must be set when AppArmor type is Localhost',
      { [`${appArmor}.type`]: 'Localhost' },
    ),
    ruleAt(
      `${appArmor}.localhostProfile`,
      'without blanks around it',
      { fails: 'x ' },
      invalid('x ', 'must not be padded with whitespace'),
      { [`${appArmor}.type`]: 'Localhost' },
    ),
    ruleAt(
      `${appArmor}.localhostProfile`,
      'no longer than a path',
      { passes: 'x'.repeat(4095), fails: 'x'.repeat(4096) },
      'Too long: may not be more than 4095 bytes',
      { [`${appArmor}.type`]: 'Localhost' },
    ),
    ruleAt(
      `${windows}.gmsaCredentialSpecName`,
      'a name',
      { passes: 'a.b', fails: 'A' },
      invalid('A', says.subdomain),
    ),
    ruleAt(
      `${windows}.gmsaCredentialSpec`,
      'not empty',
      { passes: 'x', fails: '' },
      invalid('', 'gmsaCredentialSpec cannot be an empty string'),
    ),
    ruleAt(
      `${windows}.gmsaCredentialSpec`,
      'no longer than 64 KiB',
      { passes: 'x'.repeat(65_536), fails: 'x'.repeat(65_537) },
      [`${windows}.gmsaCredentialSpec: Invalid value: "xx…`],
    ),
    ruleAt(
      user,
      'not empty',
      { passes: String.raw`a.b\u`, fails: '' },
      invalid('', 'runAsUserName cannot be an empty string'),
    ),
    ruleAt(
      user,
      'without control characters',
      { fails: 'a\tb' },
      invalid('a\tb', 'runAsUserName cannot contain control characters'),
    ),
    ruleAt(
      user,
      'one backslash',
      { fails: String.raw`a\b\c` },
      invalid(String.raw`a\b\c`, 'runAsUserName cannot contain more than one backslash'),
    ),
    ruleAt(
      user,
      'a domain',
      { passes: String.raw`A B\u`, fails: String.raw`.\u` },
      invalid(String.raw`.\u`, "runAsUserName's Domain doesn't match the NetBios nor the DNS format"),
    ),
    ruleAt(user, 'a user', { fails: 'a\\' }, invalid('a\\', "runAsUserName's User cannot be empty")),
    ruleAt(user, 'a user of 104 characters', { passes: 'u'.repeat(104), fails: 'u'.repeat(105) }, [
      `${user}: Invalid value: "${'u'.repeat(105)}": runAsUserName's User length must not be longer than 104 characters`,
    ]),
    ruleAt(
      user,
      'not only dots',
      { fails: '. ' },
      invalid('. ', "runAsUserName's User cannot contain only periods or spaces"),
    ),
    ruleAt(user, 'without signs', { fails: 'a@b' }, [
      `${user}: Invalid value: "a@b": runAsUserName's User cannot contain the following characters: "/\\:;|=,+*?<>@[]`,
    ]),
  ];
}

const c = 'spec.containers[0].securityContext';
const p = 'spec.securityContext';
const shown = (capabilities: string, privileged: string): string =>
  `{"Capabilities":${capabilities},"Privileged":${privileged},"SELinuxOptions":null,"WindowsOptions":null,"RunAsUser":null,"RunAsGroup":null,"RunAsNonRoot":null,"ReadOnlyRootFilesystem":null,"AllowPrivilegeEscalation":false,"ProcMount":null,"SeccompProfile":null,"AppArmorProfile":null}`;

const windowsPod = { 'spec.os.name': 'windows' };
const linuxOnly: Readonly<Record<string, unknown>> = {
  'securityContext.runAsUser': 1,
  'securityContext.fsGroup': 1,
  'securityContext.supplementalGroups': [1],
  'securityContext.fsGroupChangePolicy': 'Always',
  'securityContext.supplementalGroupsPolicy': 'Merge',
  'securityContext.seLinuxChangePolicy': 'Recursive',
  'securityContext.seLinuxOptions': {},
  'securityContext.sysctls': [{ name: 'a', value: 'b' }],
  hostPID: true,
  hostIPC: true,
  shareProcessNamespace: false,
  hostUsers: true,
};

export const securityRows: readonly RuleRow[] = [
  ...contextRows(c),
  ...contextRows(p),
  oneOfAt(`${c}.procMount`, ['Default', 'Unmasked']),
  ruleAt(
    `${c}.procMount`,
    'unmasked with users of its own',
    { fails: 'Unmasked' },
    invalid('Unmasked', '`hostUsers` must be false to use `Unmasked`'),
  ),
  ruleAt(
    `${c}.privileged`,
    'not without escalation',
    { passes: false, fails: true },
    [
      `${c}: Invalid value: ${shown('null', 'true')}: cannot set \`allowPrivilegeEscalation\` to false and \`privileged\` to true`,
    ],
    { [`${c}.allowPrivilegeEscalation`]: false },
  ),
  ruleAt(
    `${c}.capabilities.add`,
    'no CAP_SYS_ADMIN without escalation',
    { passes: ['SYS_ADMIN'], fails: ['CAP_SYS_ADMIN'] },
    [
      `${c}: Invalid value: ${shown('{"Add":["CAP_SYS_ADMIN"],"Drop":null}', 'null')}: cannot set \`allowPrivilegeEscalation\` to false and \`capabilities.Add\` CAP_SYS_ADMIN`,
    ],
    { [`${c}.allowPrivilegeEscalation`]: false },
  ),
  ruleAt(`${p}.fsGroup`, 'an id', { passes: 0, fails: 2 ** 31 }, invalid(2 ** 31, id)),
  ruleAt(`${p}.supplementalGroups`, 'ids', { passes: [0], fails: [-1] }, [
    `${p}.supplementalGroups[0]: Invalid value: -1: ${id}`,
  ]),
  ruleAt(
    'spec.shareProcessNamespace',
    'not with that of the host',
    { passes: false, fails: true },
    [
      `${p}.shareProcessNamespace: Invalid value: true: ShareProcessNamespace and HostPID cannot both be enabled`,
    ],
    { 'spec.hostPID': true },
  ),
  ruleAt(`${p}.sysctls[0].name`, 'there', { passes: 'a.b', fails: '' }, 'Required value', {
    [`${p}.sysctls[0].value`]: 'x',
  }),
  ruleAt(
    `${p}.sysctls[0].name`,
    'a name',
    { fails: 'A' },
    [`${p}.sysctls[0].name: Invalid value: "A": must have at most 253 characters and match regex …`],
    { [`${p}.sysctls[0].value`]: 'x' },
  ),
  ruleAt(`${p}.sysctls`, 'each once', { fails: [1, 2].map(() => ({ name: 'a', value: 'b' })) }, [
    `${p}.sysctls[1].name: Duplicate value: "a"`,
  ]),
  ruleAt(
    `${p}.sysctls[0].name`,
    'not of the network of the host',
    { passes: 'kernel.sem', fails: 'net.a' },
    invalid('net.a', "may not be specified when 'hostNetwork' is true"),
    { 'spec.hostNetwork': true, [`${p}.sysctls[0].value`]: 'x' },
  ),
  ruleAt(
    `${p}.sysctls[0].name`,
    'not of the memory of the host',
    { passes: 'net.a', fails: 'kernel.sem' },
    invalid('kernel.sem', "may not be specified when 'hostIPC' is true"),
    { 'spec.hostIPC': true, [`${p}.sysctls[0].value`]: 'x' },
  ),
  oneOfAt(`${p}.fsGroupChangePolicy`, ['Always', 'OnRootMismatch']),
  oneOfAt(`${p}.supplementalGroupsPolicy`, ['Merge', 'Strict']),
  oneOfAt(`${p}.seLinuxChangePolicy`, ['MountOption', 'Recursive']),
  ...Object.entries({ hostNetwork: 'hostNetwork', hostPID: 'HostPID', hostIPC: 'HostIPC' }).map(
    ([name, said]) =>
      ruleAt(
        `spec.${name}`,
        'not with users of its own',
        { passes: false, fails: true },
        [`spec.${said}: Forbidden: when \`hostUsers\` is false`],
        { 'spec.hostUsers': false },
      ),
  ),
  ruleAt(
    'spec.containers[0].volumeDevices',
    'not with users of its own',
    { fails: [{ name: 'v', devicePath: '/d' }] },
    'Forbidden: when `hostUsers` is false',
    { 'spec.hostUsers': false, 'spec.volumes': [{ name: 'v', persistentVolumeClaim: { claimName: 'x' } }] },
  ),
  ruleAt('spec.os.name', 'there', { passes: 'linux', fails: '' }, 'Required value'),
  ruleAt('spec.os.name', 'one of two', { fails: 'X' }, [
    'spec.os: Unsupported value: "X": supported values: "linux", "windows"',
  ]),
  ...Object.entries(linuxOnly).map(([name, value]) =>
    ruleAt(
      `spec.${name}`,
      'not on Windows',
      { fails: value },
      'Forbidden: cannot be set for a windows pod',
      windowsPod,
    ),
  ),
  ruleAt(
    `${c}.capabilities.drop`,
    'not on Windows',
    { fails: ['ALL'] },
    [`${c}.capabilities: Forbidden: cannot be set for a windows pod`],
    windowsPod,
  ),
  ruleAt(
    `${p}.windowsOptions`,
    'not on Linux',
    { fails: {} },
    'Forbidden: windows options cannot be set for a linux pod',
    { 'spec.os.name': 'linux' },
  ),
  ruleAt(
    `${c}.windowsOptions`,
    'not on Linux',
    { fails: {} },
    'Forbidden: windows options cannot be set for a linux pod',
    { 'spec.os.name': 'linux' },
  ),
  ruleAt(`${p}.windowsOptions.hostProcess`, 'in the network of the host', { passes: false, fails: true }, [
    'spec.hostNetwork: Invalid value: false: hostNetwork must be true if pod contains any hostProcess containers',
  ]),
  ruleAt(
    `${c}.windowsOptions.hostProcess`,
    'as the pod',
    { passes: true, fails: false },
    invalid(false, 'pod hostProcess value must be identical if both are specified, was true'),
    { 'spec.hostNetwork': true, [`${p}.windowsOptions.hostProcess`]: true },
  ),
  ruleAt(
    'spec.containers[1]',
    'all of a pod or none',
    { fails: { name: 'd', image: 'i' } },
    [
      'spec: Invalid value: "": If pod contains any hostProcess containers then all containers must be HostProcess containers',
    ],
    { 'spec.hostNetwork': true, [`${c}.windowsOptions.hostProcess`]: true },
  ),
];

const meta = 'metadata.annotations';
const apparmor = 'container.apparmor.security.beta.kubernetes.io/c';

export const annotationRows: readonly RuleRow[] = [
  ruleAt(
    `${meta}[kubernetes.io/config.mirror]`,
    'of a bound pod',
    { fails: 'x' },
    invalid('x', 'must set spec.nodeName if mirror pod annotation is set'),
  ),
  ruleAt(
    `${meta}[controller.kubernetes.io/pod-deletion-cost]`,
    'a number',
    { passes: '-5', fails: '+5' },
    invalid('+5', 'must be a 32bit integer'),
  ),
  ruleAt(
    `${meta}[seccomp.security.alpha.kubernetes.io/pod]`,
    'a profile',
    { passes: 'localhost/a', fails: 'x' },
    [`${meta}.seccomp.security.alpha.kubernetes.io/pod: Invalid value: "x": must be a valid seccomp profile`],
  ),
  ruleAt(`${meta}[${apparmor}]`, 'a profile', { passes: 'runtime/default', fails: 'x' }, [
    `${meta}[${apparmor}]: Invalid value: "x": invalid AppArmor profile name: "x"`,
  ]),
  ruleAt(
    `${meta}[${apparmor}]`,
    'of a container',
    { fails: undefined },
    [`${meta}[${apparmor}x]: Invalid value: "cx": container not found`],
    { [`${meta}[${apparmor}x]`]: 'unconfined' },
  ),
  ruleAt(
    `${meta}[${apparmor}]`,
    'as the field',
    { passes: 'localhost/p', fails: 'localhost/q' },
    [
      'spec.containers[0].securityContext.appArmorProfile.localhostProfile: Forbidden: apparmor profile in annotation and field must match',
    ],
    { [`${c}.appArmorProfile`]: { type: 'Localhost', localhostProfile: 'p' } },
  ),
  ruleAt(
    `${meta}[container.seccomp.security.alpha.kubernetes.io/c]`,
    'as the field',
    { passes: 'docker/default', fails: 'unconfined' },
    [
      'spec.containers[0].securityContext.seccompProfile.type: Forbidden: seccomp type in annotation and field must match',
    ],
    { [`${c}.seccompProfile.type`]: 'RuntimeDefault' },
  ),
  ruleAt(
    `${meta}[scheduler.alpha.kubernetes.io/tolerations]`,
    'tolerations',
    { passes: '[{"operator":"Exists"}]', fails: '[{"key":"a b","operator":"Exists"}]' },
    [`${meta}.scheduler.alpha.kubernetes.io/tolerations[0].key: ${invalid('a b', says.qualified)}`],
  ),
].map((row) => ({ ...row, field: 'metadata.annotations' }));
