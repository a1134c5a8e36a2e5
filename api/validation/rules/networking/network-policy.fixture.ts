import { invalid, says, strictCidrRows } from '#api/validation/rules/row.fixture.ts';
import type { RuleRow, RuleTable } from '#api/validation/rules/rule-table.fixture.ts';
import { selectorRows } from '#api/validation/rules/selector-rows.fixture.ts';

function directionRows(direction: string, peers: string): readonly RuleRow[] {
  const [rule, field] = [`spec.${direction}[0]`, `spec.${direction}`];
  const [port, peer] = [`${rule}.ports[0]`, `${rule}.${peers}[0]`];
  const block = (cidr: string, except: readonly string[] = []): { readonly [name: string]: object } => ({
    [peer]: { ipBlock: { cidr, except } },
  });
  const cidrText = 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)';
  return [
    {
      field: `${field}.ports.port`,
      rule: 'a port',
      passes: { [port]: { port: 65_535 } },
      fails: { [port]: { port: 65_536 } },
      message: `${port}.port: Invalid value: 65536: must be between 1 and 65535, inclusive`,
    },
    {
      field: `${field}.ports.port`,
      rule: 'the name of a port',
      passes: { [port]: { port: 'http' } },
      fails: { [port]: { port: '80' } },
      message: `${port}.port: Invalid value: "80": must contain at least one letter (a-z)`,
    },
    {
      field: `${field}.ports.protocol`,
      rule: 'one of three',
      passes: { [port]: { protocol: 'SCTP' } },
      fails: { [port]: { protocol: 'X' } },
      message: `${port}.protocol: Unsupported value: "X": supported values: "TCP", "UDP", "SCTP"`,
    },
    {
      field: `${field}.ports.endPort`,
      rule: 'not below port',
      passes: { [port]: { port: 80, endPort: 80 } },
      fails: { [port]: { port: 80, endPort: 79 } },
      message: `${port}.endPort: Invalid value: 80: must be greater than or equal to \`port\``,
    },
    {
      field: `${field}.ports.endPort`,
      rule: 'not without port',
      fails: { [port]: { endPort: 80 } },
      message: `${port}.endPort: Invalid value: 80: may not be specified when \`port\` is not specified`,
    },
    {
      field: `${field}.ports.endPort`,
      rule: 'not for a name',
      fails: { [port]: { port: 'http', endPort: 80 } },
      message: `${port}.endPort: Invalid value: 80: may not be specified when \`port\` is non-numeric`,
    },
    {
      field: `${field}.${peers}`,
      rule: 'a peer',
      passes: { [peer]: { podSelector: {}, namespaceSelector: {} } },
      fails: { [peer]: {} },
      message: `${peer}: Required value: must specify a peer`,
    },
    {
      field: `${field}.${peers}`,
      rule: 'not a block and another',
      fails: { [peer]: { podSelector: {}, ipBlock: { cidr: '10.0.0.0/8' } } },
      message: `${peer}: Forbidden: may not specify both ipBlock and another peer`,
    },
    {
      field: `${field}.${peers}.ipBlock.cidr`,
      rule: 'a block',
      passes: block('2001:db8::/32'),
      fails: block('10.0.0.0'),
      message: `${peer}.ipBlock.cidr: Invalid value: "10.0.0.0": ${cidrText}`,
    },
    {
      field: `${field}.${peers}.ipBlock.cidr`,
      rule: 'there',
      fails: block(''),
      message: `${peer}.ipBlock.cidr: Required value`,
    },
    {
      field: `${field}.${peers}.ipBlock.except`,
      rule: 'blocks within the block',
      passes: block('10.0.0.0/8', ['10.1.0.0/16']),
      fails: block('10.0.0.0/8', ['11.0.0.0/16']),
      message: `${peer}.ipBlock.except[0]: Invalid value: "11.0.0.0/16": must be a strict subset of \`cidr\``,
    },
    ...strictCidrRows(`${peer}.ipBlock.cidr`, `${peer}.ipBlock.cidr`, (cidr) => cidr, block('', [])),
    {
      field: `${field}.${peers}.ipBlock.except`,
      rule: 'asked of a block that some read otherwise',
      fails: block('10.0.0.1/8', ['11.0.0.0/16', '10.0.0.1/16', '10.0.0.0/09', '::ffff:10.1.0.0/112']),
      message: [
        `${peer}.ipBlock.cidr: ${invalid('10.0.0.1/8', says.hostBits)}`,
        `${peer}.ipBlock.except[0]: Invalid value: "11.0.0.0/16": must be a strict subset of \`cidr\``,
        `${peer}.ipBlock.except[1]: ${invalid('10.0.0.1/16', says.hostBits)}`,
        `${peer}.ipBlock.except[2]: ${invalid('10.0.0.0/09', says.cidrZeros)}`,
        `${peer}.ipBlock.except[3]: ${invalid('::ffff:10.1.0.0/112', says.mappedCidr)}`,
        `${peer}.ipBlock.except[3]: Invalid value: "::ffff:10.1.0.0/112": must be a strict subset of \`cidr\``,
      ],
    },
    {
      field: `${field}.${peers}.ipBlock.cidr`,
      rule: 'others stay',
      from: block('10.0.0.1/8'),
      passes: block('10.0.0.1/8', ['10.1.0.0/16']),
      fails: block('10.0.0.2/8'),
      message: `${peer}.ipBlock.cidr: ${invalid('10.0.0.2/8', says.hostBits)}`,
    },
    ...selectorRows(`${peer}.podSelector`),
    ...selectorRows(`${peer}.namespaceSelector`),
  ];
}

export const networkPolicy: RuleTable = {
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  base: { spec: { podSelector: {} } },
  rows: [
    ...selectorRows('spec.podSelector'),
    ...directionRows('ingress', 'from'),
    ...directionRows('egress', 'to'),
    {
      field: 'spec.policyTypes',
      rule: 'one of two',
      passes: { 'spec.policyTypes': ['Egress'] },
      fails: { 'spec.policyTypes': ['X'] },
      message: 'spec.policyTypes[0]: Unsupported value: "X": supported values: "Ingress", "Egress"',
    },
    {
      field: 'spec.policyTypes',
      rule: 'at most two',
      fails: { 'spec.policyTypes': ['Ingress', 'Egress', 'Ingress'] },
      message:
        'spec.policyTypes: Invalid value: ["Ingress","Egress","Ingress"]: may not specify more than two policyTypes',
    },
  ],
};
