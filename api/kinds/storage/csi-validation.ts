import {
  invalidField,
  invalidStruct,
  requiredField,
  tooLongField,
  type FieldError,
} from '#api/errors/field-error.ts';
import { goValue } from '#api/errors/go-value.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { tryParseQuantity } from '#api/meta/quantity.ts';
import { at, equalJson, listOf, numberOf, objectsOf, stringOf } from '#api/wire/json.ts';
import { repeatedErrors, when } from '#api/validation/field.ts';
import { dnsSubdomain, formatErrors, qualifiedName } from '#api/validation/format.ts';
import { labelSelectorErrors } from '#api/validation/label-selector.ts';

const driverLengthMax = 63;
const nodeIdLengthMax = 256;

/** The name of a CSI driver (ValidateCSIDriverName of kubernetes pkg/apis/core/validation). */
export function csiDriverNameErrors(name: string, field: string): readonly FieldError[] {
  return [
    ...when(name === '', () => requiredField(field)),
    ...when(Buffer.byteLength(name) > driverLengthMax, () => tooLongField(field, driverLengthMax)),
    ...dnsSubdomain(name.toLowerCase()).map((detail) => invalidField(field, name, detail)),
  ];
}

/** Complaints about a CSINode (kubernetes pkg/apis/storage/validation). */
export function validateCsiNode(node: JsonObject): readonly FieldError[] {
  const drivers = objectsOf(at(node, 'spec.drivers'));
  const names = new Set<string>();
  return drivers.flatMap((driver, index) => {
    const path = `spec.drivers[${index}]`;
    const name = stringOf(driver['name']);
    const isRepeated = names.has(name);
    names.add(name);
    return [
      ...csiDriverNameErrors(name, `${path}.name`),
      ...nodeIdErrors(stringOf(driver['nodeID']), `${path}.nodeID`),
      ...countErrors(at(driver, 'allocatable.count'), `${path}.allocatable.count`),
      ...(isRepeated ? repeatedErrors([name, name], () => `${path}.name`) : []),
      ...topologyErrors(listOf(driver['topologyKeys']).map(stringOf), path),
    ];
  });
}

/** What a driver says of itself stays while it is there, but for how many volumes it can attach. */
export function validateCsiNodeUpdate(old: JsonObject, node: JsonObject): readonly FieldError[] {
  const drivers = objectsOf(at(node, 'spec.drivers'));
  const fixed = ({ allocatable: _allocatable, ...driver }: JsonObject): JsonObject => driver;
  return objectsOf(at(old, 'spec.drivers')).flatMap((before) =>
    drivers
      .filter(({ name }) => name === before['name'])
      .flatMap((after) =>
        when(!equalJson(fixed(before), fixed(after)), () =>
          invalidStruct(
            'spec.drivers',
            goValue('storage.v1.CSINodeDriver', fixed(after)),
            'field is immutable',
          ),
        ),
      ),
  );
}

function nodeIdErrors(id: string, field: string): readonly FieldError[] {
  return [
    ...when(id === '', () => requiredField(field)),
    ...when(Buffer.byteLength(id) > nodeIdLengthMax, () =>
      invalidField(field, id, `must be ${nodeIdLengthMax} characters or less`),
    ),
  ];
}

function countErrors(count: unknown, field: string): readonly FieldError[] {
  return when(numberOf(count) < 0, () => invalidField(field, count, 'must be greater than or equal to 0'));
}

/** Keys are complained of at the driver that has them. */
function topologyErrors(keys: readonly string[], path: string): readonly FieldError[] {
  const seen = new Set<string>();
  return keys.flatMap((key) => {
    const isRepeated = seen.has(key);
    seen.add(key);
    return [
      ...when(key === '', () => requiredField(path)),
      ...(isRepeated ? repeatedErrors([key, key], () => path) : []),
      ...formatErrors(path, key, qualifiedName),
    ];
  });
}

/** Complaints about a CSIStorageCapacity. */
export function validateCsiStorageCapacity(capacity: JsonObject): readonly FieldError[] {
  const amount = tryParseQuantity(capacity['capacity']);
  return [
    ...labelSelectorErrors(capacity['nodeTopology'], 'nodeTopology'),
    ...formatErrors('storageClassName', stringOf(capacity['storageClassName']), dnsSubdomain),
    ...when(amount !== undefined && amount.nanos < 0n, () =>
      invalidField('capacity', capacity['capacity'], 'must be greater than or equal to 0'),
    ),
  ];
}
