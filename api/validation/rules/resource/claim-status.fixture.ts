import { invalid, says } from '#api/validation/rules/row.fixture.ts';
import type { Edits, RuleRow } from '#api/validation/rules/rule-table.fixture.ts';
import { many } from './device-rows.fixture.ts';

const allocation = 'status.allocation';
const result = { request: 'r', driver: 'd', pool: 'p', device: 'v' };
const given: Edits = { [`${allocation}.devices.results`]: [result] };
const device = { driver: 'd', pool: 'p', device: 'v' };
const consumer = { resource: 'pods', name: 'p', uid: 'u' };
const required = 'Required value';

interface Row {
  readonly from?: Edits;
  readonly passes?: Edits;
  readonly fails: Edits;
}

function statusRow(field: string, rule: string, row: Row, message: string | readonly string[]): RuleRow {
  return { field: `status.${field}`, rule, subresource: 'status', ...row, from: row.from ?? {}, message };
}

/** A row about one result of the allocation. */
function resultRow(
  name: string,
  rule: string,
  [passes, fails]: readonly [unknown, unknown],
  said: string,
): RuleRow {
  const at = `${allocation}.devices.results[0].${name}`;
  return statusRow(
    `allocation.devices.results.${name}`,
    rule,
    { passes: { ...given, [at]: passes }, fails: { ...given, [at]: fails } },
    `${at}: ${said}`,
  );
}

/** A row about what is told of one device that was given. */
function deviceRow(
  name: string,
  rule: string,
  [passes, fails]: readonly [unknown, unknown],
  said: string,
): RuleRow {
  const at = `status.devices[0].${name}`;
  const beside = { ...given, 'status.devices': [device] };
  return statusRow(
    `devices.${name}`,
    rule,
    { from: given, passes: { ...beside, [at]: passes }, fails: { ...beside, [at]: fails } },
    `${at}: ${said}`,
  );
}

const config = (edits: object): object => ({
  source: 'FromClaim',
  opaque: { driver: 'd', parameters: {} },
  ...edits,
});

