import { invalid, ruleAt, says, strictIpRows } from '#api/validation/rules/row.fixture.ts';
import type { RuleRow, RuleTable } from '#api/validation/rules/rule-table.fixture.ts';
import { containerRows } from './containers.fixture.ts';
import { schedulingRows } from './scheduling.fixture.ts';
import { annotationRows, securityRows } from './security.fixture.ts';
import { updateRows } from './update.fixture.ts';
import { claimPart, volumeNone, volumeRows } from './volumes.fixture.ts';

const c = 'spec.resourceClaims[0]';
const named = (name: string, format: string, passes: string): RuleRow =>
  ruleAt(`spec.${name}`, 'a name', { passes, fails: 'A b' }, invalid('A b', format));

const nameRows: readonly RuleRow[] = [
  ...[
    ...['serviceAccountName', 'nodeName', 'priorityClassName', 'runtimeClassName'],
    'schedulingGroup.podGroupName',
  ].map((name) => named(name, says.subdomain, 'a.b')),
  ...['hostname', 'subdomain'].map((name) => named(name, says.label, 'a-b')),
  ruleAt('spec.hostnameOverride', 'a name', { passes: 'a.b', fails: 'A' }, invalid('A', says.subdomain)),
  ruleAt(
    'spec.hostnameOverride',
    'no longer than 64',
    { passes: 'x'.repeat(63), fails: 'x'.repeat(65) },
    'Too long: may not be more than 64 bytes',
  ),
  ruleAt(
    'spec.hostnameOverride',
    'not on the host',
    { fails: 'a' },
    'Forbidden: may not be specified when hostNetwork is true',
    { 'spec.hostNetwork': true },
  ),
  ruleAt(
    'spec.hostnameOverride',
    'not beside the name of DNS',
    { fails: 'a' },
    'Forbidden: may not be specified when setHostnameAsFQDN is true',
    { 'spec.setHostnameAsFQDN': true },
  ),
  ruleAt(
    'spec.restartPolicy',
    'one of three',
    { passes: 'Never', fails: 'X' },
    'Unsupported value: "X": supported values: "Always", "OnFailure", "Never"',
  ),
  ruleAt(
    'spec.dnsPolicy',
    'one of four',
    { passes: 'Default', fails: 'X' },
    'Unsupported value: "X": supported values: "ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"',
  ),
  ruleAt(
    'spec.preemptionPolicy',
    'one of two',
    { passes: 'Never', fails: 'X' },
    'Unsupported value: "X": supported values: "PreemptLowerPriority", "Never"',
  ),
  ruleAt(
    'spec.activeDeadlineSeconds',
    'above 0',
    { passes: 1, fails: 0 },
    invalid(0, 'must be between 1 and 2147483647, inclusive'),
  ),
];

const networkRows: readonly RuleRow[] = [
  ruleAt(
    'spec.dnsConfig',
    'there for None',
    { passes: { nameservers: ['::1'] }, fails: undefined },
    'Required value: must provide `dnsConfig` when `dnsPolicy` is None',
    { 'spec.dnsPolicy': 'None' },
  ),
  ruleAt(
    'spec.dnsConfig.nameservers',
    'some for None',
    { passes: ['1.1.1.1'], fails: [] },
    'Required value: must provide at least one DNS nameserver when `dnsPolicy` is None',
    { 'spec.dnsPolicy': 'None' },
  ),
  ruleAt(
    'spec.dnsConfig.nameservers',
    'three',
    { fails: ['1.1.1.1', '1.1.1.2', '1.1.1.3', '1.1.1.4'] },
    invalid(['1.1.1.1', '1.1.1.2', '1.1.1.3', '1.1.1.4'], 'must not have more than 3 nameservers'),
  ),
  ...strictIpRows('spec.dnsConfig.nameservers', 'spec.dnsConfig.nameservers[0]', (ip) => [ip]),
  ruleAt('spec.dnsConfig.nameservers', 'addresses', { fails: ['x'] }, [
    `spec.dnsConfig.nameservers[0]: ${invalid('x', says.ip)}`,
  ]),
  ruleAt('spec.dnsConfig.searches', 'names', { passes: ['.', '_a.b.'], fails: ['A'] }, [
    'spec.dnsConfig.searches[0]: Invalid value: "A": a lowercase RFC 1123 subdomain must consist of…',
  ]),
  ruleAt('spec.dnsConfig.searches', '32', { fails: Array.from({ length: 33 }, () => 'a') }, [
    'spec.dnsConfig.searches: Invalid value: ["a","a",…',
  ]),
  ruleAt(
    'spec.dnsConfig.options[0].name',
    'there',
    { passes: 'ndots', fails: '' },
    ['spec.dnsConfig.options[0]: Required value: must not be empty'],
    { 'spec.dnsConfig.options[0].value': '1' },
  ),
  ruleAt(
    'spec.dnsConfig.options[0].value',
    'a word (more than upstream asks for)',
    { passes: '5', fails: 'a b' },
    invalid('a b', 'must not contain whitespace'),
    { 'spec.dnsConfig.options[0].name': 'a' },
  ),
  ...strictIpRows('spec.hostAliases[0].ip'),
  ruleAt('spec.hostAliases[0].ip', 'an address', { passes: '::1', fails: 'x' }, invalid('x', says.ip)),
  ruleAt(
    'spec.hostAliases[0].hostnames',
    'names',
    { passes: ['a.b'], fails: ['A'] },
    [`spec.hostAliases[0].hostnames[0]: ${invalid('A', says.subdomain)}`],
    { 'spec.hostAliases[0].ip': '::1' },
  ),
];

