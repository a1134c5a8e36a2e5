import {
  forbiddenField,
  invalidField,
  invalidStruct,
  notSupportedField,
  requiredField,
  type FieldError,
} from '#api/errors/field-error.ts';
import { goValue } from '#api/errors/go-value.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { at, equalJson, isObject, listOf, objectOf, objectsOf, stringOf } from '#api/wire/json.ts';
import { tooLongErrors, tooManyErrors, when } from '#api/validation/field.ts';
import { conditionListErrors } from '#api/validation/parts/conditions.ts';
import { nodeSelectorErrors } from '#api/validation/pod/affinity.ts';
import { formatCidr, parseCidr } from '#base/ip.ts';
import {
  bindingConditionErrors,
  configurationErrors,
  deviceTolerationErrors,
  listCountMax,
  rawErrors,
  referenceErrors,
  referenceListErrors,
  requestNames,
} from './device-claim-validation.ts';
import {
  boundedErrors,
  boundedSetErrors,
  driverNameErrors,
  labelNameErrors,
  poolNameErrors,
  repeatedKeyErrors,
} from './device-names.ts';

const consumerCountMax = 256;
const conditionCountMax = 8;
const addressCountMax = 16;
const sources = ['FromClaim', 'FromClass'];

/** Complaints about the status of a ResourceClaim, as it was and is (ValidateResourceClaimStatusUpdate). */
export function claimStatusErrors(old: JsonObject, claim: JsonObject): readonly FieldError[] {
  const status = objectOf(claim['status']);
  const { allocation } = status;
  const given = isObject(allocation) ? allocation : undefined;
  const names = requestNames(objectOf(at(claim, 'spec.devices')));
  return [
    ...consumerErrors(status),
    ...deviceListErrors(status, given),
    ...reservationErrors(old, claim),
    ...(given === undefined ? [] : allocationErrors(objectOf(old['status']), given, names)),
  ];
}

function consumerErrors(status: JsonObject): readonly FieldError[] {
  const field = 'status.reservedFor';
  const keyOf = (consumer: JsonObject): string => stringOf(consumer['uid']);
  return boundedSetErrors(
    objectsOf(status['reservedFor']),
    { field, countMax: consumerCountMax, keyOf },
    (consumer, path) =>
      ['resource', 'name', 'uid'].flatMap((name) =>
        when(stringOf(consumer[name]) === '', () => requiredField(`${path}.${name}`)),
      ),
  );
}

/** Who is to use a claim may do so only once there is something, and nobody more while it goes. */
function reservationErrors(old: JsonObject, claim: JsonObject): readonly FieldError[] {
  const field = 'status.reservedFor';
  const consumers = objectsOf(at(claim, field));
  if (consumers.length === 0) return [];
  if (at(claim, 'status.allocation') === undefined) {
    return [forbiddenField(field, 'may not be specified when `allocated` is not set')];
  }
  const before = objectsOf(at(old, field));
  const isGoing = at(claim, 'metadata.deletionTimestamp') !== undefined;
  const isNew = (consumer: JsonObject): boolean => !before.some((known) => equalJson(known, consumer));
  const detail = 'new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set';
  return when(isGoing && consumers.some(isNew), () => forbiddenField(field, detail));
}

/** What was given stays until it is taken back whole. */
function allocationErrors(
  old: JsonObject,
  allocation: JsonObject,
  names: ReadonlySet<string>,
): readonly FieldError[] {
  const path = 'status.allocation';
  const { allocation: before } = old;
  if (isObject(before)) {
    return when(!equalJson(before, allocation), () =>
      invalidStruct(path, goValue('resource.v1.AllocationResult', allocation), 'field is immutable'),
    );
  }
  const { nodeSelector } = allocation;
  return [
    ...boundedErrors(
      objectsOf(at(allocation, 'devices.results')),
      `${path}.devices.results`,
      listCountMax,
      (result, place) => resultErrors(result, place, names),
    ),
    ...boundedErrors(
      objectsOf(at(allocation, 'devices.config')),
      `${path}.devices.config`,
      2 * listCountMax, // Of the class and of the claim.
      (config, place) => [
        ...sourceErrors(stringOf(config['source']), `${place}.source`),
        ...referenceListErrors(config['requests'], `${place}.requests`, names),
        ...configurationErrors(config, place),
      ],
    ),
    ...(isObject(nodeSelector) ? nodeSelectorErrors(nodeSelector, `${path}.nodeSelector`) : []),
  ];
}

