import { invalid, ruleAt, says } from '#api/validation/rules/row.fixture.ts';
import type { RuleRow, RuleTable } from '#api/validation/rules/rule-table.fixture.ts';
import { statusRows } from './claim-status.fixture.ts';
import { many, opaqueRows, selectorRows, tolerationRows } from './device-rows.fixture.ts';

const reference =
  "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'";
const exactly = { deviceClassName: 'c' };

const claimSpec = {
  devices: {
    requests: [
      { name: 'r', exactly },
      { name: 's', firstAvailable: [{ name: 'a', deviceClassName: 'c' }] },
    ],
    constraints: [{ requests: ['r'], matchAttribute: 'a.b/c' }],
    config: [{ requests: ['s/a'], opaque: { driver: 'd', parameters: { x: 1 } } }],
  },
};

/** Of what is asked in a request, or in one of its alternatives. */
function askedRows(path: string): readonly RuleRow[] {
  return [
    ruleAt(`${path}.deviceClassName`, 'there', { fails: '' }, 'Required value'),
    ruleAt(
      `${path}.deviceClassName`,
      'a DNS subdomain',
      { passes: 'a.b', fails: 'a_b' },
      invalid('a_b', says.subdomain),
    ),
    ...selectorRows(`${path}.selectors`),
    ruleAt(
      `${path}.allocationMode`,
      'one of two',
      { passes: 'All', fails: 'X' },
      'Unsupported value: "X": supported values: "All", "ExactCount"',
    ),
    ruleAt(
      `${path}.count`,
      'more than zero',
      { passes: 2, fails: -1 },
      invalid(-1, 'must be greater than zero'),
    ),
    ruleAt(
      `${path}.count`,
      'none of all',
      { fails: 1 },
      invalid(1, "must not be specified when allocationMode is 'All'"),
      { [`${path}.allocationMode`]: 'All' },
    ),
    ...tolerationRows(`${path}.tolerations`),
  ];
}

/** Names of requests elsewhere in the claim. */
function referenceRows(path: string): readonly RuleRow[] {
  return [
    ruleAt(
      path,
      'at most 32',
      { passes: ['r'], fails: many(33, () => 'r') },
      'Too many: 33: must have at most 32 items',
    ),
    ruleAt(path, 'of the claim', { passes: ['r', 's', 's/a'], fails: ['x'] }, [
      `${path}[0]: ${invalid('x', reference)}`,
    ]),
    ruleAt(path, 'of two parts', { fails: ['s/a/b'] }, [`${path}[0]: ${invalid('s/a/b', reference)}`]),
    ruleAt(path, 'labels', { fails: ['s/A'] }, [
      `${path}[0]: ${invalid('s/A', says.label).replace('s/A', 'A')}`,
      `${path}[0]: ${invalid('s/A', reference)}`,
    ]),
    ruleAt(path, 'each once', { fails: ['r', 'r'] }, [`${path}[1]: Duplicate value: "r"`]),
  ];
}

function specRows(devices: string): readonly RuleRow[] {
  const requests = `${devices}.requests`;
  const one = `${requests}[0]`;
  const other = `${requests}[1].firstAvailable`;
  const constraint = `${devices}.constraints[0]`;
  const union = 'exactly one of `exactly` or `firstAvailable` is required';
  const bare = { [`${devices}.constraints`]: undefined, [`${devices}.config`]: undefined };
  return [
    ruleAt(
      requests,
      'at most 32',
      {
        passes: many(32, (index) => ({ name: `r${index}`, exactly })),
        fails: many(33, (index) => ({ name: `r${index}`, exactly })),
      },
      'Too many: 33: must have at most 32 items',
      bare,
    ),
    ruleAt(`${one}.name`, 'a label', { passes: 'q', fails: 'A' }, invalid('A', says.label), bare),
    ruleAt(`${one}.name`, 'each once', { fails: 's' }, [`${requests}[1]: Duplicate value: "s"`], bare),
    ruleAt(
      one,
      'one of the two',
      { passes: { name: 'r', exactly }, fails: { name: 'r' } },
      `Required value: ${union}`,
    ),
    ruleAt(
      one,
      'not both',
      { fails: { name: 'r', exactly, firstAvailable: [{ name: 'a', ...exactly }] } },
      invalid(null, `${union}, but multiple fields are set`),
    ),
    ...askedRows(`${one}.exactly`),
    ruleAt(
      other,
      'at most eight',
      {
        passes: many(8, (index) => ({ name: index === 0 ? 'a' : `a${index}`, ...exactly })),
        fails: many(9, (index) => ({ name: index === 0 ? 'a' : `a${index}`, ...exactly })),
      },
      'Too many: 9: must have at most 8 items',
    ),
    ruleAt(`${other}[0].name`, 'a label', { passes: 'q', fails: 'A' }, invalid('A', says.label), bare),
    ruleAt(other, 'each once', { fails: many(2, () => ({ name: 'a', ...exactly })) }, [
      `${other}[1]: Duplicate value: "a"`,
    ]),
    ...askedRows(`${other}[0]`),
    ruleAt(
      `${devices}.constraints`,
      'at most 32',
      {
        passes: many(32, () => ({ matchAttribute: 'a/b' })),
        fails: many(33, () => ({ matchAttribute: 'a/b' })),
      },
      'Too many: 33: must have at most 32 items',
    ),
    ...referenceRows(`${constraint}.requests`),
    ...['matchAttribute', 'distinctAttribute'].flatMap((name) => attributeRows(constraint, name)),
    ruleAt(
      constraint,
      'an attribute',
      { passes: { distinctAttribute: 'a/b' }, fails: {} },
      'Required value: exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields are set',
    ),
    ruleAt(
      `${devices}.config`,
      'at most 32',
      {
        passes: many(32, () => claimSpec.devices.config[0]),
        fails: many(33, () => claimSpec.devices.config[0]),
      },
      'Too many: 33: must have at most 32 items',
    ),
    ...referenceRows(`${devices}.config[0].requests`),
    ...opaqueRows(`${devices}.config[0]`),
  ];
}

