import { nodeSelectorRows } from '#api/validation/rules/node-selector-rows.fixture.ts';
import { invalid, ruleAt, says } from '#api/validation/rules/row.fixture.ts';
import type { Edits, RuleRow, RuleTable } from '#api/validation/rules/rule-table.fixture.ts';
import { bindingRows, driverRows, many } from './device-rows.fixture.ts';

const device = 'spec.devices[0]';
const where = 'exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required';
const own =
  'exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to true in the ResourceSlice spec';
const ownNodes: Edits = { 'spec.nodeName': undefined, 'spec.perDeviceNodeSelection': true };

function stays(path: string, value: unknown): RuleRow {
  return {
    field: path,
    rule: 'stays',
    from: {},
    fails: { [path]: value },
    message: `${path}: ${invalid(value, 'field is immutable')}`,
  };
}

/** Without a selector of nodes there, the device or slice has its nodes another way. */
function selectorOf(path: string, beside: Edits): readonly RuleRow[] {
  return nodeSelectorRows(path).map((row) => ({
    ...row,
    field: row.field.replaceAll(/\[\d+\]/g, ''),
    passes: { ...beside, ...row.passes },
    fails: { ...beside, ...row.fails },
  }));
}

const poolRows: readonly RuleRow[] = [
  ruleAt('spec.pool.name', 'there', { fails: '' }, 'Required value'),
  ruleAt(
    'spec.pool.name',
    'subdomains with slashes',
    { passes: 'a.b/c', fails: 'a//b' },
    invalid('', says.subdomain),
  ),
  ruleAt(
    'spec.pool.name',
    'at most 253 bytes',
    { passes: `${'a'.repeat(126)}/${'b'.repeat(126)}`, fails: `${'a'.repeat(127)}/${'b'.repeat(126)}` },
    'Too long: may not be more than 253 bytes',
  ),
  stays('spec.pool.name', 'q'),
  ruleAt(
    'spec.pool.resourceSliceCount',
    'more than zero',
    { passes: 2, fails: 0 },
    invalid(0, 'must be greater than zero'),
  ),
  ruleAt(
    'spec.pool.generation',
    'not negative',
    { passes: 0, fails: -1 },
    invalid(-1, 'must be greater than or equal to zero'),
  ),
];

const nodeRows: readonly RuleRow[] = [
  ruleAt('spec.nodeName', 'the name of a node', { passes: 'n.x', fails: 'N' }, invalid('N', says.subdomain)),
  ruleAt('spec.nodeName', 'not empty', { fails: '' }, [
    `spec.nodeName: ${invalid('', 'must be either unset or set to a non-empty string')}`,
    `spec: Required value: ${where}`,
  ]),
  stays('spec.nodeName', 'm'),
  ruleAt('spec.nodeName', 'one of four', { passes: 'n', fails: undefined }, [
    `spec: Required value: ${where}`,
  ]),
  ruleAt('spec.allNodes', 'not beside another', { fails: true }, [
    `spec: ${invalid('{`nodeName`, `allNodes`}', `${where}, but multiple fields are set`)}`,
  ]),
  ...['allNodes', 'perDeviceNodeSelection'].map((name) =>
    ruleAt(`spec.${name}`, 'true', { fails: false }, invalid(false, 'must be either unset or set to true')),
  ),
  ...selectorOf('spec.nodeSelector', { 'spec.nodeName': undefined }).filter(
    ({ message }) => !String(message).includes('at least one'),
  ),
  {
    field: 'spec.nodeSelector.nodeSelectorTerms',
    rule: 'one',
    fails: {
      'spec.nodeName': undefined,
      'spec.nodeSelector.nodeSelectorTerms': many(2, () => ({
        matchFields: [{ key: 'metadata.name', operator: 'In', values: ['n'] }],
      })),
    },
    message:
      'spec.nodeSelector.nodeSelectorTerms: Invalid value: [{"MatchExpressions":null,"MatchFields":[{"Key":…',
  },
];

