import { invalid, says, strictCidrRows, strictIpRows } from '#api/validation/rules/row.fixture.ts';
import type { RuleTable } from '#api/validation/rules/rule-table.fixture.ts';

const balanced = { 'spec.type': 'LoadBalancer' };
const onlyBalanced = "Forbidden: may only be used when `type` is 'LoadBalancer'";
const topologyMode = 'service.kubernetes.io/topology-mode';
const topologyHints = 'service.kubernetes.io/topology-aware-hints';

export const service: RuleTable = {
  apiVersion: 'v1',
  kind: 'Service',
  base: { spec: { selector: { a: 'b' }, ports: [{ port: 80 }] } },
  rows: [
    {
      field: 'metadata.name',
      rule: 'a DNS label',
      fails: { 'metadata.name': 'a.b' },
      message: 'metadata.name: Invalid value: "a.b": a lowercase RFC 1123 label must consist…',
    },
    {
      field: 'metadata.annotations',
      rule: 'one topology',
      passes: { 'metadata.annotations': { [topologyMode]: 'Auto', [topologyHints]: 'Auto' } },
      fails: { 'metadata.annotations': { [topologyMode]: 'Auto', [topologyHints]: 'auto' } },
      message: `metadata.annotations[${topologyMode}]: Invalid value: "Auto": must match annotations[${topologyHints}] when both are specified`,
    },
    {
      field: 'spec.ports',
      rule: 'some, but of headless Services',
      passes: { 'spec.ports': [], 'spec.clusterIP': 'None' },
      fails: { 'spec.ports': [] },
      message: 'spec.ports: Required value',
    },
    {
      field: 'spec.ports',
      rule: 'each once by protocol',
      passes: {
        'spec.ports': [
          { name: 'a', port: 80 },
          { name: 'b', port: 80, protocol: 'UDP' },
        ],
      },
      fails: {
        'spec.ports': [
          { name: 'a', port: 80 },
          { name: 'b', port: 80 },
        ],
      },
      message:
        'spec.ports[1]: Duplicate value: {"Name":"","Protocol":"TCP","AppProtocol":null,"Port":80,"TargetPort":0,"NodePort":0}',
    },
    {
      field: 'spec.ports.name',
      rule: 'a DNS label',
      passes: { 'spec.ports[0].name': 'http' },
      fails: { 'spec.ports[0].name': 'HTTP' },
      message: 'spec.ports[0].name: Invalid value: "HTTP": a lowercase RFC 1123 label must consist…',
    },
    {
      field: 'spec.ports.name',
      rule: 'there, and once, where there are several ports',
      passes: {
        'spec.ports': [
          { name: 'a', port: 80 },
          { name: 'b', port: 81 },
        ],
      },
      fails: { 'spec.ports': [{ name: 'a', port: 80 }, { name: 'a', port: 81 }, { port: 82 }] },
      message: ['spec.ports[1].name: Duplicate value: "a"', 'spec.ports[2].name: Required value'],
    },
    {
      field: 'spec.ports.port',
      rule: 'a port',
      passes: { 'spec.ports[0].port': 65_535 },
      fails: { 'spec.ports[0].port': 65_536 },
      message: [
        'spec.ports[0].port: Invalid value: 65536: must be between 1 and 65535, inclusive',
        'spec.ports[0].targetPort: Invalid value: 65536: must be between 1 and 65535, inclusive',
      ],
    },
    {
      field: 'spec.ports.targetPort',
      rule: 'a port or the name of one',
      passes: { 'spec.ports[0].targetPort': 'http-alt' },
      fails: { 'spec.ports[0].targetPort': 'ht tp' },
      message:
        'spec.ports[0].targetPort: Invalid value: "ht tp": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (\'-\')',
    },
    {
      field: 'spec.ports.protocol',
      rule: 'one of three',
      passes: { 'spec.ports[0].protocol': 'SCTP' },
      fails: { 'spec.ports[0].protocol': 'ICMP' },
      message: 'spec.ports[0].protocol: Unsupported value: "ICMP": supported values: "SCTP", "TCP", "UDP"',
    },
    {
      field: 'spec.ports.appProtocol',
      rule: 'a qualified name',
      passes: { 'spec.ports[0].appProtocol': 'kubernetes.io/h2c' },
      fails: { 'spec.ports[0].appProtocol': 'h 2' },
      message: 'spec.ports[0].appProtocol: Invalid value: "h 2": name part must consist of…',
    },
    {
      field: 'spec.ports.nodePort',
      rule: 'of Services that have one',
      passes: { 'spec.ports[0].nodePort': 30_000, 'spec.type': 'NodePort' },
      fails: { 'spec.ports[0].nodePort': 30_000 },
      message: "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
    },
    {
      field: 'spec.ports.nodePort',
      rule: 'each once by protocol',
      fails: {
        'spec.type': 'NodePort',
        'spec.ports': [
          { name: 'a', port: 80, nodePort: 30_000 },
          { name: 'b', port: 81, nodePort: 30_000 },
        ],
      },
      message: 'spec.ports[1].nodePort: Duplicate value: 30000',
    },
    {
      field: 'spec.type',
      rule: 'one of four',
      passes: balanced,
      fails: { 'spec.type': 'X' },
      message:
        'spec.type: Unsupported value: "X": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"',
    },
    {
      field: 'spec.selector',
      rule: 'labels',
      fails: { 'spec.selector': { a: 'b c' } },
      message: 'spec.selector: Invalid value: "b c": a valid label must be an empty string…',
    },
    {
      field: 'spec.clusterIP',
      rule: 'not None where a node port needs one',
      passes: { 'spec.clusterIP': 'None' },
      fails: { 'spec.clusterIP': 'None', 'spec.type': 'NodePort' },
      message: 'spec.clusterIPs[0]: Invalid value: "None": may not be set to \'None\' for NodePort services',
    },
    {
      field: 'spec.clusterIPs',
      rule: 'addresses',
      fails: { 'spec.clusterIP': '10.96.0.300', 'spec.clusterIPs': ['10.96.0.300'] },
      message:
        'spec.clusterIPs[0]: Invalid value: "10.96.0.300": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
    },
    {
      field: 'spec.clusterIPs',
      rule: 'that all read alike',
      fails: { 'spec.clusterIP': '10.96.0.07', 'spec.clusterIPs': ['10.96.0.07'] },
      message: `spec.clusterIPs[0]: ${invalid('10.96.0.07', says.leadingZeros)}`,
    },
    {
      field: 'spec.clusterIPs',
      rule: 'stay',
      from: {},
      passes: { 'spec.ports[0].port': 81 },
      fails: { 'spec.clusterIP': '10.96.0.77', 'spec.clusterIPs': ['10.96.0.77'] },
      message: 'spec.clusterIPs[0]: Invalid value: ["10.96.0.77"]: may not change once set',
    },
    {
      field: 'spec.externalIPs',
      rule: 'addresses of other machines',
      passes: { 'spec.externalIPs': ['192.0.2.1'] },
      fails: { 'spec.externalIPs': ['127.0.0.1'] },
      message:
        'spec.externalIPs[0]: Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8, ::1/128)',
    },
    ...strictIpRows('spec.externalIPs', 'spec.externalIPs[0]', (ip) => [ip]),
    {
      field: 'spec.externalIPs',
      rule: 'others stay, wherever they were',
      from: { 'spec.externalIPs': ['::ffff:192.0.2.1', '192.0.02.1'] },
      passes: { 'spec.externalIPs': ['192.0.2.3', '192.0.02.1', '::ffff:192.0.2.1'] },
      fails: { 'spec.externalIPs': ['192.0.02.1', '192.0.02.2'] },
      message: `spec.externalIPs[1]: ${invalid('192.0.02.2', says.leadingZeros)}`,
    },
    {
      field: 'spec.externalName',
      rule: 'a domain, of ExternalName',
      passes: { 'spec.type': 'ExternalName', 'spec.externalName': 'a.b.' },
      fails: { 'spec.type': 'ExternalName' },
      message: 'spec.externalName: Required value',
    },
    {
      field: 'spec.sessionAffinity',
      rule: 'one of two',
      passes: { 'spec.sessionAffinity': 'ClientIP' },
      fails: { 'spec.sessionAffinity': 'X' },
      message: 'spec.sessionAffinity: Unsupported value: "X": supported values: "ClientIP", "None"',
    },
    {
      field: 'spec.sessionAffinityConfig.clientIP.timeoutSeconds',
      rule: 'up to a day',
      passes: {
        'spec.sessionAffinity': 'ClientIP',
        'spec.sessionAffinityConfig.clientIP.timeoutSeconds': 86_400,
      },
      fails: {
        'spec.sessionAffinity': 'ClientIP',
        'spec.sessionAffinityConfig.clientIP.timeoutSeconds': 86_401,
      },
      message:
        'spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 86401: must be greater than 0 and less than or equal to 86400',
    },
    {
      field: 'spec.externalTrafficPolicy',
      rule: 'one of two',
      passes: { ...balanced, 'spec.externalTrafficPolicy': 'Local' },
      fails: { ...balanced, 'spec.externalTrafficPolicy': 'X' },
      message: 'spec.externalTrafficPolicy: Unsupported value: "X": supported values: "Cluster", "Local"',
    },
    {
      field: 'spec.externalTrafficPolicy',
      rule: 'of Services that are reached from outside',
      fails: { 'spec.externalTrafficPolicy': 'Local' },
      message:
        'spec.externalTrafficPolicy: Invalid value: "Local": may only be set for externally-accessible services',
    },
    {
      field: 'spec.internalTrafficPolicy',
      rule: 'one of two',
      passes: { 'spec.internalTrafficPolicy': 'Local' },
      fails: { 'spec.internalTrafficPolicy': 'X' },
      message: 'spec.internalTrafficPolicy: Unsupported value: "X": supported values: "Cluster", "Local"',
    },
    {
      field: 'spec.trafficDistribution',
      rule: 'one of three',
      passes: { 'spec.trafficDistribution': 'PreferSameNode' },
      fails: { 'spec.trafficDistribution': 'Near' },
      message:
        'spec.trafficDistribution: Unsupported value: "Near": supported values: "PreferClose", "PreferSameNode", "PreferSameZone"',
    },
    {
      field: 'spec.ipFamilyPolicy',
      rule: 'one of three',
      passes: { 'spec.ipFamilyPolicy': 'PreferDualStack' },
      fails: { 'spec.ipFamilyPolicy': 'X' },
      message:
        'spec.ipFamilyPolicy: Unsupported value: "X": supported values: "PreferDualStack", "RequireDualStack", "SingleStack"',
    },
    {
      field: 'spec.healthCheckNodePort',
      rule: 'of load balancers whose traffic stays on the node',
      passes: { ...balanced, 'spec.externalTrafficPolicy': 'Local', 'spec.healthCheckNodePort': 30_000 },
      fails: { 'spec.healthCheckNodePort': 30_000 },
      message:
        "spec.healthCheckNodePort: Invalid value: 30000: may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
    },
    {
      field: 'spec.loadBalancerClass',
      rule: 'of load balancers',
      passes: { ...balanced, 'spec.loadBalancerClass': 'a.b/c' },
      fails: { 'spec.loadBalancerClass': 'a.b/c' },
      message: `spec.loadBalancerClass: ${onlyBalanced}`,
    },
    {
      field: 'spec.loadBalancerClass',
      rule: 'stays while there is a load balancer',
      from: { ...balanced, 'spec.loadBalancerClass': 'a.b/c' },
      fails: { 'spec.loadBalancerClass': 'a.b/d' },
      message: 'spec.loadBalancerClass: Invalid value: "a.b/d": may not change once set',
    },
    {
      field: 'spec.allocateLoadBalancerNodePorts',
      rule: 'of load balancers',
      passes: { ...balanced, 'spec.allocateLoadBalancerNodePorts': false },
      fails: { 'spec.allocateLoadBalancerNodePorts': false },
      message: `spec.allocateLoadBalancerNodePorts: ${onlyBalanced}`,
    },
    {
      field: 'spec.loadBalancerSourceRanges',
      rule: 'ranges',
      passes: { ...balanced, 'spec.loadBalancerSourceRanges': ['10.0.0.0/8'] },
      fails: { ...balanced, 'spec.loadBalancerSourceRanges': ['10.0.0.0'] },
      message:
        'spec.LoadBalancerSourceRanges[0]: Invalid value: "10.0.0.0": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)',
    },
    ...strictCidrRows(
      'spec.loadBalancerSourceRanges',
      'spec.LoadBalancerSourceRanges[0]',
      (cidr) => [cidr],
      balanced,
    ),
    {
      field: 'spec.loadBalancerSourceRanges',
      rule: 'others stay',
      from: { ...balanced, 'spec.loadBalancerSourceRanges': ['10.0.0.1/8 '] },
      passes: { 'spec.loadBalancerSourceRanges': ['11.0.0.0/8', ' 10.0.0.1/8'] },
      fails: { 'spec.loadBalancerSourceRanges': ['10.0.0.1/8', '10.0.0.1/9'] },
      message: `spec.LoadBalancerSourceRanges[1]: ${invalid('10.0.0.1/9', says.hostBits)}`,
    },
    {
      field: 'status.loadBalancer.ingress',
      rule: 'addresses that all read alike, but those that were there',
      subresource: 'status',
      from: { ...balanced, 'status.loadBalancer.ingress': [{ ip: '192.0.02.1', ipMode: 'VIP' }] },
      passes: { 'status.loadBalancer.ingress': [{ ip: '192.0.02.1', ipMode: 'Proxy' }] },
      fails: { 'status.loadBalancer.ingress': [{ ip: '192.0.02.2', ipMode: 'VIP' }] },
      message: `status.loadBalancer.ingress[0].ip: ${invalid('192.0.02.2', says.leadingZeros)}`,
    },
    {
      field: 'status.loadBalancer.ingress',
      rule: 'addresses, of load balancers',
      subresource: 'status',
      from: balanced,
      passes: { 'status.loadBalancer.ingress': [{ ip: '192.0.2.1', ipMode: 'VIP' }] },
      fails: { 'status.loadBalancer.ingress': [{ ip: 'x', ipMode: 'VIP' }] },
      message:
        'status.loadBalancer.ingress[0].ip: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
    },
  ],
  none: {
    'checked where addresses are given (control-plane/apiserver)': ['spec.ipFamilies'],
    'for load balancers of clouds, in their own words': ['spec.loadBalancerIP'],
  },
};
