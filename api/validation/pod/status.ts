import {
  duplicateField,
  forbiddenField,
  invalidField,
  invalidStruct,
  notSupportedField,
  requiredField,
  type FieldError,
} from '#api/errors/field-error.ts';
import { goStruct } from '#api/errors/go-struct.ts';
import { at, equalJson, isObject, listOf, numberOf, objectOf, objectsOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { ipErrors } from '#api/validation/address.ts';
import { tooLongErrors } from '#api/validation/field.ts';
import { dnsLabel, dnsSubdomain, formatErrors, qualifiedName } from '#api/validation/format.ts';
import { familyOfIp } from '#base/ip.ts';
import { annotationUpdateErrors } from './annotations.ts';
import { transitionErrors } from './transitions.ts';

/** What of a pod's status may not be said (ValidatePodStatusUpdate). */
export function validatePodStatus(old: JsonObject, pod: JsonObject): readonly FieldError[] {
  const [before, after] = [objectOf(old['status']), objectOf(pod['status'])];
  const spec = objectOf(pod['spec']);
  const lists = ['containerStatuses', 'initContainerStatuses', 'ephemeralContainerStatuses'];
  return [
    ...annotationUpdateErrors(old, pod),
    ...conditionErrors(objectsOf(after['conditions'])),
    ...nominationErrors(old, before['nominatedNodeName'], after['nominatedNodeName']),
    ...generationErrors(after['observedGeneration'], 'status.observedGeneration'),
    ...(equalJson(before['qosClass'], after['qosClass'])
      ? []
      : [invalidField('status.qosClass', after['qosClass'] ?? '', 'field is immutable')]),
    ...transitionErrors(before, after, objectOf(old['spec'])),
    ...claimErrors(after, spec),
    ...extendedClaimErrors(after['extendedResourceClaimStatus'], spec),
    ...podAddressErrors(after['podIP'], objectsOf(after['podIPs'])),
    ...hostAddressErrors(after),
    ...lists.flatMap((list) => userErrors(objectsOf(after[list]), `status.${list}`, at(spec, 'os.name'))),
    ...lists.slice(0, 2).flatMap((list, index) => {
      const containers = objectsOf(spec[index === 0 ? 'containers' : 'initContainers']);
      return healthErrors(objectsOf(after[list]), `status.${list}`, containers);
    }),
    ...objectsOf(after['ephemeralContainerStatuses']).flatMap((status, index) =>
      listOf(status['allocatedResourcesStatus']).length > 0
        ? [
            forbiddenField(
              `status.ephemeralContainerStatuses[${index}].allocatedResourcesStatus`,
              'must not be specified in container status',
            ),
          ]
        : [],
    ),
  ];
}

const ownConditions: ReadonlySet<unknown> = new Set(['PodScheduled', 'Ready', 'Initialized']);

function conditionErrors(conditions: readonly JsonObject[]): readonly FieldError[] {
  return conditions.flatMap((condition, index) => {
    const path = `status.conditions[${index}]`;
    return [
      ...generationErrors(condition['observedGeneration'], `${path}.observedGeneration`),
      ...(ownConditions.has(condition['type'])
        ? []
        : formatErrors(`${path}.Type`, stringOf(condition['type']), qualifiedName)),
    ];
  });
}

function generationErrors(generation: unknown, field: string): readonly FieldError[] {
  return numberOf(generation) < 0 ? [invalidField(field, generation, 'must be a non-negative integer')] : [];
}

/** Where a pod may go once others have made room; one that runs somewhere goes nowhere (KEP-5278). */
function nominationErrors(old: JsonObject, before: unknown, after: unknown): readonly FieldError[] {
  const name = stringOf(after);
  if (name === '' || after === before) return [];
  const field = 'status.nominatedNodeName';
  return [
    ...formatErrors(field, name, dnsSubdomain),
    ...(stringOf(at(old, 'spec.nodeName')) === ''
      ? []
      : [forbiddenField(field, 'may not be set on pods that are already bound to a node')]),
  ];
}

function claimErrors(status: JsonObject, spec: JsonObject): readonly FieldError[] {
  const known = new Set(objectsOf(spec['resourceClaims']).map(({ name }) => stringOf(name)));
  const seen = new Set<string>();
  return objectsOf(status['resourceClaimStatuses']).flatMap((claim, index) => {
    const path = `status.resourceClaimStatuses[${index}]`;
    const name = stringOf(claim['name']);
    const isDuplicate = seen.has(name);
    seen.add(name);
    const { resourceClaimName } = claim;
    const unknown = 'must match the name of an entry in `spec.resourceClaims`';
    return [
      ...(known.has(name) ? [] : [invalidField(`${path}.name`, name, unknown)]),
      ...(isDuplicate ? [duplicateField(`${path}.name`, name)] : []),
      ...(resourceClaimName === undefined
        ? []
        : formatErrors(`${path}.resourceClaimName`, stringOf(resourceClaimName), dnsSubdomain)),
    ];
  });
}

const noRequest =
  'must match the extended resource name of an entry in spec.initContainers.resources.requests or spec.containers.resources.requests';
const noContainer = 'must match the name of an entry in spec.initContainers.name or spec.containers.name';

/** Which claim stands for what containers ask for by the name of a device plugin (KEP-5004). */
function extendedClaimErrors(status: unknown, spec: JsonObject): readonly FieldError[] {
  if (!isObject(status)) return [];
  const path = 'status.extendedResourceClaimStatus';
  const mappings = objectsOf(status['requestMappings']);
  const seen = new Set<string>();
  const name = stringOf(status['resourceClaimName']);
  return [
    ...(mappings.length === 0
      ? [requiredField(`${path}.requestMappings`, 'at least one request mapping is required')]
      : []),
    ...mappings.flatMap((mapping, index) => {
      const place = `${path}.requestMappings[${index}]`;
      const names = ['containerName', 'resourceName', 'requestName'];
      const key = names.map((field) => stringOf(mapping[field])).join('\0');
      const isDuplicate = seen.has(key);
      seen.add(key);
      return [
        ...mappingErrors(mapping, spec, place),
        ...formatErrors(`${path}.requestName`, stringOf(mapping['requestName']), dnsLabel),
        ...(isDuplicate ? names.map((field) => duplicateField(`${place}.${field}`, mapping[field])) : []),
      ];
    }),
    ...(name === ''
      ? [requiredField(`${path}.resourceClaimName`)]
      : formatErrors(`${path}.resourceClaimName`, name, dnsSubdomain)),
  ];
}

function mappingErrors(mapping: JsonObject, spec: JsonObject, path: string): readonly FieldError[] {
  const [name, resource] = [stringOf(mapping['containerName']), stringOf(mapping['resourceName'])];
  const container = ['containers', 'initContainers']
    .flatMap((list) => objectsOf(spec[list]))
    .find((one) => one['name'] === name);
  if (container === undefined) return [invalidField(`${path}.containerName`, name, noContainer)];
  return objectOf(at(container, 'resources.requests'))[resource] === undefined
    ? [invalidField(`${path}.resourceName`, resource, noRequest)]
    : [];
}

/** The one address counts where the list does not begin with it (conversion of core/v1 PodStatus). */
function allAddresses(one: unknown, list: readonly JsonObject[]): readonly JsonObject[] {
  const text = stringOf(one);
  return text === '' || list[0]?.['ip'] === text ? list : [{ ip: text }];
}

/** The list is looked at too where upstream has the one address instead: it is stored as it is. */
function podAddressErrors(one: unknown, list: readonly JsonObject[]): readonly FieldError[] {
  const counted = allAddresses(one, list);
  const wrong = addressErrors('podIPs', counted);
  return wrong.length > 0 || counted === list ? wrong : addressErrors('podIPs', list);
}

function addressErrors(list: string, addresses: readonly JsonObject[]): readonly FieldError[] {
  const field = `status.${list}`;
  const texts = addresses.map(({ ip }) => stringOf(ip));
  const families = new Set(texts.map((text) => familyOfIp(text)));
  const detail = 'may specify no more than one IP for each IP family';
  return [
    ...texts.flatMap((text, index) => ipErrors(`${field}[${index}]`, text)),
    ...(texts.length > 2 || (texts.length === 2 && families.size === 1)
      ? [invalidStruct(field, goStruct('PodIP', addresses), detail)]
      : []),
    ...texts.flatMap((text, index) =>
      texts.indexOf(text) < index ? [duplicateField(`${field}[${index}]`, { IP: text })] : [],
    ),
  ];
}

function hostAddressErrors(status: JsonObject): readonly FieldError[] {
  const addresses = objectsOf(status['hostIPs']);
  const first = stringOf(addresses[0]?.['ip']);
  return [
    ...(addresses.length > 0 && first !== stringOf(status['hostIP'])
      ? [invalidField('status.hostIPs[0].ip', first, 'must be equal to `hostIP`')]
      : []),
    ...addressErrors('hostIPs', addresses.length === 0 ? allAddresses(status['hostIP'], []) : addresses),
  ];
}

const idMax = 2 ** 31 - 1;

/** Who a container runs as (KEP-3619). */
function userErrors(statuses: readonly JsonObject[], path: string, os: unknown): readonly FieldError[] {
  return statuses.flatMap((status, index) => {
    const linux = at(status, 'user.linux');
    const field = `${path}[${index}].user.linux`;
    if (!isObject(linux)) return [];
    if (os === 'windows') return [forbiddenField(field, 'cannot be set for a windows pod')];
    const ids: readonly (readonly [string, unknown])[] = [
      ['uid', linux['uid']],
      ['gid', linux['gid']],
      ...listOf(linux['supplementalGroups']).map(
        (id, place) => [`supplementalGroups[${place}]`, id] as const,
      ),
    ];
    return ids.flatMap(([name, id]) =>
      numberOf(id) >= 0 && numberOf(id) <= idMax
        ? []
        : [invalidField(`${field}.${name}`, id, `must be between 0 and ${idMax}, inclusive`)],
    );
  });
}

/** How what a container was given fares (KEP-4680). */
function healthErrors(
  statuses: readonly JsonObject[],
  path: string,
  containers: readonly JsonObject[],
): readonly FieldError[] {
  return statuses.flatMap((status, index) => {
    const container = containers.find(({ name }) => name === status['name']);
    return objectsOf(status['allocatedResourcesStatus']).flatMap((resource, place) => {
      const field = `${path}[${index}].allocatedResourcesStatus[${place}]`;
      return [
        ...(container === undefined
          ? []
          : givenErrors(stringOf(resource['name']), container, `${field}.name`)),
        ...deviceErrors(objectsOf(resource['resources']), `${field}.resources`),
      ];
    });
  });
}

function givenErrors(name: string, container: JsonObject, field: string): readonly FieldError[] {
  const claims = objectsOf(at(container, 'resources.claims')).map(({ name: claim, request }) =>
    stringOf(request) === '' ? `claim:${stringOf(claim)}` : `claim:${stringOf(claim)}/${stringOf(request)}`,
  );
  const isClaim = name.startsWith('claim:');
  const isKnown = isClaim
    ? claims.includes(name)
    : objectOf(at(container, 'resources.requests'))[name] !== undefined;
  const detail = isClaim
    ? "must match one of the container's resource claims in a format 'claim:<claimName>/<request>' or 'claim:<claimName>' if request is empty"
    : "must match one of the container's resource requests";
  return isKnown ? [] : [invalidField(field, name, detail)];
}

const healths = ['Healthy', 'Unhealthy', 'Unknown'];
/** Bytes of a word about a device (core/v1 ResourceHealthMessageMaxLength). */
const messageBytesMax = 1024;

function deviceErrors(devices: readonly JsonObject[], path: string): readonly FieldError[] {
  const seen = new Set<unknown>();
  return devices.flatMap((device, index) => {
    const field = `${path}[${index}]`;
    const [health, id, { message }] = [stringOf(device['health']), device['resourceID'] ?? '', device];
    const isDuplicate = seen.has(id);
    seen.add(id);
    return [
      ...(healths.includes(health) ? [] : [notSupportedField(`${field}.health`, health, healths)]),
      ...(message === '' ? [requiredField(`${field}.message`, 'must be non-empty if specified')] : []),
      ...tooLongErrors(`${field}.message`, stringOf(message), messageBytesMax),
      ...(isDuplicate ? [duplicateField(`${field}.resourceID`, id)] : []),
    ];
  });
}