function sourceErrors(source: string, field: string): readonly FieldError[] {
  if (source === '') return [requiredField(field)];
  return when(!sources.includes(source), () => notSupportedField(field, source, sources));
}

function resultErrors(result: JsonObject, path: string, names: ReadonlySet<string>): readonly FieldError[] {
  return [
    ...referenceErrors(stringOf(result['request']), `${path}.request`, names),
    ...deviceIdErrors(result, path),
    ...bindingConditionErrors(result, path),
    ...deviceTolerationErrors(result['tolerations'], `${path}.tolerations`),
    ...shareErrors(result['shareID'], `${path}.shareID`),
  ];
}

function deviceIdErrors(device: JsonObject, path: string): readonly FieldError[] {
  return [
    ...driverNameErrors(stringOf(device['driver']), `${path}.driver`),
    ...poolNameErrors(stringOf(device['pool']), `${path}.pool`),
    ...labelNameErrors(stringOf(device['device']), `${path}.device`),
  ];
}

const hex = '[0-9a-fA-F]';
const uuid = new RegExp(`^${hex}{8}(-${hex}{4}){3}-${hex}{12}$`);
const uuidText =
  'uid must be in RFC 4122 normalized form, `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` with lowercase hexadecimal characters';

function shareErrors(share: unknown, field: string): readonly FieldError[] {
  if (share === undefined) return [];
  const text = stringOf(share);
  if (![32, 36, 38, 45].includes(text.length)) {
    return [invalidField(field, text, `error validating uid: invalid UUID length: ${text.length}`)];
  }
  // The other lengths are those of a UUID in braces, without dashes or as a URN.
  if (text.length === 36 && !uuid.test(text)) {
    return [invalidField(field, text, 'error validating uid: invalid UUID format')];
  }
  return when(text.length !== 36 || text !== text.toLowerCase(), () => invalidField(field, text, uuidText));
}

/** What drivers tell of the devices that were given, and of no others. */
function deviceListErrors(status: JsonObject, allocation: JsonObject | undefined): readonly FieldError[] {
  const field = 'status.devices';
  const devices = objectsOf(status['devices']);
  const given = new Set(objectsOf(at(allocation, 'devices.results')).map(idOf));
  return [
    ...devices.flatMap((device, index) => deviceErrors(device, `${field}[${index}]`, given)),
    ...repeatedKeyErrors(devices.map(idOf), field),
  ];
}

/** A device as Kubernetes writes it: `driver/pool/device`, with the share of it where it is shared. */
function idOf(device: JsonObject): string {
  const parts = ['driver', 'pool', 'device'].map((name) => stringOf(device[name]));
  const share = stringOf(device['shareID']);
  return [...parts, ...(share === '' ? [] : [share])].join('/');
}

function deviceErrors(device: JsonObject, path: string, given: ReadonlySet<string>): readonly FieldError[] {
  const { data } = device;
  const conditions = objectsOf(device['conditions']);
  return [
    ...deviceIdErrors(device, path),
    ...shareErrors(device['shareID'], `${path}.shareID`),
    ...when(!given.has(idOf(device)), () =>
      invalidField(path, idOf(device), 'must be an allocated device in the claim'),
    ),
    ...tooManyErrors(`${path}.conditions`, conditions.length, conditionCountMax),
    ...conditionListErrors(conditions, `${path}.conditions`),
    ...(data === undefined ? [] : rawErrors(data, `${path}.data`)),
    ...networkErrors(objectOf(device['networkData']), `${path}.networkData`),
  ];
}

function networkErrors(network: JsonObject, path: string): readonly FieldError[] {
  const ips = listOf(network['ips']).map(stringOf);
  const field = `${path}.ips`;
  return [
    ...tooLongErrors(`${path}.interfaceName`, stringOf(network['interfaceName']), 256),
    ...tooLongErrors(`${path}.hardwareAddress`, stringOf(network['hardwareAddress']), 128),
    ...boundedSetErrors(ips, { field, countMax: addressCountMax, keyOf: (ip) => ip }, interfaceErrors),
  ];
}

/** The address of an interface with the network around it (IsValidInterfaceAddress). */
function interfaceErrors(address: string, field: string): readonly FieldError[] {
  const cidr = parseCidr(address);
  if (cidr === undefined) {
    const detail = 'must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)';
    return [invalidField(field, address, detail)];
  }
  const canonical = formatCidr(cidr);
  return when(canonical !== address, () =>
    invalidField(field, address, `must be in canonical form (${JSON.stringify(canonical)})`),
  );
}