function attributeRows(constraint: string, name: string): readonly RuleRow[] {
  const field = `${constraint}.${name}`;
  const beside = { [constraint]: {} };
  const row = (rule: string, passes: string, fails: string, said: string): RuleRow =>
    ruleAt(field, rule, { passes, fails }, said, beside);
  const domain = 'a fully qualified name must be a domain and a name separated by a slash';
  return [
    row('with a domain', 'a/b', 'b', invalid('b', domain)),
    row('whose domain is one', 'a.b/c', 'a_b/c', invalid('a_b', says.subdomain)),
    row('whose domain is there', 'a/c', '/c', invalid('', 'the domain must not be empty')),
    row('whose name is there', 'a/c', 'a/', invalid('', 'the name must not be empty')),
    row(
      'whose name is a C identifier',
      'a/_b',
      'a/1',
      'Invalid value: "1": a valid C identifier must start…',
    ),
    row(
      'whose name has at most 32 bytes',
      `a/${'b'.repeat(32)}`,
      `a/${'b'.repeat(33)}`,
      'Too long: may not be more than 32 bytes',
    ),
    row('of two parts', 'a/b', 'a/b/c', invalid('a/b/c', 'must not contain more than one slash')),
  ];
}

const none = (devices: string): RuleTable['none'] => ({
  'any amount of any capacity': [
    `${devices}.requests.exactly.capacity.*`,
    `${devices}.requests.firstAvailable.capacity.*`,
  ],
  'none below 0 counts': [
    `${devices}.requests.exactly.tolerations.tolerationSeconds`,
    `${devices}.requests.firstAvailable.tolerations.tolerationSeconds`,
  ],
});
export const resourceClaim: RuleTable = {
  apiVersion: 'resource.k8s.io/v1',
  kind: 'ResourceClaim',
  base: { spec: claimSpec },
  rows: [
    ...specRows('spec.devices'),
    {
      field: 'spec.devices.requests.name',
      rule: 'stays, as all of the spec',
      from: {},
      fails: { 'spec.devices.requests[0].exactly.count': 2 },
      message: 'spec: Invalid value: {"Devices":{"Requests":[{"Name":…',
    },
    ...statusRows,
  ],
  none: none('spec.devices') ?? {},
};

export const resourceClaimTemplate: RuleTable = {
  apiVersion: 'resource.k8s.io/v1',
  kind: 'ResourceClaimTemplate',
  base: { spec: { spec: claimSpec } },
  rows: [
    ...specRows('spec.spec.devices'),
    ruleAt(
      'spec.metadata.labels',
      'labels',
      { passes: { a: 'b' }, fails: { a: 'b c' } },
      invalid('b c', says.labelValue),
    ),
    ruleAt(
      'spec.metadata.annotations',
      'annotations',
      { passes: { a: 'b c' }, fails: { 'a b': 'c' } },
      invalid('a b', says.qualified),
    ),
    {
      field: 'spec.metadata.labels',
      rule: 'stay, as all of the spec',
      from: {},
      fails: { 'spec.metadata.labels': { a: 'b' } },
      message: 'spec: Invalid value: {"labels":{"a":"b"},"Spec":{"Devices":…',
    },
  ],
  none: {
    ...none('spec.spec.devices'),
    'not looked at': ['spec.metadata.*'],
  },
};
