import { forbiddenField, invalidField, requiredField, type FieldError } from '#api/errors/field-error.ts';
import { at, equalJson, listOf, numberOf, objectsOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { needsHealthCheckPort } from '#api/service/allocation.ts';
import { givenChoiceErrors } from './field.ts';
import { formatErrors, isPortNumber, portNumberText, qualifiedName } from './format.ts';
import { balancerHostErrors, balancerIpErrors } from './parts/balancer-host.ts';
import { looseCidrErrors } from './parts/cidr.ts';

const onlyBalanced = "may only be used when `type` is 'LoadBalancer'";

/** What load balancers of clouds read source ranges from when the field is empty. kube-proxy does not. */
const rangesAnnotation = 'service.beta.kubernetes.io/load-balancer-source-ranges';

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
  return ingress.flatMap(({ ip, ipMode, hostname }, index) => {
    const here = `${field}[${index}]`;
    return [
      ...balancerIpErrors(`${here}.ip`, ip),
      ...ipModeErrors(`${here}.ipMode`, { ip, ipMode }),
      ...balancerHostErrors(`${here}.hostname`, hostname),
    ];
  });
}

function ipModeErrors(field: string, { ip, ipMode }: JsonObject): readonly FieldError[] {
  const isGiven = stringOf(ip) !== '';
  if (ipMode === undefined)
    return isGiven ? [requiredField(field, 'must be specified when `ip` is set')] : [];
  return isGiven
    ? givenChoiceErrors(field, ipMode, ['Proxy', 'VIP'])
    : [forbiddenField(field, 'may not be specified when `ip` is not set')];
}

/** The field's name is written as kube-apiserver writes it. Blanks around a range are forgiven, as there. */
export function sourceRangeErrors(service: JsonObject, spec: JsonObject): readonly FieldError[] {
  const isBalanced = spec['type'] === 'LoadBalancer';
  const ranges = listOf(spec['loadBalancerSourceRanges']);
  const rangeErrors = (field: string, range: unknown): readonly FieldError[] =>
    looseCidrErrors(field, stringOf(range).trim());
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

export function healthCheckErrors(spec: JsonObject): readonly FieldError[] {
  const field = 'spec.healthCheckNodePort';
  const port = numberOf(spec['healthCheckNodePort']);
  if (port === 0) return [];
  if (!needsHealthCheckPort(spec)) {
    const detail = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
    return [invalidField(field, port, detail)];
  }
  return isPortNumber(port) ? [] : [invalidField(field, port, portNumberText)];
}

export function onlyBalancedErrors(spec: JsonObject): readonly FieldError[] {
  if (spec['type'] === 'LoadBalancer') {
    const loadBalancerClass = spec['loadBalancerClass'];
    return loadBalancerClass === undefined
      ? []
      : formatErrors('spec.loadBalancerClass', stringOf(loadBalancerClass), qualifiedName);
  }
  return ['allocateLoadBalancerNodePorts', 'loadBalancerClass'].flatMap((field) =>
    spec[field] === undefined ? [] : [forbiddenField(`spec.${field}`, onlyBalanced)],
  );
}
