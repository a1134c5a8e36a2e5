import { oneOfAt, ruleAt, says } from '#api/validation/rules/row.fixture.ts';
import type { Edits, RuleRow, RuleTable } from '#api/validation/rules/rule-table.fixture.ts';

const target = 'spec.scaleTargetRef';
const metric = 'spec.metrics[0]';

const segment = (value: string): string => `Invalid value: ${JSON.stringify(value)}: may not contain '/'`;

const cpu = { name: 'cpu', target: { type: 'Utilization', averageUtilization: 50 } };
const named = { metric: { name: 'm' }, target: { type: 'AverageValue', averageValue: '1' } };
const examples: Readonly<Record<string, object>> = {
  Resource: cpu,
  ContainerResource: { ...cpu, container: 'c' },
  Pods: named,
  Object: { ...named, describedObject: { apiVersion: 'v1', kind: 'Service', name: 's' } },
  External: named,
};
const fieldOf = (type: string): string => `${type.charAt(0).toLowerCase()}${type.slice(1)}`;

function of(type: string): Edits {
  return { [metric]: { type, [fieldOf(type)]: examples[type] } };
}

/** The row as one about this field below its own. */
function about(leaf: string, row: RuleRow): RuleRow {
  return { ...row, field: `${row.field}.${leaf}` };
}

/** A metric source with what it must say. */
function sourceRows(type: string): readonly RuleRow[] {
  const path = `${metric}.${fieldOf(type)}`;
  const beside = of(type);
  const known = 'must be either Utilization, Value, or AverageValue';
  const goal = { type: 'AverageValue', averageValue: '1' };
  return [
    ruleAt(
      `${path}.target.type`,
      'there',
      { passes: 'Value', fails: '' },
      [
        `${path}.target.type: Required value: must specify a metric target type`,
        `${path}.target.type: Invalid value: "": ${known}`,
      ],
      beside,
    ),
    ruleAt(
      `${path}.target.type`,
      'one of three',
      { passes: 'Utilization', fails: 'X' },
      `Invalid value: "X": ${known}`,
      beside,
    ),
    about(
      'averageValue',
      ruleAt(
        `${path}.target`,
        'an average above 0',
        { passes: goal, fails: { ...goal, averageValue: '0' } },
        [`${path}.target.averageValue: Invalid value: "0": must be positive`],
        beside,
      ),
    ),
    about(
      'value',
      ruleAt(
        `${path}.target`,
        'a value above 0',
        { fails: { ...goal, ...(type === 'External' ? { averageValue: undefined } : {}), value: '-1' } },
        [`${path}.target.value: Invalid value: "-1": must be positive`],
        beside,
      ),
    ),
    about(
      'averageUtilization',
      ruleAt(
        `${path}.target`,
        'a share above 0',
        { fails: { ...(type.endsWith('Resource') ? { type: 'Utilization' } : goal), averageUtilization: 0 } },
        [`${path}.target.averageUtilization: Invalid value: 0: must be greater than 0`],
        beside,
      ),
    ),
  ];
}

function nameRows(type: string): readonly RuleRow[] {
  const path = `${metric}.${fieldOf(type)}.metric`;
  return [
    ruleAt(
      `${path}.name`,
      'there',
      { passes: 'n', fails: '' },
      'Required value: must specify a metric name',
      of(type),
    ),
    ruleAt(`${path}.name`, 'a part of a path', { fails: 'a/b' }, segment('a/b'), of(type)),
  ];
}

function resourceRows(type: string): readonly RuleRow[] {
  const path = `${metric}.${fieldOf(type)}`;
  return [
    ruleAt(
      `${path}.name`,
      'there',
      { passes: 'memory', fails: '' },
      'Required value: must specify a resource name',
      of(type),
    ),
    ruleAt(
      `${path}.target`,
      'a share or an amount',
      { passes: { type: 'AverageValue', averageValue: '1' }, fails: { type: 'AverageValue' } },
      [
        `${path}.target.averageUtilization: Required value: must set either a target raw value or a target utilization`,
      ],
      of(type),
    ),
    ruleAt(
      `${path}.target.averageValue`,
      'not beside a share',
      { fails: '1' },
      'Forbidden: may not set both a target raw value and a target utilization',
      of(type),
    ),
  ];
}

