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
import { givenChoiceErrors } from './field.ts';
import { labelErrors } from './labels.ts';
import { clusterAddressErrors, clusterAddressUpdateErrors } from '#api/service/cluster-addresses.ts';
import {
  healthCheckErrors,
  loadBalancerUpdateErrors,
  onlyBalancedErrors,
  sourceRangeErrors,
} from './service-load-balancer.ts';

/** Complaints about a Service, in the order of ValidateService. */
export function validateService(service: JsonObject): readonly FieldError[] {
  const spec = objectOf(service['spec']);
  return [
    ...topologyErrors(service),
    ...typeErrors(spec),
    ...portsErrors(spec),
    ...labelErrors(spec['selector'], 'spec.selector'),
    ...affinityErrors(spec),
    ...addressErrors(spec),
    ...givenChoiceErrors('spec.type', spec['type'], [
      'ClusterIP',
      'ExternalName',
      'LoadBalancer',
      'NodePort',
    ]),
    ...nodePortErrors(spec),
    ...duplicateErrors(spec),
    ...sourceRangeErrors(service, spec),
    ...onlyBalancedErrors(spec),
    ...externalTrafficErrors(spec),
    ...healthCheckErrors(spec),
    ...givenChoiceErrors('spec.internalTrafficPolicy', spec['internalTrafficPolicy'], ['Cluster', 'Local']),
    ...givenChoiceErrors('spec.trafficDistribution', spec['trafficDistribution'], [
      'PreferClose',
      'PreferSameNode',
      'PreferSameZone',
    ]),
  ];
}

/** Complaints about an update of a Service. */
export function validateServiceUpdate(old: JsonObject, service: JsonObject): readonly FieldError[] {
  const [before, after] = [objectOf(old['spec']), objectOf(service['spec'])];
  return [...clusterAddressUpdateErrors(before, after), ...loadBalancerUpdateErrors(before, after)];
}

const topologyMode = 'service.kubernetes.io/topology-mode';
const topologyHints = 'service.kubernetes.io/topology-aware-hints';

function topologyErrors(service: JsonObject): readonly FieldError[] {
  const annotations = objectOf(at(service, 'metadata.annotations'));
  const [mode, hints] = [annotations[topologyMode], annotations[topologyHints]];
  if (mode === undefined || hints === undefined || mode === hints) return [];
  const detail = `must match annotations[${topologyHints}] when both are specified`;
  return [invalidField(`metadata.annotations[${topologyMode}]`, mode, detail)];
}

function typeErrors(spec: JsonObject): readonly FieldError[] {
  const { type, clusterIP } = spec;
  if (listOf(spec['ports']).length === 0 && clusterIP !== 'None' && type !== 'ExternalName')
    return [requiredField('spec.ports')];
  if (type === 'ExternalName') {
    const name = stringOf(spec['externalName']).replace(/\.$/, '');
    const address = namelessFields(spec).map((field) =>
      forbiddenField(`spec.${field}`, 'may not be set for ExternalName services'),
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

function portsErrors(spec: JsonObject): readonly FieldError[] {
  const ports = objectsOf(spec['ports']);
  const names = new Set<string>();
  return ports.flatMap((port, index) => {
    const field = `spec.ports[${index}]`;
    const name = stringOf(port['name']);
    const isKnown = name !== '' && names.has(name);
    names.add(name);
    return [
      ...(name === '' && ports.length > 1 ? [requiredField(`${field}.name`)] : []),
      ...(name === '' ? [] : formatErrors(`${field}.name`, name, dnsLabel)),
      ...(isKnown ? [duplicateField(`${field}.name`, name)] : []),
      ...portErrors(port, field),
    ];
  });
}

const protocols = ['SCTP', 'TCP', 'UDP'];

function portErrors(port: JsonObject, field: string): readonly FieldError[] {
  const { protocol, targetPort, appProtocol } = port;
  const number = numberOf(port['port']);
  return [
    ...(isPortNumber(number) ? [] : [invalidField(`${field}.port`, number, portNumberText)]),
    ...(protocols.includes(stringOf(protocol))
      ? []
      : [notSupportedField(`${field}.protocol`, protocol, protocols)]),
    ...portReferenceErrors(targetPort, `${field}.targetPort`),
    ...(appProtocol === undefined
      ? []
      : formatErrors(`${field}.appProtocol`, stringOf(appProtocol), qualifiedName)),
  ];
}

function nodePortErrors(spec: JsonObject): readonly FieldError[] {
  if (spec['type'] !== 'ClusterIP') return [];
  return objectsOf(spec['ports']).flatMap(({ nodePort }, index) =>
    numberOf(nodePort) === 0
      ? []
      : [forbiddenField(`spec.ports[${index}].nodePort`, "may not be used when `type` is 'ClusterIP'")],
  );
}

/** Ports of nodes that are there twice, then ports. */
function duplicateErrors(spec: JsonObject): readonly FieldError[] {
  const ports = objectsOf(spec['ports']);
  const isAgain = (member: 'port' | 'nodePort', index: number): boolean =>
    ports.findIndex(
      (other) => other[member] === ports[index]?.[member] && other['protocol'] === ports[index]?.['protocol'],
    ) < index;
  return [
    ...ports.flatMap(({ nodePort }, index) =>
      numberOf(nodePort) !== 0 && isAgain('nodePort', index)
        ? [duplicateField(`spec.ports[${index}].nodePort`, nodePort)]
        : [],
    ),
    ...ports.flatMap(({ protocol, port }, index) =>
      isAgain('port', index)
        ? [duplicateStruct(`spec.ports[${index}]`, goStruct('ServicePort', { protocol, port }))]
        : [],
    ),
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

const affinitySecondsMax = 86_400;

function affinityErrors(spec: JsonObject): readonly FieldError[] {
  const unknown = givenChoiceErrors('spec.sessionAffinity', spec['sessionAffinity'], ['ClientIP', 'None']);
  const seconds = at(spec, 'sessionAffinityConfig.clientIP.timeoutSeconds');
  if (typeof seconds !== 'number' || (seconds >= 1 && seconds <= affinitySecondsMax)) return unknown;
  const field = 'spec.sessionAffinityConfig.clientIP.timeoutSeconds';
  const detail = `must be greater than 0 and less than or equal to ${affinitySecondsMax}`;
  return [
    ...unknown,
    ...(spec['sessionAffinity'] === 'ClientIP' ? [invalidField(field, seconds, detail)] : []),
  ];
}

function externalTrafficErrors(spec: JsonObject): readonly FieldError[] {
  const { type, externalTrafficPolicy } = spec;
  const isExternal =
    type === 'NodePort' ||
    type === 'LoadBalancer' ||
    (type === 'ClusterIP' && listOf(spec['externalIPs']).length > 0);
  if (isExternal)
    return givenChoiceErrors('spec.externalTrafficPolicy', spec['externalTrafficPolicy'], [
      'Cluster',
      'Local',
    ]);
  if (stringOf(externalTrafficPolicy) === '') return [];
  const detail = 'may only be set for externally-accessible services';
  return [invalidField('spec.externalTrafficPolicy', externalTrafficPolicy, detail)];
}
