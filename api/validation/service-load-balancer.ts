import {
  forbiddenField,
  invalidField,
  notSupportedField,
  requiredField,
  type FieldError,
} from '#api/errors/field-error.ts';
import { at, equalJson, listOf, numberOf, objectOf, objectsOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { needsHealthCheckPort } from '#api/service/allocation.ts';
import { familyOfIp, parseCidr } from '#base/ip.ts';
import { formatErrors, isPortNumber, portNumberText, qualifiedName } from './format.ts';

const onlyBalanced = "may only be used when `type` is 'LoadBalancer'";
const cidrText = 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)';
const ipText = 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)';

/** What load balancers of clouds read source ranges from when the field is empty. kube-proxy does not. */
const rangesAnnotation = 'service.beta.kubernetes.io/load-balancer-source-ranges';

/** Complaints about what a Service says of its load balancer. */
export function loadBalancerErrors(service: JsonObject): readonly FieldError[] {
  const spec = objectOf(service['spec']);
  return [...sourceRangeErrors(service, spec), ...healthCheckErrors(spec), ...onlyBalancedErrors(spec)];
}

/** Complaints about a change of what stays as it is while the Service has a load balancer. */
export function loadBalancerUpdateErrors(before: JsonObject, after: JsonObject): readonly FieldError[] {
  const errors: FieldError[] = [];
  const hasChanged = (field: string): boolean => !equalJson(before[field], after[field]);
  if (needsHealthCheckPort(before) && needsHealthCheckPort(after) && hasChanged('healthCheckNodePort')) {
    errors.push(forbiddenField('spec.healthCheckNodePort', 'field is immutable'));
  }
  const wereBoth = before['type'] === 'LoadBalancer' && after['type'] === 'LoadBalancer';
  if (wereBoth && hasChanged('loadBalancerClass')) {
    errors.push(
      invalidField('spec.loadBalancerClass', after['loadBalancerClass'] ?? null, 'may not change once set'),
    );
  }
  return errors;
}

/** Complaints about the addresses that a load balancer is said to have: node proxies make rules of them. */
export function validateServiceStatus(service: JsonObject): readonly FieldError[] {
  const ingress = objectsOf(at(service, 'status.loadBalancer.ingress'));
  const field = 'status.loadBalancer.ingress';
  if (ingress.length > 0 && at(service, 'spec.type') !== 'LoadBalancer') {
    return [forbiddenField(field, 'may only be used when `spec.type` is "LoadBalancer"')];
  }
  return ingress.flatMap(({ ip, ipMode }, index) => {
    const here = `${field}[${index}]`;
    if (stringOf(ip) === '') {
      return ipMode === undefined
        ? []
        : [forbiddenField(`${here}.ipMode`, 'may not be specified when `ip` is not set')];
    }
    const modes = ['Proxy', 'VIP'];
    return [
      ...(familyOfIp(stringOf(ip)) !== undefined ? [] : [invalidField(`${here}.ip`, ip, ipText)]),
      ...(ipMode === undefined
        ? [requiredField(`${here}.ipMode`, 'must be specified when `ip` is set')]
        : []),
      ...(ipMode === undefined || modes.includes(stringOf(ipMode))
        ? []
        : [notSupportedField(`${here}.ipMode`, ipMode, modes)]),
    ];
  });
}

/** The field's name is written as kube-apiserver writes it. Blanks around a range are forgiven, as there. */
function sourceRangeErrors(service: JsonObject, spec: JsonObject): readonly FieldError[] {
  const isBalanced = spec['type'] === 'LoadBalancer';
  const ranges = listOf(spec['loadBalancerSourceRanges']);
  const rangeErrors = (field: string, range: unknown): readonly FieldError[] =>
    parseCidr(stringOf(range).trim()) === undefined ? [invalidField(field, range, cidrText)] : [];
  if (ranges.length > 0) {
    const field = 'spec.LoadBalancerSourceRanges';
    return [
      ...(isBalanced ? [] : [forbiddenField(field, onlyBalanced)]),
      ...ranges.flatMap((range, index) => rangeErrors(`${field}[${index}]`, range)),
    ];
  }
  const annotation = at(service, ['metadata', 'annotations', rangesAnnotation]);
  if (annotation === undefined) return [];
  const field = `metadata.annotations[${rangesAnnotation}]`;
  const text = stringOf(annotation).trim();
  return [
    ...(isBalanced ? [] : [forbiddenField(field, onlyBalanced)]),
    ...(text === '' ? [] : text.split(',').flatMap((range) => rangeErrors(field, range))),
  ];
}

function healthCheckErrors(spec: JsonObject): readonly FieldError[] {
  const field = 'spec.healthCheckNodePort';
  const port = numberOf(spec['healthCheckNodePort']);
  if (port === 0) return [];
  if (!needsHealthCheckPort(spec)) {
    const detail = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
    return [invalidField(field, port, detail)];
  }
  return isPortNumber(port) ? [] : [invalidField(field, port, portNumberText)];
}

function onlyBalancedErrors(spec: JsonObject): readonly FieldError[] {
  if (spec['type'] === 'LoadBalancer') {
    const loadBalancerClass = spec['loadBalancerClass'];
    return loadBalancerClass === undefined
      ? []
      : formatErrors('spec.loadBalancerClass', stringOf(loadBalancerClass), qualifiedName);
  }
  return ['loadBalancerClass', 'allocateLoadBalancerNodePorts'].flatMap((field) =>
    spec[field] === undefined ? [] : [forbiddenField(`spec.${field}`, onlyBalanced)],
  );
}