const metricRows: readonly RuleRow[] = [
  ruleAt(
    `${metric}.type`,
    'there',
    { passes: 'Resource', fails: '' },
    [
      `${metric}.type: Required value: must specify a metric source type`,
      ...['', ''].map(
        () =>
          `${metric}.type: Unsupported value: "": supported values: "ContainerResource", "External", "Object", "Pods", "Resource"`,
      ),
    ],
    of('Resource'),
  ),
  ruleAt(
    `${metric}.type`,
    'one of five',
    { fails: 'X' },
    ['', ''].map(
      () =>
        `${metric}.type: Unsupported value: "X": supported values: "ContainerResource", "External", "Object", "Pods", "Resource"`,
    ),
    of('Resource'),
  ),
  ...Object.keys(examples).map((type) =>
    ruleAt(
      `${metric}.${fieldOf(type)}`,
      'there for its type',
      { passes: examples[type], fails: undefined },
      'Required value: must populate information for the given metric source',
      of(type),
    ),
  ),
  ruleAt(
    `${metric}.pods`,
    'not for another type',
    { fails: examples['Pods'] },
    [`${metric}.pods: Forbidden: must populate the given metric source only`],
    of('Object'),
  ),
  ...Object.keys(examples).flatMap(sourceRows),
  ...['Pods', 'Object', 'External'].flatMap(nameRows),
  ...['Resource', 'ContainerResource'].flatMap(resourceRows),
  ruleAt(
    `${metric}.containerResource.name`,
    'a resource of containers',
    { passes: 'memory', fails: 'x' },
    [
      `${metric}.containerResource.name: Invalid value: "x": must be a standard resource type or fully qualified`,
      `${metric}.containerResource.name: Invalid value: "x": must be a standard resource for containers`,
    ],
    of('ContainerResource'),
  ),
  ruleAt(
    `${metric}.containerResource.container`,
    'there',
    { passes: 'd', fails: '' },
    'Required value: must specify a container',
    of('ContainerResource'),
  ),
  ruleAt(
    `${metric}.containerResource.container`,
    'a label',
    { fails: 'A' },
    `Invalid value: "A": ${says.label}`,
    of('ContainerResource'),
  ),
  ruleAt(
    `${metric}.pods.target.averageValue`,
    'there',
    { passes: '2', fails: undefined },
    'Required value: must specify a positive target averageValue',
    of('Pods'),
  ),
  ruleAt(
    `${metric}.object.target.averageValue`,
    'a value or an average',
    { passes: '2', fails: undefined },
    'Required value: must set either a target value or averageValue',
    of('Object'),
  ),
  ruleAt(
    `${metric}.external.target.averageValue`,
    'a value or an average',
    { passes: '2', fails: undefined },
    'Required value: must set either a target value for metric or a per-pod target',
    of('External'),
  ),
  ruleAt(
    `${metric}.external.target.value`,
    'not beside an average',
    { fails: '2' },
    'Forbidden: may not set both a target value for metric and a per-pod target',
    of('External'),
  ),
  ...['kind', 'name'].flatMap((name) => [
    ruleAt(
      `${metric}.object.describedObject.${name}`,
      'there',
      { passes: 'X', fails: '' },
      'Required value',
      of('Object'),
    ),
    ruleAt(
      `${metric}.object.describedObject.${name}`,
      'a part of a path',
      { fails: 'a/b' },
      segment('a/b'),
      of('Object'),
    ),
  ]),
  ruleAt(
    `${metric}.object.describedObject.apiVersion`,
    'a group and a version',
    { passes: 'v1', fails: 'a/b/c' },
    'Invalid value: "a/b/c": unexpected GroupVersion string: a/b/c',
    of('Object'),
  ),
];

