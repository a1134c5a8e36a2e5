import { invalid, says } from '#api/validation/rules/row.fixture.ts';
import type { RuleRow, RuleTable } from '#api/validation/rules/rule-table.fixture.ts';

const cidrRow = (rule: string, cidr: string, message: string): RuleRow => ({
  field: 'spec.cidrs',
  rule,
  passes: { 'spec.cidrs': ['2001:db8::/112'] },
  fails: { 'spec.cidrs': [cidr] },
  message: `spec.cidrs[0]: Invalid value: ${JSON.stringify(cidr)}: ${message}`,
});

export const serviceCidr: RuleTable = {
  apiVersion: 'networking.k8s.io/v1',
  kind: 'ServiceCIDR',
  base: { spec: { cidrs: ['10.1.0.0/16'] } },
  rows: [
    {
      field: 'spec.cidrs',
      rule: 'one',
      fails: { 'spec.cidrs': [] },
      message: 'spec.cidrs: Required value: at least one CIDR required',
    },
    {
      field: 'spec.cidrs',
      rule: 'or two',
      passes: { 'spec.cidrs': ['10.1.0.0/16', '2001:db8::/112'] },
      fails: { 'spec.cidrs': ['10.1.0.0/16', '2001:db8::/112', '10.2.0.0/16'] },
      message:
        'spec.cidrs: Invalid value: {"CIDRs":["10.1.0.0/16","2001:db8::/112","10.2.0.0/16"]}: may only hold up to 2 values',
    },
    {
      field: 'spec.cidrs',
      rule: 'of two families',
      fails: { 'spec.cidrs': ['10.1.0.0/16', '10.2.0.0/16'] },
      message:
        'spec.cidrs: Invalid value: {"CIDRs":["10.1.0.0/16","10.2.0.0/16"]}: may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64',
    },
    cidrRow('a network', '10.1.0.0', 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)'),
    cidrRow('without leading zeros', '010.1.0.0/16', 'must not have leading 0s in IP or prefix length'),
    cidrRow('no address in one', '10.1.0.1/16', 'must not have bits set beyond the prefix length'),
    cidrRow(
      'not of the other family in disguise',
      '::ffff:10.1.0.0/112',
      'must not have an IPv4-mapped IPv6 address',
    ),
    cidrRow('as all others write it', '2001:DB8::/112', 'must be in canonical form ("2001:db8::/112")'),
    {
      field: 'spec.cidrs',
      rule: 'stay',
      from: {},
      passes: { 'metadata.labels': { a: 'b' } },
      fails: { 'spec.cidrs': ['10.2.0.0/16'] },
      message: 'spec.cidrs[0]: Invalid value: "10.2.0.0/16": field is immutable',
    },
  ],
};

const parent = 'spec.parentRef';
const segmentRow = (name: string): RuleRow => ({
  field: `${parent}.${name}`,
  rule: 'a segment of a path',
  passes: { [`${parent}.${name}`]: 'a.b' },
  fails: { [`${parent}.${name}`]: 'a/b' },
  message: `${parent}.${name}: Invalid value: "a/b": may not contain '/'`,
});

export const ipAddress: RuleTable = {
  apiVersion: 'networking.k8s.io/v1',
  kind: 'IPAddress',
  base: {
    metadata: { name: '10.1.2.3' },
    spec: { parentRef: { resource: 'services', namespace: 'n', name: 's' } },
  },
  rows: [
    {
      field: 'metadata.name',
      rule: 'an address',
      passes: { 'metadata.name': '2001:db8::1' },
      fails: { 'metadata.name': 'x' },
      message:
        'metadata.name: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
    },
    ...[
      ['without leading zeros', '10.96.0.077', says.leadingZeros],
      ['not of the other family in disguise', '::ffff:10.1.2.3', says.mappedIp],
      ['as all others write it', '2001:DB8::1', 'must be in canonical form ("2001:db8::1")'],
    ].map(([rule = '', name = '', detail = '']) => ({
      field: 'metadata.name',
      rule,
      fails: { 'metadata.name': name },
      message: `metadata.name: ${invalid(name, detail)}`,
    })),
    {
      field: parent,
      rule: 'there',
      fails: { [parent]: undefined },
      message: 'spec.parentRef: Required value',
    },
    {
      field: `${parent}.group`,
      rule: 'a DNS subdomain',
      passes: { [`${parent}.group`]: 'a.b' },
      fails: { [`${parent}.group`]: 'A' },
      message: `${parent}.group: Invalid value: "A": a lowercase RFC 1123 subdomain must consist…`,
    },
    ...['resource', 'name'].flatMap((name): readonly RuleRow[] => [
      {
        field: `${parent}.${name}`,
        rule: 'there',
        fails: { [`${parent}.${name}`]: '' },
        message: `${parent}.${name}: Required value`,
      },
      segmentRow(name),
    ]),
    segmentRow('namespace'),
    {
      field: parent,
      rule: 'stays',
      from: {},
      fails: { [`${parent}.name`]: 't' },
      message:
        'spec.parentRef: Invalid value: {"Group":"","Resource":"services","Namespace":"n","Name":"t"}: field is immutable',
    },
  ],
};