const r = 'spec.resources';

const amountRows: readonly RuleRow[] = [
  ruleAt(`${c}.name`, 'there', { passes: 'c', fails: '' }, 'Required value', {
    [`${c}.resourceClaimName`]: 'x',
  }),
  ruleAt(`${c}.name`, 'a label', { fails: 'C' }, invalid('C', says.label), {
    [`${c}.resourceClaimName`]: 'x',
  }),
  ruleAt(
    'spec.resourceClaims',
    'each once',
    { fails: [1, 2].map(() => ({ name: 'c', resourceClaimName: 'x' })) },
    ['spec.resourceClaims[1].name: Duplicate value: "c"'],
  ),
  ruleAt('spec.resourceClaims', 'a claim or a template', { fails: [{ name: 'c' }] }, [
    `${c}: Invalid value: {"Name":"c","ResourceClaimName":null,"ResourceClaimTemplateName":null}: must specify one of: \`resourceClaimName\`, \`resourceClaimTemplateName\``,
  ]),
  ruleAt(
    'spec.resourceClaims',
    'not both',
    { fails: [{ name: 'c', resourceClaimName: 'x', resourceClaimTemplateName: 'y' }] },
    [
      `${c}: Invalid value: {"Name":"c","ResourceClaimName":"x","ResourceClaimTemplateName":"y"}: at most one of \`resourceClaimName\` or \`resourceClaimTemplateName\` may be specified`,
    ],
  ),
  ...['resourceClaimName', 'resourceClaimTemplateName'].map((name) =>
    ruleAt(`${c}.${name}`, 'a name', { passes: 'a.b', fails: 'A' }, invalid('A', says.subdomain), {
      [`${c}.name`]: 'c',
    }),
  ),
  ruleAt('spec.overhead', 'resources', { passes: { cpu: '1' }, fails: { cpu: '-1' } }, [
    `spec.overhead.limits[cpu]: Invalid value: "-1": ${says.notNegative}`,
  ]),
  ruleAt(
    `${r}.limits`,
    'cpu, memory and huge pages',
    { passes: { cpu: '1' }, fails: { 'ephemeral-storage': '1' } },
    [
      `${r}.limits[ephemeral-storage]: Unsupported value: "ephemeral-storage": supported values: "cpu", "memory"`,
    ],
  ),
  ruleAt(
    `${r}.limits`,
    'no less than that of a container',
    { fails: { cpu: '1' } },
    [`${r}.containers[0][cpu].limits: Invalid value: "2": must be less than or equal to pod limits of 1`],
    { 'spec.containers[0].resources': { limits: { cpu: '2' }, requests: { cpu: '0' } } },
  ),
  ruleAt(
    `${r}.requests`,
    'no less than of the containers',
    { passes: { cpu: '2' }, fails: { cpu: '1' } },
    [
      `${r}.requests[cpu]: Invalid value: "1": must be greater than or equal to aggregate container requests of 2`,
    ],
    { 'spec.containers[0].resources.requests': { cpu: '2' } },
  ),
  ruleAt(`${r}.claims`, 'none', { fails: [{ name: 'x' }] }, [
    `${r}.claims: Forbidden: claims may not be set for Resources at pod-level`,
    `${r}.claims[0]: Not found: "x": must be one of the names in pod.spec.resourceClaims which is empty`,
  ]),
  ruleAt(
    r,
    'not on Windows',
    { fails: { limits: { cpu: '1' } } },
    'Forbidden: may not be set for a windows pod',
    { 'spec.os.name': 'windows' },
  ),
];

const handlers = [
  'livenessProbe',
  'readinessProbe',
  'startupProbe',
  'lifecycle.postStart',
  'lifecycle.preStop',
];

export const pod: RuleTable = {
  apiVersion: 'v1',
  kind: 'Pod',
  base: { spec: { containers: [{ name: 'c', image: 'i' }] } },
  rows: [
    ...annotationRows,
    ...volumeRows,
    ...containerRows,
    ...securityRows,
    ...schedulingRows,
    ...nameRows,
    ...networkRows,
    ...amountRows,
    ...updateRows,
  ],
  parts: [claimPart],
  none: {
    ...volumeNone,
    'as containers have it': ['spec.initContainers.*', 'spec.ephemeralContainers.*'],
    'free text': [
      'spec.containers.args',
      'spec.containers.workingDir',
      'spec.containers.terminationMessagePath',
      'spec.containers.env.valueFrom.resourceFieldRef.containerName',
      'spec.imagePullSecrets.name',
      'spec.schedulerName',
      'spec.serviceAccount',
      'spec.securityContext.sysctls.value',
      ...handlers.flatMap((name) =>
        ['httpGet.host', 'httpGet.path', 'httpGet.httpHeaders.value', 'tcpSocket.host', 'grpc.service']
          .filter((field) => !(field.startsWith('grpc') && name.startsWith('lifecycle')))
          .map((field) => `spec.containers.${name}.${field}`),
      ),
      ...['level', 'role', 'type', 'user'].map(
        (name) => `spec.containers.securityContext.seLinuxOptions.${name}`,
      ),
    ],
    "the admission's": ['spec.priority'],
    'of features that are off in a 1.36': volumeNone['of features that are off in a 1.36'] ?? [],
    'of the pod itself none': ['spec.resources.claims.*'],
    'free text of SELinux': ['spec.securityContext.seLinuxOptions.*'],
  },
};
