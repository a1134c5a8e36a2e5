import type { RuleRow, RuleTable } from '#api/validation/rules/rule-table.fixture.ts';

const backend = { service: { name: 's', port: { number: 80 } } };
const resource = { resource: { apiGroup: 'a.b', kind: 'K', name: 'n' } };
const path = 'spec.rules[0].http.paths[0]';

function backendRows(place: string): readonly RuleRow[] {
  const field = place.replaceAll(/\[\d+\]/g, '');
  return [
    {
      field,
      rule: 'a Service or a resource',
      passes: { [place]: resource },
      fails: { [place]: {} },
      message: `${place}: Invalid value: "": resource or service backend is required`,
    },
    {
      field,
      rule: 'not both',
      fails: { [place]: { ...backend, ...resource } },
      message: `${place}: Invalid value: "": cannot set both resource and service backends`,
    },
    {
      field: `${field}.service.name`,
      rule: 'a DNS label',
      passes: { [`${place}.service.name`]: 'a-b', [`${place}.service.port`]: { name: 'http' } },
      fails: { [`${place}.service`]: { name: 'A', port: { number: 80 } } },
      message: `${place}.service.name: Invalid value: "A": a…`,
    },
    {
      field: `${field}.service.port.name`,
      rule: 'the name of a port, or its number',
      passes: { [`${place}.service`]: { name: 's', port: { name: 'http' } } },
      fails: { [`${place}.service`]: { name: 's', port: { name: 'http', number: 80 } } },
      message: `${place}: Invalid value: "": cannot set both port name & port number`,
    },
    {
      field: `${field}.service.port.number`,
      rule: 'a port',
      fails: { [`${place}.service`]: { name: 's', port: { number: 65_536 } } },
      message: `${place}.service.port.number: Invalid value: 65536: must be between 1 and 65535, inclusive`,
    },
    {
      field: `${field}.service.port.number`,
      rule: 'there, if there is no name',
      fails: { [`${place}.service`]: { name: 's', port: {} } },
      message: `${place}: Required value: port name or number is required`,
    },
    ...['kind', 'name'].map((name) => ({
      field: `${field}.resource.${name}`,
      rule: 'there',
      passes: { [place]: resource },
      fails: { [place]: { resource: { ...resource.resource, [name]: '' } } },
      message: `${place}.resource.${name}: Required value: ${name} is required`,
    })),
    {
      field: `${field}.resource.apiGroup`,
      rule: 'a DNS subdomain',
      fails: { [place]: { resource: { ...resource.resource, apiGroup: 'a_b' } } },
      message: `${place}.resource.apiGroup: Invalid value: "a_b": a lowercase RFC 1123 subdomain must consist…`,
    },
  ];
}

