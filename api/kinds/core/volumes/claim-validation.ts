import { forbiddenField, invalidField, type FieldError } from '#api/errors/field-error.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { compareQuantity, tryParseQuantity, zeroQuantity } from '#api/meta/quantity.ts';
import { at, equalJson, equalStored, objectOf, stringOf } from '#api/wire/json.ts';
import { givenChoiceErrors, when } from '#api/validation/field.ts';
import { formatErrors, qualifiedName } from '#api/validation/format.ts';
import { claimSpecErrors } from '#api/validation/parts/claim-spec.ts';

const resizeStates = [
  'ControllerResizeInProgress',
  'ControllerResizeInfeasible',
  'NodeResizePending',
  'NodeResizeInProgress',
  'NodeResizeInfeasible',
].toSorted();

/** Complaints about a PersistentVolumeClaim; groups of sources that an update found may stay (kubernetes pkg/apis/core/validation). */
export function validateClaim(claim: JsonObject, old?: JsonObject): readonly FieldError[] {
  const hadGroup = ['dataSource', 'dataSourceRef'].some(
    (name) => at(old, ['spec', name, 'apiGroup']) !== undefined,
  );
  return claimSpecErrors(objectOf(claim['spec']), 'spec', hadGroup);
}

/** Complaints about what an update of a claim changes: it is bound by a volume's name once, and grows by its requests. */
export function validateClaimUpdate(old: JsonObject, claim: JsonObject): readonly FieldError[] {
  const [before, after] = [old, claim].map((object) => objectOf(object['spec'])) as [JsonObject, JsonObject];
  const detail =
    'spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims';
  const field = 'spec.volumeAttributesClassName';
  const { volumeAttributesClassName: name } = after;
  const wasClassed = before['volumeAttributesClassName'] !== undefined;
  return [
    ...when(!equalStored(fixedOf(old, before, claim), fixedOf(claim, after, claim, before)), () =>
      forbiddenField('spec', detail),
    ),
    ...shrinkErrors(old, claim),
    ...when(!equalJson(before['volumeMode'], after['volumeMode']), () =>
      invalidField('volumeMode', after['volumeMode'], 'field is immutable'),
    ),
    // Of a class that was never had one may let go (KEP-3751, since 1.34).
    ...when(
      wasClassed && name === undefined && at(old, 'status.currentVolumeAttributesClassName') !== undefined,
      () =>
        forbiddenField(
          field,
          'update to nil is forbidden when status.currentVolumeAttributesClassName is not nil',
        ),
    ),
    ...when(wasClassed && name === '', () =>
      forbiddenField(field, 'update from non-nil value to an empty string is forbidden'),
    ),
  ];
}

/** Complaints about the status of a claim. */
export function validateClaimStatus(claim: JsonObject): readonly FieldError[] {
  const status = objectOf(claim['status']);
  const negative = (list: string): readonly FieldError[] =>
    Object.entries(objectOf(status[list])).flatMap(([name, amount]) =>
      when((tryParseQuantity(amount)?.nanos ?? 0n) < 0n, () =>
        invalidField(`status.${list}[${name}]`, amount, 'must be a valid resource quantity'),
      ),
    );
  // The field is called otherwise by kube-apiserver, which leaves letters out, and shows what the state is of.
  const path = 'status.allocatedResourceStatus';
  const states = Object.entries(objectOf(status['allocatedResourceStatuses']));
  return [
    ...negative('capacity'),
    ...states.flatMap(([name, state]) => [
      ...formatErrors(path, name, qualifiedName),
      ...givenChoiceErrors(path, state, resizeStates).map((error) => ({ ...error, value: name })),
    ]),
    ...negative('allocatedResources'),
  ];
}

/** The part of a spec that an update may not change. */
function fixedOf(object: JsonObject, spec: JsonObject, claim: JsonObject, before?: JsonObject): JsonObject {
  const { volumeAttributesClassName: _attributes, volumeName, storageClassName, resources, ...rest } = spec;
  const old = before ?? spec;
  const isBinding = stringOf(old['volumeName']) === '';
  const isClassing = old['storageClassName'] === undefined;
  const isBound = at(claim, 'status.phase') === 'Bound';
  const { storage: _storage, ...requests } = objectOf(at(resources, 'requests'));
  return {
    ...rest,
    volumeName: isBinding ? undefined : volumeName,
    storageClassName: isClassing ? undefined : storageClassName,
    resources: isBound ? { ...objectOf(resources), requests } : resources,
  };
}

function shrinkErrors(old: JsonObject, claim: JsonObject): readonly FieldError[] {
  const sizeOf = (object: JsonObject, path: readonly string[]): ReturnType<typeof tryParseQuantity> =>
    tryParseQuantity(at(object, path));
  const requested = ['spec', 'resources', 'requests', 'storage'];
  const [before, after] = [sizeOf(old, requested), sizeOf(claim, requested)];
  const given = sizeOf(old, ['status', 'capacity', 'storage']) ?? zeroQuantity;
  const shrinks = before !== undefined && after !== undefined && compareQuantity(after, before) < 0;
  return when(shrinks && compareQuantity(after, given) <= 0, () =>
    forbiddenField('spec.resources.requests.storage', 'field can not be less than status.capacity'),
  );
}