/** Rules of the status of a ResourceClaim. */
export const statusRows: readonly RuleRow[] = [
  statusRow(
    'reservedFor',
    'at most 256',
    {
      passes: { ...given, 'status.reservedFor': many(256, (index) => ({ ...consumer, uid: `u${index}` })) },
      fails: { ...given, 'status.reservedFor': many(257, (index) => ({ ...consumer, uid: `u${index}` })) },
    },
    'status.reservedFor: Too many: 257: must have at most 256 items',
  ),
  ...['resource', 'name', 'uid'].map((name) =>
    statusRow(
      `reservedFor.${name}`,
      'there',
      {
        passes: { ...given, 'status.reservedFor': [consumer] },
        fails: { ...given, 'status.reservedFor': [{ ...consumer, [name]: '' }] },
      },
      `status.reservedFor[0].${name}: ${required}`,
    ),
  ),
  statusRow(
    'reservedFor',
    'each once',
    { fails: { ...given, 'status.reservedFor': [consumer, consumer] } },
    'status.reservedFor[1]: Duplicate value: "u"',
  ),
  statusRow(
    'reservedFor',
    'of what is allocated',
    { passes: { ...given, 'status.reservedFor': [consumer] }, fails: { 'status.reservedFor': [consumer] } },
    'status.reservedFor: Forbidden: may not be specified when `allocated` is not set',
  ),
  statusRow(
    'allocation.devices.results',
    'stay until all is taken back',
    {
      from: given,
      passes: { [allocation]: undefined },
      fails: { [`${allocation}.devices.results[0].device`]: 'w' },
    },
    `${allocation}: Invalid value: {"Devices":{"Results":[{"Request":…`,
  ),
  statusRow(
    'allocation.devices.results',
    'at most 32',
    {
      passes: { [`${allocation}.devices.results`]: many(32, () => result) },
      fails: { [`${allocation}.devices.results`]: many(33, () => result) },
    },
    `${allocation}.devices.results: Too many: 33: must have at most 32 items`,
  ),
  resultRow('request', 'of the claim', ['s/a', 'x'], 'Invalid value: "x": must be the name of a request…'),
  resultRow('driver', 'a DNS subdomain', ['a.b', 'a_b'], invalid('a_b', says.subdomain)),
  resultRow('pool', 'there', ['p', ''], required),
  resultRow('pool', 'subdomains with slashes', ['a/b.c', 'a/B'], invalid('B', says.subdomain)),
  resultRow('device', 'a label', ['a', 'A'], invalid('A', says.label)),
  resultRow(
    'shareID',
    'a UUID',
    ['8e29d8f0-1d2b-4c3e-9a5f-0123456789ab', 'x'],
    'Invalid value: "x": error validating uid: invalid UUID length: 1',
  ),
  resultRow(
    'shareID',
    'in lower case',
    ['8e29d8f0-1d2b-4c3e-9a5f-0123456789ab', '8E29D8F0-1d2b-4c3e-9a5f-0123456789ab'],
    'Invalid value: "8E29D8F0-1d2b-4c3e-9a5f-0123456789ab": uid must be in RFC 4122 normalized form…',
  ),
  statusRow(
    'allocation.devices.config.source',
    'one of two',
    {
      passes: { ...given, [`${allocation}.devices.config`]: [config({ requests: ['r'] })] },
      fails: { ...given, [`${allocation}.devices.config`]: [config({ source: 'X' })] },
    },
    `${allocation}.devices.config[0].source: Unsupported value: "X": supported values: "FromClaim", "FromClass"`,
  ),
  statusRow(
    'allocation.devices.config.source',
    'there',
    { fails: { ...given, [`${allocation}.devices.config`]: [config({ source: '' })] } },
    `${allocation}.devices.config[0].source: ${required}`,
  ),
  statusRow(
    'allocation.devices.config',
    'at most 64',
    {
      passes: { ...given, [`${allocation}.devices.config`]: many(64, () => config({})) },
      fails: { ...given, [`${allocation}.devices.config`]: many(65, () => config({})) },
    },
    `${allocation}.devices.config: Too many: 65: must have at most 64 items`,
  ),
  statusRow(
    'allocation.nodeSelector',
    'some term',
    { fails: { ...given, [`${allocation}.nodeSelector`]: { nodeSelectorTerms: [] } } },
    `${allocation}.nodeSelector.nodeSelectorTerms: Required value: must have at least one node selector term`,
  ),
  statusRow(
    'devices',
    'that were given',
    {
      from: given,
      passes: { ...given, 'status.devices': [device] },
      fails: { ...given, 'status.devices': [{ ...device, device: 'w' }] },
    },
    'status.devices[0]: Invalid value: "d/p/w": must be an allocated device in the claim',
  ),
  statusRow(
    'devices',
    'each once',
    { from: given, fails: { ...given, 'status.devices': [device, device] } },
    'status.devices[1]: Duplicate value: "d/p/v"',
  ),
  deviceRow('data', 'an object', [{ a: 1 }, [1]], invalid('<value omitted>', 'must be a valid JSON object')),
  deviceRow(
    'networkData.interfaceName',
    'at most 256 bytes',
    ['a'.repeat(256), 'a'.repeat(257)],
    'Too long: may not be more than 256 bytes',
  ),
  deviceRow(
    'networkData.hardwareAddress',
    'at most 128 bytes',
    ['a'.repeat(128), 'a'.repeat(129)],
    'Too long: may not be more than 128 bytes',
  ),
  statusRow(
    'devices.networkData.ips',
    'addresses with their network',
    {
      from: given,
      passes: {
        ...given,
        'status.devices': [{ ...device, networkData: { ips: ['10.9.8.7/24', '2001:db8::1/64'] } }],
      },
      fails: {
        ...given,
        'status.devices': [{ ...device, networkData: { ips: ['10.9.8.7', '2001:DB8::1/64'] } }],
      },
    },
    [
      'status.devices[0].networkData.ips[0]: Invalid value: "10.9.8.7": must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)',
      'status.devices[0].networkData.ips[1]: Invalid value: "2001:DB8::1/64": must be in canonical form ("2001:db8::1/64")',
    ],
  ),
  statusRow(
    'devices.conditions',
    'conditions',
    {
      from: given,
      fails: {
        ...given,
        'status.devices': [{ ...device, conditions: [{ type: 'A', status: 'X', reason: 'R' }] }],
      },
    },
    [
      'status.devices[0].conditions[0].status: Unsupported value: "X": supported values: "False", "True", "Unknown"',
      'status.devices[0].conditions[0].lastTransitionTime: Required value: must be set',
    ],
  ),
];
