import { invalid, neededAt, ruleAt, says } from '#api/validation/rules/row.fixture.ts';
import type { RuleRow } from '#api/validation/rules/rule-table.fixture.ts';
import { claim, volume } from './mounts.fixture.ts';

const c = 'spec.containers[0]';
const env = `${c}.env[0]`;
const from = `${env}.valueFrom`;

/** Rows of the environment of a container. */
export const envRows: readonly RuleRow[] = [
  ruleAt(`${env}.name`, 'there', { passes: 'A', fails: '' }, 'Required value'),
  ruleAt(`${env}.name`, 'a name', { passes: 'a b', fails: 'A=' }, invalid('A=', says.envName)),
  ruleAt(
    env,
    'one source',
    {
      passes: { name: 'A', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
      fails: { name: 'A', valueFrom: {} },
    },
    [
      `${from}: Invalid value: "": must specify one of: \`fieldRef\`, \`resourceFieldRef\`, \`configMapKeyRef\`, \`secretKeyRef\` or \`fileKeyRef\``,
    ],
  ),
  ruleAt(
    `${env}.value`,
    'not beside a source',
    { passes: '', fails: 'x' },
    [`${from}: Invalid value: "": may not be specified when \`value\` is not empty`],
    { [`${env}.name`]: 'A', [`${from}.fieldRef.fieldPath`]: 'metadata.name' },
  ),
  ruleAt(
    from,
    'not two sources',
    {
      passes: { secretKeyRef: { name: 's', key: 'k' } },
      fails: { secretKeyRef: { name: 's', key: 'k' }, configMapKeyRef: { name: 's', key: 'k' } },
    },
    'Invalid value: "": may not have more than one field specified at a time',
    { [`${env}.name`]: 'A' },
  ),
  ...['configMapKeyRef', 'secretKeyRef']
    .flatMap((ref) => [
      ruleAt(
        `${from}.${ref}`,
        'a name',
        {
          passes: { name: 'a.b', key: 'k' },
          fails: { name: 'A', key: 'k' },
        },
        [`${from}.${ref}.name: ${invalid('A', says.subdomain)}`],
        { [`${env}.name`]: 'A' },
      ),
      ruleAt(`${from}.${ref}.key`, 'there', { passes: 'k', fails: '' }, 'Required value', {
        [`${env}.name`]: 'A',
        [`${from}.${ref}.name`]: 's',
      }),
      ruleAt(`${from}.${ref}.key`, 'a key', { passes: '.k_', fails: 'a b' }, invalid('a b', says.configKey), {
        [`${env}.name`]: 'A',
        [`${from}.${ref}.name`]: 's',
      }),
    ])
    .map((row) => (row.field.endsWith('Ref') ? { ...row, field: `${row.field}.name` } : row)),
  ruleAt(
    `${from}.fieldRef.fieldPath`,
    'a field of a pod',
    { passes: "metadata.labels['a/b']", fails: 'x' },
    invalid('x', 'error converting fieldPath: field label not supported: x'),
    { [`${env}.name`]: 'A' },
  ),
  ruleAt(
    `${from}.fieldRef.fieldPath`,
    'of those that a variable may show',
    { passes: 'status.podIPs', fails: 'metadata.labels' },
    'Unsupported value: "metadata.labels": supported values: "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"',
    { [`${env}.name`]: 'A' },
  ),
  ruleAt(
    `${from}.fieldRef.fieldPath`,
    'a key of labels',
    { passes: "metadata.annotations['A_b']", fails: "metadata.labels['a b']" },
    [`${from}.fieldRef: ${invalid('a b', says.qualified)}`],
    { [`${env}.name`]: 'A' },
  ),
  ruleAt(
    `${from}.fieldRef.fieldPath`,
    'a part of nothing else',
    { fails: "metadata.name['a']" },
    invalid(
      "metadata.name['a']",
      "error converting fieldPath: field label does not support subscript: metadata.name['a']",
    ),
    { [`${env}.name`]: 'A' },
  ),
  ruleAt(
    `${from}.fieldRef.apiVersion`,
    'v1',
    { passes: 'v1', fails: 'v2' },
    [
      `${from}.fieldRef.fieldPath: ${invalid('metadata.name', 'error converting fieldPath: unsupported pod version: v2')}`,
    ],
    { [`${env}.name`]: 'A', [`${from}.fieldRef.fieldPath`]: 'metadata.name' },
  ),
  ruleAt(
    `${from}.resourceFieldRef.resource`,
    'an amount',
    { passes: 'limits.hugepages-2Mi', fails: 'x' },
    'Unsupported value: "x": supported values: "limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu", "requests.ephemeral-storage", "requests.memory"',
    { [`${env}.name`]: 'A' },
  ),
  ruleAt(
    `${from}.resourceFieldRef.divisor`,
    'of cpu',
    { passes: '1m', fails: '2' },
    invalid('limits.cpu', "only divisor's values 1m and 1 are supported with the cpu resource"),
    { [`${env}.name`]: 'A', [`${from}.resourceFieldRef.resource`]: 'limits.cpu' },
  ),
  ruleAt(
    `${from}.resourceFieldRef.divisor`,
    'of memory',
    { passes: '1Mi', fails: '3' },
    invalid(
      'limits.memory',
      "only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are supported with the memory resource",
    ),
    { [`${env}.name`]: 'A', [`${from}.resourceFieldRef.resource`]: 'limits.memory' },
  ),
  ...neededAt(`${from}.fileKeyRef`, { key: 'K', volumeName: 'v', path: 'f' }).map((row) => ({
    ...row,
    passes: { ...volume, [`${env}.name`]: 'A', ...row.passes },
    fails: { ...volume, [`${env}.name`]: 'A', ...row.fails },
    message: row.field.endsWith('volumeName')
      ? [...[row.message].flat(), `${from}.fileKeyRef.volumeName: Not found: ""`]
      : row.message,
  })),
  ruleAt(
    `${from}.fileKeyRef.path`,
    'below the volume',
    { passes: 'a/b', fails: '../b' },
    invalid('../b', "must not contain '..'"),
    { ...volume, [`${env}.name`]: 'A', [`${from}.fileKeyRef`]: { key: 'K', volumeName: 'v' } },
  ),
  ruleAt(
    `${from}.fileKeyRef`,
    'of an emptyDir',
    { fails: { key: 'K', volumeName: 'v', path: 'f' } },
    [`${from}.fileKeyRef.volumeName: Invalid value: "v": referenced volume must be of type emptyDir`],
    { ...claim, [`${env}.name`]: 'A' },
  ),
  ruleAt(`${c}.envFrom[0]`, 'one source', { passes: { secretRef: { name: 's' } }, fails: {} }, [
    `${c}.envFrom: Invalid value: "": must specify one of: \`configMapRef\` or \`secretRef\``,
  ]),
  ruleAt(`${c}.envFrom[0]`, 'not two', { fails: { secretRef: { name: 's' }, configMapRef: { name: 's' } } }, [
    `${c}.envFrom: Invalid value: "": may not have more than one field specified at a time`,
  ]),
  ruleAt(
    `${c}.envFrom[0].prefix`,
    'the beginning of a name',
    { passes: 'P_', fails: 'P=' },
    invalid('P=', says.envName),
    { [`${c}.envFrom[0].secretRef.name`]: 's' },
  ),
  ...['secretRef', 'configMapRef'].flatMap((ref) => [
    ruleAt(`${c}.envFrom[0].${ref}.name`, 'there', { passes: 'a-', fails: '' }, 'Required value'),
    ruleAt(`${c}.envFrom[0].${ref}.name`, 'a name', { fails: 'A' }, invalid('A', says.subdomain)),
  ]),
];
