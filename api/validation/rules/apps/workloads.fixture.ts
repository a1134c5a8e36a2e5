import { persistentVolumeClaim } from '#api/validation/rules/core/persistent-volume-claim.fixture.ts';
import type { RuleRow, RuleTable } from '#api/validation/rules/rule-table.fixture.ts';
import { ownOfPods, podTemplateAt, staying } from '#api/validation/rules/pod/template.fixture.ts';
import { ruleAt, says } from '#api/validation/rules/row.fixture.ts';
import { selectorRows } from '#api/validation/rules/selector-rows.fixture.ts';

const base = {
  spec: {
    selector: { matchLabels: { a: 'b' } },
    template: { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i' }] } },
  },
};
const parts = [podTemplateAt('spec.template', { not: staying })];
const none = { 'as its pods have it': ownOfPods('spec.template') };

function countRows(names: readonly string[]): readonly RuleRow[] {
  return names.map((name) => ({
    field: `spec.${name}`,
    rule: 'not negative',
    passes: { [`spec.${name}`]: 0 },
    fails: { [`spec.${name}`]: -1 },
    message: `spec.${name}: Invalid value: -1: must be greater than or equal to 0`,
  }));
}

/** Counts of a status: none below 0, and these not above those. */
export function statusRows(
  counts: readonly string[],
  over: readonly (readonly [name: string, most: string, detail: string])[] = [],
): readonly RuleRow[] {
  const rows = [
    ...counts.map((name) =>
      ruleAt(`status.${name}`, 'not negative', { passes: 0, fails: -1 }, [
        `status.${name}: Invalid value: -1: ${says.notNegative}`,
        ...over
          .filter(([part, most]) => most === name && counts.includes(part))
          .map(([part, , detail]) => `status.${part}: Invalid value: 0: ${detail}`),
      ]),
    ),
    ...over.map(([name, most]) =>
      ruleAt(
        `status.${name}`,
        `not more than ${most}`,
        { passes: 2, fails: 3 },
        // With two of all, what is more than one of them may be more than another.
        over
          .filter(([part, all]) => part === name && (all === most || most === 'replicas'))
          .map(([, , detail]) => `status.${name}: Invalid value: 3: ${detail}`),
        { 'status.replicas': 9, 'status.readyReplicas': 2, [`status.${most}`]: 2 },
      ),
    ),
  ];
  return rows.map((row) => ({ ...row, from: {}, subresource: 'status' }));
}

/** Parts of all replicas, and what is available, of what is ready. */
export function partsOf(
  ready: string,
  names: readonly string[],
): readonly (readonly [name: string, most: string, detail: string])[] {
  return [
    ...names.map((name) => [name, 'replicas', 'cannot be greater than status.replicas'] as const),
    ['availableReplicas', 'readyReplicas', `cannot be greater than ${ready}`],
  ];
}

const collisions: readonly RuleRow[] = [
  ['less', 1, 1],
  ['gone', undefined, 0],
].map(([rule, fails, shown]) => ({
  ...ruleAt('status.collisionCount', `not ${rule} than before`, { passes: 3, fails }, [
    `status.collisionCount: Invalid value: ${shown}: cannot be decremented`,
  ]),
  from: { 'status.collisionCount': 2 },
  subresource: 'status',
}));

/** What all owners of pods that are there to stay have in common. */
function workloadRows(word: string, owner: string, changes?: string): readonly RuleRow[] {
  const mismatch =
    'spec.template.metadata.labels: Invalid value: {"a":"b"}: `selector` does not match template `labels`';
  const required = owner === 'DaemonSet' ? [] : ['spec.selector: Required value'];
  const also = owner === 'DaemonSet' ? [] : ['spec.selector: Invalid value: {…'];
  const kept: RuleRow = {
    field: 'spec.selector',
    rule: 'stays',
    from: {},
    fails: { 'spec.selector.matchLabels': { a: 'c' }, 'spec.template.metadata.labels': { a: 'c' } },
    message: changes ?? 'spec.selector: Invalid value: {"matchLabels":{"a":"c"}}: field is immutable',
  };
  return [
    ...selectorRows('spec.selector').map((row) => ({ ...row, message: [row.message, also].flat() })),
    {
      field: 'spec.selector',
      rule: 'there',
      fails: { 'spec.selector': undefined },
      message: [...required, mismatch],
    },
    {
      field: 'spec.selector',
      rule: 'not empty',
      fails: { 'spec.selector': {} },
      message: `spec.selector: Invalid value: {}: empty selector is invalid for ${word}`,
    },
    {
      field: 'spec.selector',
      rule: 'selects the template',
      fails: { 'spec.template.metadata.labels': { a: 'c' } },
      message:
        'spec.template.metadata.labels: Invalid value: {"a":"c"}: `selector` does not match template `labels`',
    },
    kept,
    {
      field: 'spec.template',
      rule: 'pods that start again',
      fails: { 'spec.template.spec.restartPolicy': 'Never' },
      message: 'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"',
    },
    {
      field: 'spec.template',
      rule: 'pods without an end',
      fails: { 'spec.template.spec.activeDeadlineSeconds': 5 },
      message: `spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in ${owner} is not Supported`,
    },
  ];
}

const rolling = 'spec.strategy.rollingUpdate';

export const deployment: RuleTable = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  base,
  rows: [
    ...countRows(['replicas', 'minReadySeconds', 'revisionHistoryLimit']),
    ...workloadRows('deployment', 'ReplicaSet'),
    {
      field: 'spec.progressDeadlineSeconds',
      rule: 'longer than a pod takes to be ready',
      passes: { 'spec.minReadySeconds': 5, 'spec.progressDeadlineSeconds': 6 },
      fails: { 'spec.minReadySeconds': 5, 'spec.progressDeadlineSeconds': 5 },
      message: 'spec.progressDeadlineSeconds: Invalid value: 5: must be greater than minReadySeconds',
    },
    {
      field: 'spec.strategy.type',
      rule: 'one of two',
      passes: { 'spec.strategy': { type: 'Recreate' } },
      fails: { 'spec.strategy': { type: 'X' } },
      message:
        'spec.strategy: Unsupported value: {"Type":"X","RollingUpdate":null}: supported values: "Recreate", "RollingUpdate"',
    },
    {
      field: rolling,
      rule: 'not for Recreate',
      fails: { 'spec.strategy': { type: 'Recreate', rollingUpdate: {} } },
      message: `${rolling}: Forbidden: may not be specified when strategy \`type\` is 'Recreate'`,
    },
    {
      field: `${rolling}.maxSurge`,
      rule: 'a number or a percentage',
      passes: { [rolling]: { maxSurge: '150%' } },
      fails: { [rolling]: { maxSurge: 'x' } },
      message: `${rolling}.maxSurge: Invalid value: "x": a valid percent string must be a numeric string…`,
    },
    {
      field: `${rolling}.maxUnavailable`,
      rule: 'not nothing beside nothing',
      passes: { [rolling]: { maxUnavailable: 0, maxSurge: 1 } },
      fails: { [rolling]: { maxUnavailable: 0, maxSurge: 0 } },
      message: `${rolling}.maxUnavailable: Invalid value: 0: may not be 0 when \`maxSurge\` is 0`,
    },
    {
      field: `${rolling}.maxUnavailable`,
      rule: 'a share of a whole',
      passes: { [rolling]: { maxUnavailable: '100%' } },
      fails: { [rolling]: { maxUnavailable: '101%' } },
      message: `${rolling}.maxUnavailable: Invalid value: "101%": must not be greater than 100%`,
    },
    ...statusRows(
      [
        'observedGeneration',
        'replicas',
        'updatedReplicas',
        'readyReplicas',
        'availableReplicas',
        'unavailableReplicas',
        'terminatingReplicas',
        'collisionCount',
      ],
      partsOf('readyReplicas', ['updatedReplicas', 'readyReplicas', 'availableReplicas']),
    ),
    ...collisions,
  ],
  parts,
  none,
};