const behaviorRows: readonly RuleRow[] = ['scaleUp', 'scaleDown'].flatMap((name) => {
  const path = `spec.behavior.${name}`;
  const policy = `${path}.policies[0]`;
  const beside: Edits = { [path]: { policies: [{ type: 'Pods', value: 1, periodSeconds: 1 }] } };
  const window = `${path}.stabilizationWindowSeconds`;
  return [
    ruleAt(
      window,
      'not negative',
      { passes: 0, fails: -1 },
      'Invalid value: -1: must be greater than or equal to zero',
      beside,
    ),
    ruleAt(
      window,
      'at most an hour',
      { passes: 3600, fails: 3601 },
      'Invalid value: 3601: must be less than or equal to 3600',
      beside,
    ),
    oneOfAt(`${path}.selectPolicy`, ['Disabled', 'Max', 'Min'], beside),
    ruleAt(
      `${path}.tolerance`,
      'not negative',
      { passes: '0', fails: '-1' },
      'Invalid value: "-1": must be greater than or equal to 0',
      beside,
    ),
    oneOfAt(`${policy}.type`, ['Percent', 'Pods'], beside),
    ...['value', 'periodSeconds'].map((field) =>
      ruleAt(
        `${policy}.${field}`,
        'above 0',
        { passes: 1, fails: 0 },
        'Invalid value: 0: must be greater than zero',
        beside,
      ),
    ),
    ruleAt(
      `${policy}.periodSeconds`,
      'at most half an hour',
      { passes: 1800, fails: 1801 },
      'Invalid value: 1801: must be less than or equal to 1800',
      beside,
    ),
  ];
});

export const horizontalPodAutoscaler: RuleTable = {
  apiVersion: 'autoscaling/v2',
  kind: 'HorizontalPodAutoscaler',
  base: {
    spec: { scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'd' }, maxReplicas: 3 },
  },
  rows: [
    ruleAt(
      'spec.minReplicas',
      'above 0',
      { passes: 1, fails: 0 },
      'Invalid value: 0: must be greater than or equal to 1',
    ),
    ruleAt('spec.maxReplicas', 'above 0', { passes: 1, fails: 0 }, [
      'spec.maxReplicas: Invalid value: 0: must be greater than 0',
      'spec.maxReplicas: Invalid value: 0: must be greater than or equal to `minReplicas`',
    ]),
    ruleAt(
      'spec.maxReplicas',
      'not less than minReplicas',
      { passes: 2, fails: 1 },
      'Invalid value: 1: must be greater than or equal to `minReplicas`',
      { 'spec.minReplicas': 2 },
    ),
    ...['kind', 'name'].flatMap((name) => [
      ruleAt(`${target}.${name}`, 'there', { passes: 'X', fails: '' }, 'Required value'),
      ruleAt(`${target}.${name}`, 'a part of a path', { fails: 'a/b' }, segment('a/b')),
    ]),
    ruleAt(
      `${target}.apiVersion`,
      'a group and a version',
      { passes: 'a/b', fails: 'a/b/c' },
      'Invalid value: "a/b/c": unexpected GroupVersion string: a/b/c',
    ),
    ruleAt(
      `${target}.apiVersion`,
      'with a group, but for ReplicationControllers',
      { passes: 'apps/v1', fails: 'v1' },
      'Invalid value: "v1": apiVersion must specify API group',
    ),
    ...metricRows,
    ...behaviorRows,
    ...['currentReplicas', 'desiredReplicas'].map((name) => ({
      ...ruleAt(
        `status.${name}`,
        'not negative',
        { passes: 0, fails: -1 },
        `Invalid value: -1: ${says.notNegative}`,
      ),
      from: {},
      subresource: 'status',
    })),
  ],
  none: {
    'given on as it is': ['pods', 'object', 'external'].map(
      (name) => `spec.metrics.${name}.metric.selector.*`,
    ),
  },
};
