import {
  duplicateField,
  forbiddenField,
  invalidField,
  notSupportedField,
  requiredField,
  tooManyField,
  type FieldError,
} from '#api/errors/field-error.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { at, listOf, objectsOf, stringMapOf, stringOf } from '#api/wire/json.ts';
import { parseLegacyIp } from '#base/ip.ts';
import { endpointIpErrors, looseIpErrors } from './address.ts';
import {
  dnsLabel,
  dnsSubdomain,
  formatErrors,
  isPortNumber,
  labelValue,
  portNumberText,
  qualifiedName,
  type Format,
} from './format.ts';
import { givenChoiceErrors } from './field.ts';
import { labelErrors } from './labels.ts';

/** As kubernetes pkg/apis/discovery/validation has them. */
const endpointMax = 1000;
const addressMax = 100;
const portMax = 20_000;
const topologyMax = 16;
const hintMax = 8;
const addressTypes = ['FQDN', 'IPv4', 'IPv6'];

/** Complaints about an EndpointSlice. */
export function validateEndpointSlice(slice: JsonObject): readonly FieldError[] {
  const endpoints = objectsOf(slice['endpoints']);
  const addressType = stringOf(slice['addressType']);
  return [
    ...(addressType === ''
      ? [requiredField('addressType')]
      : givenChoiceErrors('addressType', addressType, addressTypes)),
    ...(endpoints.length > endpointMax
      ? [tooManyField('endpoints', endpoints.length, endpointMax)]
      : endpoints.flatMap((endpoint, index) => endpointErrors(endpoint, `endpoints[${index}]`, addressType))),
    ...slicePortErrors(objectsOf(slice['ports'])),
  ];
}

function endpointErrors(endpoint: JsonObject, path: string, addressType: string): readonly FieldError[] {
  const { hostname, nodeName, deprecatedTopology } = endpoint;
  const labels = Object.keys(stringMapOf(deprecatedTopology)).length;
  return [
    ...sliceAddressErrors(listOf(endpoint['addresses']), `${path}.addresses`, addressType),
    ...(nodeName === undefined ? [] : formatErrors(`${path}.nodeName`, stringOf(nodeName), dnsSubdomain)),
    ...(labels > topologyMax ? [tooManyField(`${path}.deprecatedTopology`, labels, topologyMax)] : []),
    ...labelErrors(deprecatedTopology, `${path}.deprecatedTopology`),
    ...(hostname === undefined ? [] : formatErrors(`${path}.hostname`, stringOf(hostname), dnsLabel)),
    ...hintErrors(objectsOf(at(endpoint, 'hints.forZones')), `${path}.hints.forZones`, labelValue),
    ...hintErrors(objectsOf(at(endpoint, 'hints.forNodes')), `${path}.hints.forNodes`, dnsSubdomain),
  ];
}

function sliceAddressErrors(
  addresses: readonly unknown[],
  field: string,
  addressType: string,
): readonly FieldError[] {
  if (addresses.length === 0) return [requiredField(field, 'must contain at least 1 address')];
  const family = addressType === 'IPv4' ? 4 : addressType === 'IPv6' ? 6 : 0;
  return [
    ...(addresses.length > addressMax ? [tooManyField(field, addresses.length, addressMax)] : []),
    ...addresses.flatMap((address, position) => {
      const place = `${field}[${position}]`;
      const text = stringOf(address);
      if (family === 0) return addressType === 'FQDN' ? domainErrors(place, text) : [];
      const ip = parseLegacyIp(text);
      const loose = ip === undefined ? [] : looseIpErrors(place, text);
      if (loose.length > 0) return loose;
      return ip?.family === family
        ? endpointIpErrors(place, text)
        : [invalidField(place, text, `must be an IPv${family} address`)];
    }),
  ];
}

/** A name of at least two labels, which may end in a dot (IsFullyQualifiedDomainName). */
function domainErrors(field: string, text: string): readonly FieldError[] {
  if (text === '') return [requiredField(field)];
  const name = text.replace(/\.$/, '');
  const errors = formatErrors(field, name, dnsSubdomain);
  if (errors.length > 0) return errors;
  return name.includes('.')
    ? []
    : [invalidField(field, name, 'should be a domain with at least two segments separated by dots')];
}

function hintErrors(hints: readonly JsonObject[], field: string, format: Format): readonly FieldError[] {
  if (hints.length > hintMax) return [tooManyField(field, hints.length, hintMax)];
  const seen = new Set<string>();
  return hints.flatMap((hint, index) => {
    const name = stringOf(hint['name']);
    const place = `${field}[${index}].name`;
    const repeated = seen.has(name) ? [duplicateField(place, name)] : [];
    seen.add(name);
    return [...repeated, ...formatErrors(place, name, format)];
  });
}