export const replicaSet: RuleTable = {
  apiVersion: 'apps/v1',
  kind: 'ReplicaSet',
  base,
  rows: [
    ...countRows(['replicas', 'minReadySeconds']),
    ...workloadRows('deployment', 'ReplicaSet'),
    ...statusRows(
      [
        'replicas',
        'fullyLabeledReplicas',
        'readyReplicas',
        'availableReplicas',
        'observedGeneration',
        'terminatingReplicas',
      ],
      partsOf('readyReplicas', ['fullyLabeledReplicas', 'readyReplicas', 'availableReplicas']),
    ),
  ],
  parts,
  none,
};

const daemons = 'spec.updateStrategy.rollingUpdate';

export const daemonSet: RuleTable = {
  apiVersion: 'apps/v1',
  kind: 'DaemonSet',
  base,
  rows: [
    ...countRows(['minReadySeconds', 'revisionHistoryLimit']),
    ...workloadRows('daemonset', 'DaemonSet'),
    {
      field: 'spec.updateStrategy.type',
      rule: 'one of two',
      passes: { 'spec.updateStrategy': { type: 'OnDelete' } },
      fails: { 'spec.updateStrategy': { type: 'X' } },
      message:
        'spec.updateStrategy: Unsupported value: {"Type":"X","RollingUpdate":null}: supported values: "RollingUpdate", "OnDelete"',
    },
    {
      field: `${daemons}.maxSurge`,
      rule: 'not beside maxUnavailable',
      passes: { [daemons]: { maxUnavailable: 0, maxSurge: 1 } },
      fails: { [daemons]: { maxUnavailable: 1, maxSurge: 1 } },
      message: `${daemons}.maxSurge: Invalid value: 1: may not be set when maxUnavailable is non-zero`,
    },
    {
      field: `${daemons}.maxUnavailable`,
      rule: 'not nothing beside nothing',
      passes: { [daemons]: { maxUnavailable: '10%' } },
      fails: { [daemons]: { maxUnavailable: 0, maxSurge: 0 } },
      message: `${daemons}.maxUnavailable: Required value: cannot be 0 when maxSurge is 0`,
    },
    {
      field: `${daemons}.maxUnavailable`,
      rule: 'a share of a whole',
      fails: { [daemons]: { maxUnavailable: '101%' } },
      message: `${daemons}.maxUnavailable: Invalid value: "101%": must not be greater than 100%`,
    },
    ...statusRows([
      'currentNumberScheduled',
      'numberMisscheduled',
      'desiredNumberScheduled',
      'numberReady',
      'observedGeneration',
      'updatedNumberScheduled',
      'numberAvailable',
      'numberUnavailable',
      'collisionCount',
    ]),
    ...collisions,
  ],
  parts,
  none,
};

