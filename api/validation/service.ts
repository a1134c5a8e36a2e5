import {
  duplicateField,
  forbiddenField,
  invalidField,
  notSupportedField,
  requiredField,
  type FieldError,
} from '#api/errors/field-error.ts';
import { at, listOf, numberOf, objectOf, objectsOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { familyOfIp } from '#base/ip.ts';
import {
  dnsLabel,
  dnsSubdomain,
  formatErrors,
  isPortNumber,
  portNumberText,
  qualifiedName,
} from './format.ts';
import { endpointIpErrors, ipText } from './address.ts';
import { portReferenceErrors } from './pod/handlers.ts';
import { labelErrors } from './labels.ts';
import { loadBalancerErrors, loadBalancerUpdateErrors } from './service-load-balancer.ts';

/** Complaints about a Service. */
export function validateService(service: JsonObject): readonly FieldError[] {
  const spec = objectOf(service['spec']);
  return [
    ...portsErrors(spec),
    ...typeErrors(spec),
    ...labelErrors(spec['selector'], 'spec.selector'),
    ...addressErrors(spec),
    ...trafficErrors(spec),
    ...loadBalancerErrors(service),
  ];
}

/** Complaints about an update of a Service. */
export function validateServiceUpdate(old: JsonObject, service: JsonObject): readonly FieldError[] {
  const [before, after] = [objectOf(old['spec']), objectOf(service['spec'])];
  return [...clusterIpUpdateErrors(before, after), ...loadBalancerUpdateErrors(before, after)];
}

function clusterIpUpdateErrors(before: JsonObject, after: JsonObject): readonly FieldError[] {
  const hadIp = before['type'] !== 'ExternalName' && stringOf(before['clusterIP']) !== '';
  if (!hadIp || after['type'] === 'ExternalName') return [];
  const isSame = listOf(before['clusterIPs'])[0] === listOf(after['clusterIPs'])[0];
  const errors = isSame
    ? []
    : [invalidField('spec.clusterIPs[0]', after['clusterIPs'] ?? [], 'may not change once set')];
  const [oldFamily, newFamily] = [before, after].map((spec) => listOf(spec['ipFamilies'])[0]);
  return oldFamily === newFamily
    ? errors
    : [...errors, invalidField('spec.ipFamilies[0]', after['ipFamilies'] ?? [], 'may not change once set')];
}

function portsErrors(spec: JsonObject): readonly FieldError[] {
  const ports = objectsOf(spec['ports']);
  const isHeadless = spec['clusterIP'] === 'None';
  if (ports.length === 0 && !isHeadless && spec['type'] !== 'ExternalName')
    return [requiredField('spec.ports')];
  const names = new Set<unknown>();
  const keys = new Set<string>();
  const nodePorts = new Set<string>();
  return ports.flatMap((port, index) => {
    const field = `spec.ports[${index}]`;
    const errors = [...portErrors(port, { field, isNamed: ports.length > 1, spec })];
    const name = stringOf(port['name']);
    if (name !== '' && names.has(name)) errors.push(duplicateField(`${field}.name`, name));
    names.add(name);
    const { protocol, port: number } = port;
    const key = `${String(protocol)}/${String(number)}`;
    if (keys.has(key)) errors.push(duplicateField(field, { protocol, port: number }));
    keys.add(key);
    const nodePort = `${String(protocol)}/${String(port['nodePort'])}`;
    if (numberOf(port['nodePort']) !== 0 && nodePorts.has(nodePort))
      errors.push(duplicateField(`${field}.nodePort`, port['nodePort']));
    nodePorts.add(nodePort);
    return errors;
  });
}

/** What a load balancer of a cloud would open to the world. */
const kubeletPort = 10_250;
const kubeletText = `may not expose port ${kubeletPort} externally since it is used by kubelet`;

function portErrors(
  port: JsonObject,
  { field, isNamed, spec }: { readonly field: string; readonly isNamed: boolean; readonly spec: JsonObject },
): readonly FieldError[] {
  const name = stringOf(port['name']);
  const errors: FieldError[] = [];
  if (name === '' && isNamed) errors.push(requiredField(`${field}.name`));
  else if (name !== '') errors.push(...formatErrors(`${field}.name`, name, dnsLabel));
  const number = numberOf(port['port']);
  if (!isPortNumber(number)) errors.push(invalidField(`${field}.port`, number, portNumberText));
  if (spec['type'] === 'LoadBalancer' && number === kubeletPort)
    errors.push(invalidField(field, number, kubeletText));
  if (port['appProtocol'] !== undefined)
    errors.push(...formatErrors(`${field}.appProtocol`, stringOf(port['appProtocol']), qualifiedName));
  const isHeadless = spec['clusterIP'] === 'None';
  if (isHeadless ? port['targetPort'] !== undefined && port['targetPort'] !== 0 : true) {
    errors.push(...portReferenceErrors(port['targetPort'], `${field}.targetPort`));
  }
  if (numberOf(port['nodePort']) !== 0 && (spec['type'] === 'ClusterIP' || spec['type'] === 'ExternalName')) {
    const type = String(spec['type']);
    errors.push(forbiddenField(`${field}.nodePort`, `may not be used when \`type\` is '${type}'`));
  }
  return errors;
}

function typeErrors(spec: JsonObject): readonly FieldError[] {
  const { type, clusterIP } = spec;
  if (type === 'ExternalName') {
    const name = stringOf(spec['externalName']).replace(/\.$/, '');
    const address =
      stringOf(clusterIP) === ''
        ? []
        : [forbiddenField('spec.clusterIPs', 'may not be set when `type` is ExternalName')];
    if (name === '') return [...address, requiredField('spec.externalName')];
    return [...address, ...formatErrors('spec.externalName', name, dnsSubdomain)];
  }
  if (clusterIP === 'None' && (type === 'NodePort' || type === 'LoadBalancer')) {
    return [invalidField('spec.clusterIPs[0]', 'None', `may not be set to 'None' for ${type} services`)];
  }
  return [];
}

function addressErrors(spec: JsonObject): readonly FieldError[] {
  const addresses = listOf(spec['clusterIPs']);
  const first = stringOf(spec['clusterIP']);
  if (addresses.length > 0 && first !== '' && addresses[0] !== first) {
    return [invalidField('spec.clusterIPs', addresses, 'first value must match `clusterIP`')];
  }
  const isAddress = (value: unknown): boolean =>
    value === 'None' || value === '' || familyOfIp(stringOf(value)) !== undefined;
  return [
    ...addresses.flatMap((address, index) =>
      isAddress(address) ? [] : [invalidField(`spec.clusterIPs[${index}]`, address, ipText)],
    ),
    ...(addresses.length === 0 && !isAddress(first)
      ? [invalidField('spec.clusterIPs[0]', first, ipText)]
      : []),
    ...listOf(spec['externalIPs']).flatMap((address, index) =>
      endpointIpErrors(`spec.externalIPs[${index}]`, address),
    ),
  ];
}

const trafficDistributions = ['PreferClose', 'PreferSameNode', 'PreferSameZone'];
const affinitySecondsMax = 86_400;

function trafficErrors(spec: JsonObject): readonly FieldError[] {
  const errors: FieldError[] = [];
  const seconds = at(spec, 'sessionAffinityConfig.clientIP.timeoutSeconds');
  if (typeof seconds === 'number' && (seconds < 1 || seconds > affinitySecondsMax)) {
    const field = 'spec.sessionAffinityConfig.clientIP.timeoutSeconds';
    errors.push(
      invalidField(field, seconds, `must be greater than 0 and less than or equal to ${affinitySecondsMax}`),
    );
  }
  const distribution = spec['trafficDistribution'];
  if (distribution !== undefined && !trafficDistributions.includes(stringOf(distribution))) {
    errors.push(notSupportedField('spec.trafficDistribution', distribution, trafficDistributions));
  }
  const isExternal =
    spec['type'] === 'NodePort' || spec['type'] === 'LoadBalancer' || listOf(spec['externalIPs']).length > 0;
  if (!isExternal && stringOf(spec['externalTrafficPolicy']) !== '') {
    const detail = 'may only be set for externally-accessible services';
    errors.push(invalidField('spec.externalTrafficPolicy', spec['externalTrafficPolicy'], detail));
  }
  return errors;
}