function slicePortErrors(ports: readonly JsonObject[]): readonly FieldError[] {
  if (ports.length > portMax) return [tooManyField('ports', ports.length, portMax)];
  const names = new Set<string>();
  return ports.flatMap((port, index) => {
    const path = `ports[${index}]`;
    const name = stringOf(port['name']);
    const repeated = names.has(name) ? [duplicateField(`${path}.name`, name)] : [];
    names.add(name);
    return [
      ...(name === '' ? [] : formatErrors(`${path}.name`, name, dnsLabel)),
      ...repeated,
      ...(port['port'] === undefined || isPortNumber(port['port'])
        ? []
        : [invalidField(`${path}.port`, port['port'], portNumberText)]),
      ...protocolErrors(port, path),
    ];
  });
}

const protocols = ['SCTP', 'TCP', 'UDP'];

function protocolErrors({ protocol, appProtocol }: JsonObject, path: string): readonly FieldError[] {
  return [
    ...(stringOf(protocol) === '' || protocols.includes(stringOf(protocol))
      ? []
      : [notSupportedField(`${path}.protocol`, protocol, protocols)]),
    ...(appProtocol === undefined
      ? []
      : formatErrors(`${path}.appProtocol`, stringOf(appProtocol), qualifiedName)),
  ];
}

const addressLists = ['addresses', 'notReadyAddresses'];

/** Complaints about an Endpoints object. */
export function validateEndpoints(endpoints: JsonObject): readonly FieldError[] {
  return objectsOf(endpoints['subsets']).flatMap((subset, index) => {
    const path = `subsets[${index}]`;
    const isEmpty = addressLists.every((list) => listOf(subset[list]).length === 0);
    const ports = objectsOf(subset['ports']);
    return [
      ...(isEmpty ? [requiredField(path, 'must specify `addresses` or `notReadyAddresses`')] : []),
      ...addressLists.flatMap((list) =>
        objectsOf(subset[list]).flatMap((address, position) =>
          addressErrors(address, `${path}.${list}[${position}]`),
        ),
      ),
      ...ports.flatMap((port, position) => portErrors(port, `${path}.ports[${position}]`, ports.length > 1)),
    ];
  });
}

function addressErrors({ ip, hostname, nodeName }: JsonObject, path: string): readonly FieldError[] {
  return [
    ...endpointIpErrors(`${path}.ip`, ip),
    ...(stringOf(hostname) === '' ? [] : formatErrors(`${path}.hostname`, stringOf(hostname), dnsLabel)),
    ...(nodeName === undefined ? [] : formatErrors(`${path}.nodeName`, stringOf(nodeName), dnsSubdomain)),
  ];
}

function portErrors(port: JsonObject, path: string, isNamed: boolean): readonly FieldError[] {
  const name = stringOf(port['name']);
  return [
    ...(name === '' && isNamed ? [requiredField(`${path}.name`)] : []),
    ...(name === '' ? [] : formatErrors(`${path}.name`, name, dnsLabel)),
    ...(isPortNumber(port['port']) ? [] : [invalidField(`${path}.port`, port['port'] ?? 0, portNumberText)]),
    ...protocolErrors(port, path),
  ];
}

/** The node of an address stays while the address does. */
export function validateEndpointsUpdate(old: JsonObject, endpoints: JsonObject): readonly FieldError[] {
  const nodes = new Map(
    placedAddresses(old).map(({ address }) => [stringOf(address['ip']), address['nodeName']]),
  );
  return placedAddresses(endpoints).flatMap(({ address: { ip, nodeName }, path }) => {
    const before = nodes.get(stringOf(ip));
    if (before === undefined || nodeName === undefined || nodeName === before) return [];
    const detail = `Cannot change NodeName for ${stringOf(ip)} to ${stringOf(nodeName)}`;
    return [forbiddenField(`${path}.nodeName`, detail)];
  });
}

function placedAddresses(
  endpoints: JsonObject,
): readonly { readonly address: JsonObject; readonly path: string }[] {
  return objectsOf(endpoints['subsets']).flatMap((subset, index) =>
    addressLists.flatMap((list) =>
      objectsOf(subset[list]).map((address, position) => ({
        address,
        path: `subsets[${index}].${list}[${position}]`,
      })),
    ),
  );
}