export const ingress: RuleTable = {
  apiVersion: 'networking.k8s.io/v1',
  kind: 'Ingress',
  base: {
    spec: {
      defaultBackend: backend,
      rules: [{ http: { paths: [{ path: '/', pathType: 'Prefix', backend }] } }],
    },
  },
  rows: [
    {
      field: 'spec.ingressClassName',
      rule: 'what the annotation says, where there is one',
      passes: {
        'spec.ingressClassName': 'c',
        'metadata.annotations': { 'kubernetes.io/ingress.class': 'c' },
      },
      fails: { 'spec.ingressClassName': 'c', 'metadata.annotations': { 'kubernetes.io/ingress.class': 'd' } },
      message:
        'annotations.kubernetes.io/ingress.class: Invalid value: "d": must match `ingressClassName` when both are specified',
    },
    {
      field: 'spec.rules',
      rule: 'some, or a default backend',
      passes: { 'spec.rules': undefined },
      fails: { spec: {} },
      message: 'spec: Invalid value: []: either `defaultBackend` or `rules` must be specified',
    },
    ...backendRows('spec.defaultBackend'),
    ...backendRows(`${path}.backend`),
    {
      field: 'spec.rules.host',
      rule: 'a name',
      passes: { 'spec.rules[0].host': 'a.example.com' },
      fails: { 'spec.rules[0].host': 'a_b' },
      message: 'spec.rules[0].host: Invalid value: "a_b": a lowercase RFC 1123 subdomain must consist…',
    },
    {
      field: 'spec.rules.host',
      rule: 'no address',
      fails: { 'spec.rules[0].host': '192.0.2.1' },
      message: 'spec.rules[0].host: Invalid value: "192.0.2.1": must be a DNS name, not an IP address',
    },
    {
      field: 'spec.rules.host',
      rule: 'one label may be any',
      passes: { 'spec.rules[0].host': '*.example.com' },
      fails: { 'spec.rules[0].host': 'a.*.com' },
      message:
        'spec.rules[0].host: Invalid value: "a.*.com": a wildcard DNS-1123 subdomain must start with \'*.\'…',
    },
    {
      field: 'spec.rules.http.paths',
      rule: 'some',
      fails: { 'spec.rules[0].http.paths': [] },
      message: 'spec.rules[0].http.paths: Required value',
    },
    {
      field: 'spec.rules.http.paths.path',
      rule: 'absolute',
      passes: { [`${path}.path`]: '', [`${path}.pathType`]: 'ImplementationSpecific' },
      fails: { [`${path}.path`]: 'x' },
      message: `${path}.path: Invalid value: "x": must be an absolute path`,
    },
    {
      field: 'spec.rules.http.paths.path',
      rule: 'of plain segments',
      passes: { [`${path}.path`]: '/a//b/..', [`${path}.pathType`]: 'ImplementationSpecific' },
      fails: { [`${path}.path`]: '/a//b/..' },
      message: [
        `${path}.path: Invalid value: "/a//b/..": must not contain '//'`,
        `${path}.path: Invalid value: "/a//b/..": cannot end with '/..'`,
      ],
    },
    {
      field: 'spec.rules.http.paths.pathType',
      rule: 'one of three',
      passes: { [`${path}.pathType`]: 'Exact' },
      fails: { [`${path}.pathType`]: 'X' },
      message: `${path}.pathType: Unsupported value: "X": supported values: "Exact", "ImplementationSpecific", "Prefix"`,
    },
    {
      field: 'spec.rules.http.paths.pathType',
      rule: 'there',
      fails: { [`${path}.pathType`]: undefined },
      message: `${path}.pathType: Required value: pathType must be specified`,
    },
    {
      field: 'spec.tls.hosts',
      rule: 'names',
      passes: { 'spec.tls': [{ hosts: ['*.a.b'] }] },
      fails: { 'spec.tls': [{ hosts: ['*'] }] },
      message:
        'spec.tls[0].hosts[0]: Invalid value: "*": a wildcard DNS-1123 subdomain must start with \'*.\'…',
    },
    {
      field: 'spec.tls.secretName',
      rule: 'the name of a Secret',
      passes: { 'spec.tls': [{ secretName: 'a.b' }] },
      fails: { 'spec.tls': [{ secretName: 'A' }] },
      message: 'spec.tls[0].secretName: Invalid value: "A": a lowercase RFC 1123 subdomain must consist…',
    },
    {
      field: 'spec.ingressClassName',
      rule: 'the name of a class',
      passes: { 'spec.ingressClassName': 'a.b' },
      fails: { 'spec.ingressClassName': 'A' },
      message: 'spec.ingressClassName: Invalid value: "A": a lowercase RFC 1123 subdomain must consist…',
    },
    {
      field: 'spec.rules.http.paths.backend',
      rule: 'not looked at without a pathType',
      fails: { 'spec.rules[0].http.paths': [{ path: '/', backend: {} }] },
      message: 'spec.rules[0].http.paths[0].pathType: Required value: pathType must be specified',
    },
    ...['ip', 'hostname'].map((name) => ({
      field: `status.loadBalancer.ingress.${name}`,
      rule: 'one',
      subresource: 'status',
      from: {},
      passes: { 'status.loadBalancer.ingress': [{ [name]: name === 'ip' ? '192.0.2.1' : 'a.b' }] },
      fails: { 'status.loadBalancer.ingress': [{ [name]: '192.0.2.A' }] },
      message: `status.loadBalancer.ingress[0].${name}: Invalid value: "192.0.2.A": ${name === 'ip' ? 'must be a valid IP address…' : 'a lowercase RFC 1123 subdomain…'}`,
    })),
  ],
};
