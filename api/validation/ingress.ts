import { invalidField, notSupportedField, requiredField, type FieldError } from '#api/errors/field-error.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { at, isObject, listOf, objectOf, objectsOf, stringOf } from '#api/wire/json.ts';
import { parseLegacyIp } from '#base/ip.ts';
import {
  dnsLabel,
  dnsSubdomain,
  formatErrors,
  isPortNumber,
  portName,
  portNumberText,
  wildcardSubdomain,
} from './format.ts';
import { typedReferenceErrors } from './ingress-class.ts';
import { balancerHostErrors, balancerIpErrors } from './parts/balancer-host.ts';

/** Complaints about an Ingress. */
export function validateIngress(ingress: JsonObject): readonly FieldError[] {
  const spec = objectOf(ingress['spec']);
  const rules = objectsOf(spec['rules']);
  const { defaultBackend, ingressClassName } = spec;
  return [
    ...(rules.length === 0 && defaultBackend === undefined
      ? [invalidField('spec', [], 'either `defaultBackend` or `rules` must be specified')]
      : []),
    ...(defaultBackend === undefined ? [] : backendErrors(objectOf(defaultBackend), 'spec.defaultBackend')),
    ...rules.flatMap((rule, index) => ruleErrors(rule, `spec.rules[${index}]`)),
    ...objectsOf(spec['tls']).flatMap((tls, index) => tlsErrors(tls, `spec.tls[${index}]`)),
    ...(ingressClassName === undefined
      ? []
      : formatErrors('spec.ingressClassName', stringOf(ingressClassName), dnsSubdomain)),
  ];
}

/** Complaints about the addresses that its load balancer is said to have (ValidateIngressLoadBalancerStatus). */
export function validateIngressStatus(ingress: JsonObject): readonly FieldError[] {
  const field = 'status.loadBalancer.ingress';
  return objectsOf(at(ingress, field)).flatMap(({ ip, hostname }, index) => [
    ...balancerIpErrors(`${field}[${index}].ip`, ip),
    ...balancerHostErrors(`${field}[${index}].hostname`, hostname),
  ]);
}

function hostErrors(field: string, host: string): readonly FieldError[] {
  return formatErrors(field, host, host.includes('*') ? wildcardSubdomain : dnsSubdomain);
}

function tlsErrors(tls: JsonObject, path: string): readonly FieldError[] {
  const secret = stringOf(tls['secretName']);
  return [
    ...listOf(tls['hosts']).flatMap((host, index) => hostErrors(`${path}.hosts[${index}]`, stringOf(host))),
    ...(secret === '' ? [] : formatErrors(`${path}.secretName`, secret, dnsSubdomain)),
  ];
}

function ruleErrors(rule: JsonObject, path: string): readonly FieldError[] {
  const host = stringOf(rule['host']);
  const errors = host === '' ? [] : [...hostErrors(`${path}.host`, host)];
  if (parseLegacyIp(host) !== undefined)
    errors.unshift(invalidField(`${path}.host`, host, 'must be a DNS name, not an IP address'));
  if (!isObject(rule['http'])) return errors;
  const paths = objectsOf(at(rule, 'http.paths'));
  if (paths.length === 0) return [...errors, requiredField(`${path}.http.paths`)];
  return [
    ...errors,
    ...paths.flatMap((entry, position) => pathErrors(entry, `${path}.http.paths[${position}]`)),
  ];
}

const pathTypes = ['Exact', 'ImplementationSpecific', 'Prefix'];
const sequences = ['//', '/./', '/../', '%2f', '%2F'];
const suffixes = ['/..', '/.'];

function pathErrors(entry: JsonObject, path: string): readonly FieldError[] {
  const { pathType } = entry;
  if (pathType === undefined) return [requiredField(`${path}.pathType`, 'pathType must be specified')];
  const backend = backendErrors(objectOf(entry['backend']), `${path}.backend`);
  const field = `${path}.path`;
  const text = stringOf(entry['path']);
  const complain = (detail: string): FieldError => invalidField(field, text, detail);
  const relative = text.startsWith('/') ? [] : [complain('must be an absolute path')];
  if (pathType === 'ImplementationSpecific') return [...(text === '' ? [] : relative), ...backend];
  if (pathType !== 'Exact' && pathType !== 'Prefix')
    return [notSupportedField(`${path}.pathType`, pathType, pathTypes), ...backend];
  return [
    ...relative,
    ...sequences.filter((part) => text.includes(part)).map((part) => complain(`must not contain '${part}'`)),
    ...suffixes.filter((part) => text.endsWith(part)).map((part) => complain(`cannot end with '${part}'`)),
    ...backend,
  ];
}

function backendErrors(backend: JsonObject, path: string): readonly FieldError[] {
  const { resource, service } = backend;
  const complain = (detail: string): readonly FieldError[] => [invalidField(path, '', detail)];
  if (resource !== undefined && service !== undefined)
    return complain('cannot set both resource and service backends');
  if (resource !== undefined) return typedReferenceErrors(objectOf(resource), `${path}.resource`);
  if (service === undefined) return complain('resource or service backend is required');
  const name = stringOf(at(service, 'name'));
  return [
    ...(name === ''
      ? [requiredField(`${path}.service.name`)]
      : formatErrors(`${path}.service.name`, name, dnsLabel)),
    ...servicePortErrors(objectOf(at(service, 'port')), path),
  ];
}

function servicePortErrors({ name, number }: JsonObject, path: string): readonly FieldError[] {
  const hasNumber = number !== undefined && number !== 0;
  const text = stringOf(name);
  if (text !== '' && hasNumber) return [invalidField(path, '', 'cannot set both port name & port number')];
  if (text !== '') return formatErrors(`${path}.service.port.name`, text, portName);
  if (!hasNumber) return [requiredField(path, 'port name or number is required')];
  return isPortNumber(number) ? [] : [invalidField(`${path}.service.port.number`, number, portNumberText)];
}
