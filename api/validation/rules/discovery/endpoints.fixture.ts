import { invalid, says, strictIpRows } from '#api/validation/rules/row.fixture.ts';
import type { RuleTable } from '#api/validation/rules/rule-table.fixture.ts';

const protocols = 'supported values: "SCTP", "TCP", "UDP"';
const targets = ['subsets.addresses.targetRef.*', 'subsets.notReadyAddresses.targetRef.*'];

export const endpoints: RuleTable = {
  apiVersion: 'v1',
  kind: 'Endpoints',
  base: { subsets: [{ addresses: [{ ip: '10.0.0.1' }], ports: [{ port: 80 }] }] },
  rows: [
    {
      field: 'subsets',
      rule: 'some address each',
      passes: { 'subsets[0]': { notReadyAddresses: [{ ip: '10.0.0.1' }] } },
      fails: { 'subsets[0]': {} },
      message: 'subsets[0]: Required value: must specify `addresses` or `notReadyAddresses`',
    },
    ...['addresses', 'notReadyAddresses'].flatMap((list) => {
      const place = `subsets[0].${list}[0]`;
      const field = `subsets.${list}`;
      return [
        {
          field: `${field}.ip`,
          rule: 'an address',
          passes: { [place]: { ip: '2001:db8::1' } },
          fails: { [place]: { ip: 'x' } },
          message: `${place}.ip: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)`,
        },
        {
          field: `${field}.ip`,
          rule: 'not one of the node itself',
          fails: { [place]: { ip: '169.254.1.1' } },
          message: `${place}.ip: Invalid value: "169.254.1.1": may not be in the link-local range (169.254.0.0/16, fe80::/10)`,
        },
        ...strictIpRows(`${place}.ip`),
        {
          field: `${field}.ip`,
          rule: 'others stay while no subset changes',
          from: { [place]: { ip: '10.0.0.01' } },
          passes: { 'metadata.labels': { a: 'b' } },
          fails: { [place]: { ip: '10.0.0.01', hostname: 'a' } },
          message: `${place}.ip: ${invalid('10.0.0.01', says.leadingZeros)}`,
        },
        {
          field: `${field}.hostname`,
          rule: 'a DNS label',
          passes: { [place]: { ip: '10.0.0.1', hostname: 'a' } },
          fails: { [place]: { ip: '10.0.0.1', hostname: 'a.b' } },
          message: `${place}.hostname: Invalid value: "a.b": a lowercase RFC 1123 label must consist…`,
        },
        {
          field: `${field}.nodeName`,
          rule: 'the name of a node',
          passes: { [place]: { ip: '10.0.0.1', nodeName: 'a.b' } },
          fails: { [place]: { ip: '10.0.0.1', nodeName: 'a_b' } },
          message: `${place}.nodeName: Invalid value: "a_b": a lowercase RFC 1123 subdomain must consist…`,
        },
        {
          field: `${field}.nodeName`,
          rule: 'stays while the address does',
          from: { [place]: { ip: '10.0.0.1', nodeName: 'a' } },
          fails: { [`${place}.nodeName`]: 'b' },
          message: `${place}.nodeName: Forbidden: Cannot change NodeName for 10.0.0.1 to b`,
        },
      ];
    }),
    {
      field: 'subsets.ports.name',
      rule: 'there, where there are several ports',
      passes: {
        'subsets[0].ports': [
          { name: 'a', port: 1 },
          { name: 'b', port: 2 },
        ],
      },
      fails: { 'subsets[0].ports': [{ name: 'a', port: 1 }, { port: 2 }] },
      message: 'subsets[0].ports[1].name: Required value',
    },
    {
      field: 'subsets.ports.name',
      rule: 'a DNS label',
      fails: { 'subsets[0].ports[0].name': 'A' },
      message: 'subsets[0].ports[0].name: Invalid value: "A": a lowercase RFC 1123 label must consist…',
    },
    {
      field: 'subsets.ports.port',
      rule: 'a port',
      passes: { 'subsets[0].ports[0].port': 65_535 },
      fails: { 'subsets[0].ports[0].port': 65_536 },
      message: 'subsets[0].ports[0].port: Invalid value: 65536: must be between 1 and 65535, inclusive',
    },
    {
      field: 'subsets.ports.protocol',
      rule: 'one of three',
      passes: { 'subsets[0].ports[0].protocol': 'UDP' },
      fails: { 'subsets[0].ports[0].protocol': 'X' },
      message: `subsets[0].ports[0].protocol: Unsupported value: "X": ${protocols}`,
    },
    {
      field: 'subsets.ports.appProtocol',
      rule: 'a qualified name',
      passes: { 'subsets[0].ports[0].appProtocol': 'kubernetes.io/ws' },
      fails: { 'subsets[0].ports[0].appProtocol': 'w s' },
      message: 'subsets[0].ports[0].appProtocol: Invalid value: "w s": name part must consist of…',
    },
  ],
  none: { 'only told': targets },
};

