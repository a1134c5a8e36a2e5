import { forbiddenField, invalidField, notSupportedField, type FieldError } from '#api/errors/field-error.ts';
import { goDifference } from '#api/errors/go-difference.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { compareQuantity, tryParseQuantity, zeroQuantity } from '#api/meta/quantity.ts';
import { at, equalJson, equalStored, objectOf, stringMapOf, stringOf, withPath } from '#api/wire/json.ts';
import { givenChoiceErrors, when } from '#api/validation/field.ts';
import { formatErrors, qualifiedName } from '#api/validation/format.ts';
import { isNativeResource } from '#api/validation/resource-name.ts';
import { claimSpecErrors } from '#api/validation/parts/claim-spec.ts';
import { basicErrors } from './volume-validation.ts';

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
  const fixed = fixedSpecs(old, claim);
  const detail =
    'spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims';
  const field = 'spec.volumeAttributesClassName';
  const { volumeAttributesClassName: name } = after;
  const wasClassed = before['volumeAttributesClassName'] !== undefined;
  return [
    ...annotationErrors(old, claim),
    ...when(!equalStored(...fixed), () =>
      forbiddenField('spec', `${detail}\n${goDifference('core.v1.PersistentVolumeClaimSpec', ...fixed)}`),
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
  // The field is called otherwise by kube-apiserver, which leaves letters out, and shows what the state is of.
  const path = 'status.allocatedResourceStatus';
  const allocated = 'status.allocatedResources';
  return [
    ...Object.entries(objectOf(status['capacity'])).flatMap(([name, amount]) =>
      basicErrors(amount, `status.capacity[${name}]`),
    ),
    ...Object.entries(objectOf(status['allocatedResourceStatuses'])).flatMap(([name, state]) => [
      ...resourceKeyErrors(name, path),
      ...givenChoiceErrors(path, state, resizeStates).map((error) => ({ ...error, value: name })),
    ]),
    ...Object.entries(objectOf(status['allocatedResources'])).flatMap(([name, amount]) => {
      const wrong = resourceKeyErrors(name, allocated);
      return wrong.length > 0 ? wrong : basicErrors(amount, `${allocated}[${name}]`);
    }),
  ];
}

/** Of what Kubernetes itself names, claims have storage alone. */
function resourceKeyErrors(name: string, field: string): readonly FieldError[] {
  const wrong = formatErrors(field, name, qualifiedName);
  if (wrong.length > 0 || !isNativeResource(name) || name === 'storage') return wrong;
  return [notSupportedField(field, name, ['storage'])];
}

/** The specs before and after an update, without what it may change. */
function fixedSpecs(old: JsonObject, claim: JsonObject): readonly [before: JsonObject, after: JsonObject] {
  const [before, after] = [old, claim].map((object) => objectOf(object['spec'])) as [JsonObject, JsonObject];
  const { volumeName, storageClassName } = before;
  const isNamed = stringOf(volumeName) !== '';
  const className = mayNameClass(old, claim) ? storageClassName : after['storageClassName'];
  const fixed = {
    ...after,
    storageClassName: className,
    volumeAttributesClassName: before['volumeAttributesClassName'],
  };
  const requests = at(after, 'resources.requests');
  const isGrowing = at(claim, 'status.phase') === 'Bound' && requests !== undefined;
  return [
    isNamed ? before : { ...before, volumeName: after['volumeName'] },
    isGrowing ? withPath(fixed, storagePath, at(before, storagePath)) : fixed,
  ];
}

const storagePath = 'resources.requests.storage';
const classAnnotation = 'volume.beta.kubernetes.io/storage-class';

const classAnnotationOf = (claim: JsonObject): string | undefined =>
  stringMapOf(at(claim, 'metadata.annotations'))[classAnnotation];

/** A claim that has named no class may name one: that of the annotation of before there was a field, if it has it. */
function mayNameClass(old: JsonObject, claim: JsonObject): boolean {
  const annotated = classAnnotationOf(old);
  const given = at(claim, 'spec.storageClassName');
  return (
    at(old, 'spec.storageClassName') === undefined &&
    given !== undefined &&
    (annotated === undefined || annotated === given)
  );
}

/** … with which it lets go of the annotation; else that stays. */
function annotationErrors(old: JsonObject, claim: JsonObject): readonly FieldError[] {
  const [before, after] = [classAnnotationOf(old), classAnnotationOf(claim)];
  const isMoved = before !== undefined && mayNameClass(old, claim) && (after ?? before) === before;
  return when(!isMoved && before !== after, () =>
    invalidField(`metadata.annotations.${classAnnotation}`, after ?? '', 'field is immutable'),
  );
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
