import {
  duplicateField,
  duplicateStruct,
  forbiddenField,
  invalidField,
  notSupportedField,
  requiredField,
  type FieldError,
} from '#api/errors/field-error.ts';
import { goStruct } from '#api/errors/go-struct.ts';
import { at, listOf, numberOf, objectOf, objectsOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import {
  dnsLabel,
  dnsSubdomain,
  formatErrors,
  isPortNumber,
  portNumberText,
  qualifiedName,
} from './format.ts';
import { endpointIpErrors, ipErrors } from './address.ts';
import { portReferenceErrors } from './pod/handlers.ts';
import { labelErrors } from './labels.ts';
import { clusterAddressErrors, clusterAddressUpdateErrors } from '#api/service/cluster-addresses.ts';
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
  return [...clusterAddressUpdateErrors(before, after), ...loadBalancerUpdateErrors(before, after)];
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
    if (keys.has(key))
      errors.push(duplicateStruct(field, goStruct('ServicePort', { protocol, port: number })));
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
    const address = namelessFields(spec).map((field) =>
      forbiddenField(`spec.${field}`, 'may not be set when `type` is ExternalName'),
    );
    if (name === '') return [...address, requiredField('spec.externalName')];
    return [...address, ...formatErrors('spec.externalName', name, dnsSubdomain)];
  }
  if (clusterIP === 'None' && (type === 'NodePort' || type === 'LoadBalancer')) {
    return [invalidField('spec.clusterIPs[0]', 'None', `may not be set to 'None' for ${type} services`)];
  }
  return [];
}

/** What is said of addresses of a Service that has none. */
function namelessFields(spec: JsonObject): readonly string[] {
  const { clusterIP, clusterIPs, ipFamilies, ipFamilyPolicy } = spec;
  return [
    ...(stringOf(clusterIP) === '' && listOf(clusterIPs).length === 0 ? [] : ['clusterIPs']),
    ...(listOf(ipFamilies).length === 0 ? [] : ['ipFamilies']),
    ...(ipFamilyPolicy === undefined ? [] : ['ipFamilyPolicy']),
  ];
}

function addressErrors(spec: JsonObject): readonly FieldError[] {
  const first = stringOf(spec['clusterIP']);
  const isLone = listOf(spec['clusterIPs']).length === 0 && first !== '' && first !== 'None';
  return [
    ...clusterAddressErrors(spec),
    ...(isLone ? ipErrors('spec.clusterIPs[0]', first) : []),
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