const zones = (count: number): readonly object[] =>
  Array.from({ length: count }, (_, index) => ({ name: `z${index}` }));

export const endpointSlice: RuleTable = {
  apiVersion: 'discovery.k8s.io/v1',
  kind: 'EndpointSlice',
  base: { addressType: 'IPv4', endpoints: [{ addresses: ['10.0.0.1'] }], ports: [{ port: 80 }] },
  rows: [
    {
      field: 'addressType',
      rule: 'one of three',
      passes: { addressType: 'FQDN', 'endpoints[0].addresses': ['a.b'] },
      fails: { addressType: 'X', 'endpoints[0].addresses': ['any'] },
      message: 'addressType: Unsupported value: "X": supported values: "FQDN", "IPv4", "IPv6"',
    },
    {
      field: 'addressType',
      rule: 'stays',
      from: {},
      fails: { addressType: 'IPv6', 'endpoints[0].addresses': ['2001:db8::1'] },
      message: 'addressType: Invalid value: "IPv6": field is immutable',
    },
    {
      field: 'endpoints',
      rule: 'at most 1000',
      passes: { endpoints: Array.from({ length: 1000 }, () => ({ addresses: ['10.0.0.1'] })) },
      fails: { endpoints: Array.from({ length: 1001 }, () => ({ addresses: ['10.0.0.1'] })) },
      message: 'endpoints: Too many: 1001: must have at most 1000 items',
    },
    {
      field: 'endpoints.addresses',
      rule: 'one to 100',
      passes: { 'endpoints[0].addresses': Array.from({ length: 100 }, () => '10.0.0.1') },
      fails: { 'endpoints[0].addresses': Array.from({ length: 101 }, () => '10.0.0.1') },
      message: 'endpoints[0].addresses: Too many: 101: must have at most 100 items',
    },
    {
      field: 'endpoints.addresses',
      rule: 'some',
      fails: { 'endpoints[0].addresses': [] },
      message: 'endpoints[0].addresses: Required value: must contain at least 1 address',
    },
    {
      field: 'endpoints.addresses',
      rule: 'of the family',
      fails: { 'endpoints[0].addresses': ['2001:db8::1'] },
      message: 'endpoints[0].addresses[0]: Invalid value: "2001:db8::1": must be an IPv4 address',
    },
    ...strictIpRows('endpoints[0].addresses', 'endpoints[0].addresses[0]', (ip) => [ip]),
    {
      field: 'endpoints.addresses',
      rule: 'others stay while no endpoint changes',
      from: { 'endpoints[0].addresses': ['10.0.0.01'] },
      passes: { 'ports[0].port': 81 },
      fails: { 'endpoints[0].hostname': 'a' },
      message: `endpoints[0].addresses[0]: ${invalid('10.0.0.01', says.leadingZeros)}`,
    },
    {
      field: 'endpoints.addresses',
      rule: 'names of two labels',
      passes: { addressType: 'FQDN', 'endpoints[0].addresses': ['a.b.'] },
      fails: { addressType: 'FQDN', 'endpoints[0].addresses': ['a'] },
      message:
        'endpoints[0].addresses[0]: Invalid value: "a": should be a domain with at least two segments separated by dots',
    },
    {
      field: 'endpoints.hostname',
      rule: 'a DNS label',
      passes: { 'endpoints[0].hostname': 'a' },
      fails: { 'endpoints[0].hostname': 'a.b' },
      message: 'endpoints[0].hostname: Invalid value: "a.b": a lowercase RFC 1123 label must consist…',
    },
    {
      field: 'endpoints.nodeName',
      rule: 'the name of a node',
      passes: { 'endpoints[0].nodeName': 'a.b' },
      fails: { 'endpoints[0].nodeName': 'a_b' },
      message: 'endpoints[0].nodeName: Invalid value: "a_b": a lowercase RFC 1123 subdomain must consist…',
    },
    {
      field: 'endpoints.deprecatedTopology',
      rule: 'labels',
      passes: { 'endpoints[0].deprecatedTopology': { a: 'b' } },
      fails: { 'endpoints[0].deprecatedTopology': { a: 'b c' } },
      message:
        'endpoints[0].deprecatedTopology: Invalid value: "b c": a valid label must be an empty string…',
    },
    {
      field: 'endpoints.hints.forZones.name',
      rule: 'each once, at most eight',
      passes: { 'endpoints[0].hints.forZones': zones(8) },
      fails: { 'endpoints[0].hints.forZones': zones(9) },
      message: 'endpoints[0].hints.forZones: Too many: 9: must have at most 8 items',
    },
    {
      field: 'endpoints.hints.forZones.name',
      rule: 'values of labels',
      fails: { 'endpoints[0].hints.forZones': [{ name: 'a' }, { name: 'a' }] },
      message: 'endpoints[0].hints.forZones[1].name: Duplicate value: "a"',
    },
    {
      field: 'endpoints.hints.forNodes.name',
      rule: 'names of nodes',
      passes: { 'endpoints[0].hints.forNodes': [{ name: 'a.b' }] },
      fails: { 'endpoints[0].hints.forNodes': [{ name: 'a_b' }] },
      message:
        'endpoints[0].hints.forNodes[0].name: Invalid value: "a_b": a lowercase RFC 1123 subdomain must consist…',
    },
    {
      field: 'ports.name',
      rule: 'each once',
      passes: {
        ports: [
          { name: 'a', port: 1 },
          { name: '', port: 2 },
        ],
      },
      fails: {
        ports: [
          { name: 'a', port: 1 },
          { name: 'a', port: 2 },
        ],
      },
      message: 'ports[1].name: Duplicate value: "a"',
    },
    {
      field: 'ports.name',
      rule: 'a DNS label, or none',
      fails: { 'ports[0].name': 'A' },
      message: 'ports[0].name: Invalid value: "A": a lowercase RFC 1123 label must consist…',
    },
    {
      field: 'ports.port',
      rule: 'a port, or all',
      passes: { 'ports[0].port': undefined },
      fails: { 'ports[0].port': 70_000 },
      message: 'ports[0].port: Invalid value: 70000: must be between 1 and 65535, inclusive',
    },
    {
      field: 'ports.protocol',
      rule: 'one of three',
      passes: { 'ports[0].protocol': 'SCTP' },
      fails: { 'ports[0].protocol': 'X' },
      message: `ports[0].protocol: Unsupported value: "X": ${protocols}`,
    },
    {
      field: 'ports.appProtocol',
      rule: 'a qualified name',
      passes: { 'ports[0].appProtocol': 'https' },
      fails: { 'ports[0].appProtocol': 'h s' },
      message: 'ports[0].appProtocol: Invalid value: "h s": name part must consist of…',
    },
  ],
  none: { 'only told': ['endpoints.targetRef.*'], 'free text': ['endpoints.zone'] },
};