const sets = 'spec.updateStrategy.rollingUpdate';
const otherFields =
  "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";

const claims = 'spec.volumeClaimTemplates';
export const statefulSet: RuleTable = {
  apiVersion: 'apps/v1',
  kind: 'StatefulSet',
  base,
  rows: [
    ...countRows(['replicas', 'minReadySeconds', 'ordinals.start']),
    ...workloadRows('statefulset', 'StatefulSet', otherFields),
    {
      field: 'spec.serviceName',
      rule: 'stays',
      from: {},
      passes: { 'spec.replicas': 3 },
      fails: { 'spec.serviceName': 'x' },
      message: otherFields,
    },
    {
      field: 'spec.podManagementPolicy',
      rule: 'one of two',
      passes: { 'spec.podManagementPolicy': 'Parallel' },
      fails: { 'spec.podManagementPolicy': 'X' },
      message: `spec.podManagementPolicy: Invalid value: "X": must be 'OrderedReady' or 'Parallel'`,
    },
    ...['whenDeleted', 'whenScaled'].map((name) => ({
      field: `spec.persistentVolumeClaimRetentionPolicy.${name}`,
      rule: 'one of two',
      passes: { [`spec.persistentVolumeClaimRetentionPolicy.${name}`]: 'Delete' },
      fails: { [`spec.persistentVolumeClaimRetentionPolicy.${name}`]: 'X' },
      message: `spec.persistentVolumeClaimRetentionPolicy.${name}: Unsupported value: "X": supported values: "Retain", "Delete"`,
    })),
    {
      field: 'spec.updateStrategy.type',
      rule: 'one of two',
      passes: { 'spec.updateStrategy': { type: 'OnDelete' } },
      fails: { 'spec.updateStrategy': { type: 'X' } },
      message: `spec.updateStrategy: Invalid value: {"Type":"X","RollingUpdate":null}: must be 'RollingUpdate' or 'OnDelete'`,
    },
    {
      field: `${sets}.partition`,
      rule: 'not negative',
      passes: { [sets]: { partition: 0 } },
      fails: { [sets]: { partition: -1 } },
      message: `${sets}.partition: Invalid value: -1: must be greater than or equal to 0`,
    },
    {
      field: `${sets}.maxUnavailable`,
      rule: 'not nothing',
      passes: { [sets]: { maxUnavailable: '10%' } },
      fails: { [sets]: { maxUnavailable: 0 } },
      message: `${sets}.maxUnavailable: Invalid value: 0: cannot be 0`,
    },
    ruleAt(
      `${sets}.maxUnavailable`,
      'a share of a whole',
      { passes: '100%', fails: '101%' },
      'Invalid value: "101%": must not be greater than 100%',
    ),
    ruleAt(
      'spec.serviceName',
      'a label',
      { passes: 'a-b', fails: 'a.b' },
      `Invalid value: "a.b": ${says.label}`,
    ),
    ...statusRows(
      [
        'replicas',
        'readyReplicas',
        'currentReplicas',
        'updatedReplicas',
        'availableReplicas',
        'observedGeneration',
        'collisionCount',
      ],
      partsOf('status.readyReplicas', [
        'readyReplicas',
        'currentReplicas',
        'updatedReplicas',
        'availableReplicas',
      ]),
    ),
    ...collisions,
  ],
  parts: [
    podTemplateAt('spec.template', {
      not: { ...staying, "the set's to give": ['spec.hostname: a name', 'spec.subdomain: a name'] },
      times: 2,
    }),
    { of: persistentVolumeClaim, at: `${claims}[0].spec`, beside: { [`${claims}[0].metadata.name`]: 'd' } },
  ],
  none: {
    ...none,
    'not looked at': ['apiVersion', 'kind', 'metadata.*', 'status.*'].map((name) => `${claims}.${name}`),
    'a limit below 0 keeps none': ['spec.revisionHistoryLimit'],
  },
};