const ownNodeRows: readonly RuleRow[] = [
  ruleAt(
    `${device}.nodeName`,
    'the name of a node',
    { passes: 'n', fails: 'N' },
    invalid('N', says.subdomain),
    ownNodes,
  ),
  ruleAt(
    `${device}.nodeName`,
    'not empty',
    { fails: '' },
    [`${device}.nodeName: ${invalid('', 'must not be empty')}`, `${device}: Required value: ${own}`],
    ownNodes,
  ),
  ruleAt(
    `${device}.nodeName`,
    'there, where each has its own',
    { passes: 'n', fails: undefined },
    [`${device}: Required value: ${own}`],
    ownNodes,
  ),
  ruleAt(
    `${device}.allNodes`,
    'not beside another',
    { fails: true },
    [`${device}: ${invalid('{`nodeName`, `allNodes`}', own)}`],
    { ...ownNodes, [`${device}.nodeName`]: 'n' },
  ),
  ruleAt(
    `${device}.allNodes`,
    'true',
    { passes: true, fails: false },
    [
      `${device}.allNodes: ${invalid(false, 'must be either unset or set to true')}`,
      `${device}: Required value: ${own}`,
    ],
    ownNodes,
  ),
  ruleAt(`${device}.nodeName`, 'only where each has its own', { fails: 'n' }, [
    `${device}: Invalid value: null: \`nodeName\`, \`nodeSelector\` and \`allNodes\` can only be set if…`,
  ]),
  ...selectorOf(`${device}.nodeSelector`, ownNodes),
];

const attribute = `${device}.attributes[a]`;
/** A row about one attribute, whose other value is taken away. */
const attributeRow = (...[path, rule, values, said]: Parameters<typeof ruleAt>): RuleRow => {
  const row = ruleAt(path, rule, values, said, { [attribute]: {} });
  return { ...row, field: row.field.replace('[a]', '') };
};
const deviceRows: readonly RuleRow[] = [
  ruleAt(`${device}.name`, 'a label', { passes: 'a', fails: 'A' }, invalid('A', says.label)),
  ruleAt('spec.devices', 'each once', { fails: [{ name: 'a' }, { name: 'a' }] }, [
    'spec.devices[1]: Duplicate value: "a"',
  ]),
  ruleAt(
    'spec.devices',
    'at most 128',
    {
      passes: many(128, (index) => ({ name: `d${index}` })),
      fails: many(129, (index) => ({ name: `d${index}` })),
    },
    'Too many: 129: must have at most 128 items',
  ),
  ruleAt(
    'spec.devices',
    'at most 64 with taints',
    {
      fails: many(65, (index) => ({ name: `d${index}`, taints: [{ key: 'k', effect: 'None' }] })),
    },
    'Too many: 65: must have at most 64 items',
  ),
  ruleAt(
    `${device}.attributes`,
    'at most 32 with capacities',
    {
      passes: Object.fromEntries(
        many(32, (index) => index).map((index) => [`a${String(index)}`, { int: 1 }]),
      ),
      fails: Object.fromEntries(many(33, (index) => index).map((index) => [`a${String(index)}`, { int: 1 }])),
    },
    [`${device}: ${invalid(33, 'the total number of attributes and capacities must not exceed 32')}`],
  ),
  ruleAt(
    `${device}.attributes`,
    'names with or without a domain',
    { passes: { 'a.b/c': { int: 1 } }, fails: { 'a b': { int: 1 } } },
    [`${device}.attributes: Invalid value: "a b": a valid C identifier must start…`],
  ),
  attributeRow(
    attribute,
    'one value',
    { passes: { bool: true }, fails: {} },
    invalid('', 'exactly one value must be specified'),
  ),
  attributeRow(
    attribute,
    'not two',
    { fails: { int: 1, bool: true } },
    'Invalid value: {"bool":true,"int":1}: exactly one value must be specified',
  ),
  attributeRow(
    attribute,
    'no lists, which are off',
    { fails: { ints: [1] } },
    invalid('', 'exactly one value must be specified'),
  ),
  attributeRow(
    `${attribute}.string`,
    'at most 64 bytes',
    { passes: 'a'.repeat(64), fails: 'a'.repeat(65) },
    'Too long: may not be more than 64 bytes',
  ),
  attributeRow(
    `${attribute}.version`,
    'a semantic version',
    { passes: '1.2.3-rc.1+b.5', fails: '1.2' },
    invalid('1.2', 'must be a string compatible with semver.org spec 2.0.0'),
  ),
  attributeRow(
    `${attribute}.version`,
    'at most 64 bytes',
    { passes: `1.2.3-${'a'.repeat(58)}`, fails: `1.2.3-${'a'.repeat(59)}` },
    'Too long: may not be more than 64 bytes',
  ),
  ruleAt(
    `${device}.taints`,
    'at most 16',
    {
      passes: many(16, () => ({ key: 'k', effect: 'None' })),
      fails: many(17, () => ({ key: 'k', effect: 'None' })),
    },
    'Too many: 17: must have at most 16 items',
  ),
  ruleAt(
    `${device}.taints[0].key`,
    'a qualified name',
    { passes: 'a/b', fails: 'a b' },
    invalid('a b', says.qualified),
    { [`${device}.taints[0].effect`]: 'None' },
  ),
  ruleAt(
    `${device}.taints[0].value`,
    'the value of a label',
    { passes: 'a', fails: 'a b' },
    invalid('a b', says.labelValue),
    { [`${device}.taints`]: [{ key: 'k', effect: 'None' }] },
  ),
  ruleAt(`${device}.taints[0].effect`, 'there', { passes: 'None', fails: '' }, 'Required value', {
    [`${device}.taints[0].key`]: 'k',
  }),
  ruleAt(
    `${device}.taints[0].effect`,
    'one of three',
    { passes: 'NoExecute', fails: 'PreferNoSchedule' },
    'Unsupported value: "PreferNoSchedule": supported values: "NoExecute", "NoSchedule", "None"',
    { [`${device}.taints[0].key`]: 'k' },
  ),
  ...bindingRows(device),
];

