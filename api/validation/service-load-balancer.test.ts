import { describe, expect, it } from 'vitest';
import { renderFieldError, type FieldError } from '#api/errors/field-error.ts';
import type { JsonObject } from '#api/meta/object.ts';
import {
  healthCheckErrors,
  loadBalancerUpdateErrors,
  onlyBalancedErrors,
  sourceRangeErrors,
  validateServiceStatus,
} from './service-load-balancer.ts';

const balanced = { type: 'LoadBalancer', allocateLoadBalancerNodePorts: true };
const local = { ...balanced, externalTrafficPolicy: 'Local', healthCheckNodePort: 30_999 };
const annotation = 'service.beta.kubernetes.io/load-balancer-source-ranges';
const cidr = 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)';
const text = (errors: readonly FieldError[]): readonly string[] =>
  errors.map((error) => `${error.field}: ${renderFieldError(error)}`);

const loadBalancerErrors = (service: JsonObject): readonly FieldError[] => {
  const spec = Object(service['spec']);
  return [...sourceRangeErrors(service, spec), ...onlyBalancedErrors(spec), ...healthCheckErrors(spec)];
};

describe('what is said of a load balancer', () => {
  it.each<[string, JsonObject, readonly string[]]>([
    ['nothing', { spec: { type: 'ClusterIP' } }, []],
    ['ranges', { spec: { ...balanced, loadBalancerSourceRanges: ['10.0.0.0/8', ' fd00::/8 '] } }, []],
    [
      'a range that is none',
      { spec: { ...balanced, loadBalancerSourceRanges: ['10.0.0.0/8', '10.0.0.1'] } },
      [`spec.LoadBalancerSourceRanges[1]: Invalid value: "10.0.0.1": ${cidr}`],
    ],
    [
      'ranges of a Service without load balancer',
      { spec: { type: 'NodePort', loadBalancerSourceRanges: ['10.0.0.0/8'] } },
      ["spec.LoadBalancerSourceRanges: Forbidden: may only be used when `type` is 'LoadBalancer'"],
    ],
    [
      'ranges by annotation',
      { metadata: { annotations: { [annotation]: '10.0.0.0/8, 192.0.2.0/24' } }, spec: balanced },
      [],
    ],
    [
      'a range by annotation that is none',
      { metadata: { annotations: { [annotation]: '10.0.0.0/8,x' } }, spec: balanced },
      [`metadata.annotations[${annotation}]: Invalid value: "x": ${cidr}`],
    ],
    [
      'the annotation does not count beside the field',
      {
        metadata: { annotations: { [annotation]: 'x' } },
        spec: { ...balanced, loadBalancerSourceRanges: ['10.0.0.0/8'] },
      },
      [],
    ],
    [
      'the annotation of a Service without load balancer',
      { metadata: { annotations: { [annotation]: '' } }, spec: { type: 'ClusterIP' } },
      [`metadata.annotations[${annotation}]: Forbidden: may only be used when \`type\` is 'LoadBalancer'`],
    ],
    ['a health check port', { spec: local }, []],
    [
      'a health check port without need',
      { spec: { ...local, externalTrafficPolicy: 'Cluster' } },
      [
        "spec.healthCheckNodePort: Invalid value: 30999: may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
      ],
    ],
    [
      'a health check port out of range',
      { spec: { ...local, healthCheckNodePort: 70_000 } },
      ['spec.healthCheckNodePort: Invalid value: 70000: must be between 1 and 65535, inclusive'],
    ],
    ['a class', { spec: { ...balanced, loadBalancerClass: 'example.com/internal' } }, []],
    [
      'class and node ports of a Service without load balancer',
      { spec: { type: 'ClusterIP', loadBalancerClass: 'x', allocateLoadBalancerNodePorts: false } },
      ['allocateLoadBalancerNodePorts', 'loadBalancerClass'].map(
        (field) => `spec.${field}: Forbidden: may only be used when \`type\` is 'LoadBalancer'`,
      ),
    ],
  ])('%s', (_name, service, want) => expect(text(loadBalancerErrors(service))).toEqual(want));
});

describe('loadBalancerUpdateErrors()', () => {
  it('keeps class and health check port', () => {
    const changed = { ...local, healthCheckNodePort: 30_998, loadBalancerClass: 'x' };
    expect(text(loadBalancerUpdateErrors(local, local))).toEqual([]);
    expect(text(loadBalancerUpdateErrors(local, changed))).toEqual([
      'spec.healthCheckNodePort: Forbidden: field is immutable',
      'spec.loadBalancerClass: Invalid value: "x": may not change once set',
    ]);
    expect(text(loadBalancerUpdateErrors({ type: 'NodePort' }, changed))).toEqual([]);
  });
});

describe('validateServiceStatus()', () => {
  const field = 'status.loadBalancer.ingress';
  it.each<[string, string, JsonObject, readonly string[]]>([
    ['an address', 'LoadBalancer', { ip: '203.0.113.5', ipMode: 'Proxy' }, []],
    ['a name', 'LoadBalancer', { hostname: 'lb.example' }, []],
    [
      'an address as a name',
      'LoadBalancer',
      { hostname: '203.0.113.5' },
      [`${field}[0].hostname: Invalid value: "203.0.113.5": must be a DNS name, not an IP address`],
    ],
    [
      'no address',
      'LoadBalancer',
      { ip: '203.0.113', ipMode: 'VIP' },
      [
        `${field}[0].ip: Invalid value: "203.0.113": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)`,
      ],
    ],
    [
      'a mode alone',
      'LoadBalancer',
      { ipMode: 'VIP' },
      [`${field}[0].ipMode: Forbidden: may not be specified when \`ip\` is not set`],
    ],
    [
      'no mode',
      'LoadBalancer',
      { ip: '203.0.113.5' },
      [`${field}[0].ipMode: Required value: must be specified when \`ip\` is set`],
    ],
    [
      'an unknown mode',
      'LoadBalancer',
      { ip: '203.0.113.5', ipMode: 'X' },
      [`${field}[0].ipMode: Unsupported value: "X": supported values: "Proxy", "VIP"`],
    ],
    [
      'another type of Service',
      'ClusterIP',
      { ip: '203.0.113.5', ipMode: 'VIP' },
      [`${field}: Forbidden: may only be used when \`spec.type\` is "LoadBalancer"`],
    ],
  ])('%s', (_name, type, ingress, want) => {
    const service = { spec: { type }, status: { loadBalancer: { ingress: [ingress] } } };
    expect(text(validateServiceStatus(service))).toEqual(want);
  });
});