const counters = { c: { value: '1' } };
const shared: Edits = { 'spec.devices': undefined };
const counterRows: readonly RuleRow[] = [
  ruleAt('spec.sharedCounters', 'not beside devices', { fails: [{ name: 's', counters }] }, [
    `spec: ${invalid('', 'only one of `sharedCounters` or `devices` is allowed')}`,
  ]),
  ruleAt(
    'spec.sharedCounters',
    'at most eight',
    {
      passes: many(8, (index) => ({ name: `s${index}`, counters })),
      fails: many(9, (index) => ({ name: `s${index}`, counters })),
    },
    'Too many: 9: must have at most 8 items',
    shared,
  ),
  ruleAt(
    'spec.sharedCounters',
    'each once',
    { fails: many(2, () => ({ name: 's', counters })) },
    ['spec.sharedCounters[1]: Duplicate value: "s"'],
    shared,
  ),
  ruleAt('spec.sharedCounters[0].name', 'there', { passes: 's', fails: '' }, 'Required value', {
    ...shared,
    'spec.sharedCounters': [{ counters }],
  }),
  ruleAt('spec.sharedCounters[0].name', 'a label', { passes: 's', fails: 'S' }, invalid('S', says.label), {
    ...shared,
    'spec.sharedCounters': [{ counters }],
  }),
  ruleAt('spec.sharedCounters[0].counters', 'some', { passes: counters, fails: {} }, 'Required value', {
    ...shared,
    'spec.sharedCounters': [{ name: 's' }],
  }),
  ruleAt(
    'spec.sharedCounters[0].counters',
    'named by labels',
    { passes: counters, fails: { C: { value: '1' } } },
    invalid('C', says.label),
    { ...shared, 'spec.sharedCounters': [{ name: 's' }] },
  ),
  ruleAt(
    `${device}.consumesCounters`,
    'at most two',
    {
      passes: many(2, (index) => ({ counterSet: `s${index}`, counters })),
      fails: many(3, (index) => ({ counterSet: `s${index}`, counters })),
    },
    'Too many: 3: must have at most 2 items',
  ),
  ruleAt(`${device}.consumesCounters[0].counterSet`, 'there', { passes: 's', fails: '' }, 'Required value', {
    [`${device}.consumesCounters`]: [{ counters }],
  }),
  ruleAt(`${device}.consumesCounters[0].counterSet`, 'a label', { fails: 'S' }, invalid('S', says.label), {
    [`${device}.consumesCounters`]: [{ counters }],
  }),
  ruleAt(
    `${device}.consumesCounters[0].counters`,
    'some',
    { passes: counters, fails: {} },
    'Required value',
    { [`${device}.consumesCounters`]: [{ counterSet: 's' }] },
  ),
];

const policy = `${device}.capacity[a].requestPolicy`;
const divided = (requestPolicy: object): Edits => ({
  [device]: {
    name: 'd',
    allowMultipleAllocations: true,
    capacity: { a: { value: '10', requestPolicy } },
  },
});
function policyRow(
  field: string,
  rule: string,
  { passes, fails }: { readonly passes?: object; readonly fails: object },
  message: string | readonly string[],
): RuleRow {
  return {
    field: `spec.devices.capacity.requestPolicy.${field}`,
    rule,
    ...(passes === undefined ? {} : { passes: divided(passes) }),
    fails: divided(fails),
    message: [message].flat().map((text) => `${policy}.${text}`),
  };
}
const range = (edits: object): object => ({ default: '2', validRange: { min: '1', ...edits } });
const policyRows: readonly RuleRow[] = [
  {
    field: 'spec.devices.capacity.requestPolicy',
    rule: 'only of a device that several may use',
    passes: divided({}),
    fails: { [device]: { name: 'd', capacity: { a: { value: '1', requestPolicy: {} } } } },
    message: `${policy}: Forbidden: allowMultipleAllocations must be true`,
  },
  {
    field: 'spec.devices.capacity.requestPolicy',
    rule: 'values or a range',
    fails: divided({ default: '1', validValues: ['1'], validRange: { min: '1' } }),
    message: `${policy}: Forbidden: exactly one policy can be specified, cannot specify "validValues" and "validRange" at the same time`,
  },
  {
    field: 'spec.devices.capacity',
    rule: 'names with or without a domain',
    passes: { [`${device}.capacity`]: { 'a/b': { value: '1' } } },
    fails: { [`${device}.capacity`]: { '/b': { value: '1' } } },
    message: `${device}.capacity: ${invalid('', 'the domain must not be empty')}`,
  },
  policyRow(
    'default',
    'there with values',
    { passes: { default: '1', validValues: ['1'] }, fails: { validValues: ['1'] } },
    'default: Required value: required when validValues is defined',
  ),
  policyRow(
    'default',
    'there with a range',
    { passes: range({}), fails: { validRange: { min: '1' } } },
    'default: Required value: required when validRange is defined',
  ),
  policyRow(
    'default',
    'one of the values',
    { fails: { default: '3', validValues: ['1', '2'] } },
    `validValues: ${invalid('3', 'default value is not valid according to the requestPolicy')}`,
  ),
  policyRow(
    'default',
    'within the range',
    { fails: { default: '5', validRange: { min: '1', max: '4' } } },
    `validRange.default: ${invalid('5', 'default is more than max: 4')}`,
  ),
  policyRow(
    'default',
    'not below the range',
    { fails: { default: '1', validRange: { min: '2' } } },
    `validRange.default: ${invalid('1', 'default is less than min: 2')}`,
  ),
  policyRow(
    'validValues',
    'in order',
    { passes: { default: '1', validValues: ['1', '2'] }, fails: { default: '1', validValues: ['2', '1'] } },
    `validValues[1]: ${invalid('1', 'values must be sorted in ascending order')}`,
  ),
  policyRow(
    'validValues',
    'no more than there is',
    { fails: { default: '1', validValues: ['1', '11'] } },
    `validValues[1]: ${invalid('11', 'option is larger than capacity value: 10')}`,
  ),
  policyRow(
    'validValues',
    'each once',
    { fails: { default: '1', validValues: ['1', '1'] } },
    'validValues[1]: Duplicate value: "1"',
  ),
  policyRow('validValues', 'at most ten', { fails: { default: '1', validValues: many(11, () => '1') } }, [
    'validValues: Too many: 11: must have at most 10 items',
    `validValues: ${invalid('1', 'default value is not valid according to the requestPolicy')}`,
  ]),
  policyRow(
    'validRange.min',
    'there',
    { passes: range({}), fails: { default: '1', validRange: { max: '2' } } },
    'validRange.min: Required value: required when validRange is defined',
  ),
  policyRow(
    'validRange.min',
    'no more than there is',
    { fails: { default: '12', validRange: { min: '11' } } },
    `validRange.min: ${invalid('11', 'min is larger than capacity value: 10')}`,
  ),
  policyRow(
    'validRange.max',
    'not below min',
    { passes: range({ max: '2' }), fails: { default: '3', validRange: { min: '3', max: '2' } } },
    [
      `validRange.max: ${invalid('3', 'min is larger than max: 2')}`,
      `validRange.default: ${invalid('3', 'default is more than max: 2')}`,
    ],
  ),
  policyRow(
    'validRange.max',
    'no more than there is',
    { fails: range({ max: '11' }) },
    `validRange.max: ${invalid('11', 'max is larger than capacity value: 10')}`,
  ),
  policyRow(
    'validRange.step',
    'more than zero',
    { passes: range({ step: '1' }), fails: range({ step: '0' }) },
    `validRange.step: ${invalid('0', 'must be greater than zero')}`,
  ),
  policyRow(
    'validRange.step',
    'no more than there is',
    { fails: { default: '1', validRange: { min: '1', step: '10' } } },
    `validRange.step: ${invalid('10', 'one step 11 is larger than capacity value: 10')}`,
  ),
  policyRow(
    'validRange.step',
    'from min to the default',
    { passes: { default: '3', validRange: { min: '1', step: '2' } }, fails: range({ step: '2' }) },
    `validRange.step: ${invalid('2', 'value is not a multiple of a given step (2) from (1)')}`,
  ),
];

export const resourceSlice: RuleTable = {
  apiVersion: 'resource.k8s.io/v1',
  kind: 'ResourceSlice',
  base: {
    spec: {
      driver: 'd',
      nodeName: 'n',
      pool: { name: 'p', resourceSliceCount: 1 },
      devices: [{ name: 'd', attributes: { a: { string: 's' } } }],
    },
  },
  rows: [
    ...driverRows('spec.driver'),
    stays('spec.driver', 'e'),
    ...poolRows,
    ...nodeRows,
    ...deviceRows,
    ...ownNodeRows,
    ...counterRows,
    ...policyRows,
  ],
  none: {
    'any amount': [
      'spec.devices.capacity.value',
      'spec.devices.consumesCounters.counters.value',
      'spec.sharedCounters.counters.value',
    ],
    numbers: ['spec.devices.attributes.int'],
    times: ['spec.devices.taints.timeAdded'],
    'of features that are off in a 1.36, and not taken': [
      'spec.devices.attributes.ints',
      'spec.devices.attributes.strings',
      'spec.devices.attributes.versions',
      'spec.devices.nodeAllocatableResourceMappings.*',
    ],
  },
};
