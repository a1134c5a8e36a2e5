import { forbiddenField, invalidField, requiredField, type FieldError } from '#api/errors/field-error.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { compareQuantity, tryParseQuantity, zeroQuantity } from '#api/meta/quantity.ts';
import { at, equalJson, equalStored, isObject, objectOf, stringOf } from '#api/wire/json.ts';
import { givenChoiceErrors, when } from '#api/validation/field.ts';
import { dnsLabel, dnsSubdomain, formatErrors, qualifiedName, requiredText } from '#api/validation/format.ts';
import { labelSelectorErrors } from '#api/validation/label-selector.ts';
import { accessModeErrors } from './volume-validation.ts';

const volumeModes = ['Block', 'Filesystem'];
const resizeStates = [
  'ControllerResizeInProgress',
  'ControllerResizeInfeasible',
  'NodeResizePending',
  'NodeResizeInProgress',
  'NodeResizeInfeasible',
].toSorted();
const claimKind = 'PersistentVolumeClaim';

/** Complaints about a PersistentVolumeClaim; groups of sources that an update found may stay (kubernetes pkg/apis/core/validation). */
export function validateClaim(claim: JsonObject, old?: JsonObject): readonly FieldError[] {
  const spec = objectOf(claim['spec']);
  const hadGroup = ['dataSource', 'dataSourceRef'].some(
    (name) => at(old, ['spec', name, 'apiGroup']) !== undefined,
  );
  const named = (field: string): readonly FieldError[] => {
    const name = stringOf(spec[field]);
    return name === '' ? [] : formatErrors(`spec.${field}`, name, dnsSubdomain);
  };
  const modes = accessModeErrors(
    spec['accessModes'],
    'spec.accessModes',
    'at least 1 access mode is required',
  );
  return [
    ...modes.filter(({ type }) => type === 'Required'),
    ...labelSelectorErrors(spec['selector'], 'spec.selector'),
    ...modes.filter(({ type }) => type !== 'Required'),
    ...storageErrors(at(spec, 'resources.requests.storage'), 'spec.resources[storage]'),
    ...named('storageClassName'),
    ...givenChoiceErrors('spec.volumeMode', spec['volumeMode'], volumeModes),
    ...sourceErrors(spec['dataSource'], 'spec.dataSource', hadGroup),
    ...sourceErrors(spec['dataSourceRef'], 'spec.dataSourceRef', hadGroup),
    ...bothErrors(spec),
    ...named('volumeAttributesClassName'),
  ];
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
    ...when(wasClassed && name === undefined, () =>
      forbiddenField(field, 'update from non-nil value to nil is forbidden'),
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

function storageErrors(size: unknown, field: string): readonly FieldError[] {
  if (size === undefined) return [requiredField(field)];
  const { nanos } = tryParseQuantity(size) ?? zeroQuantity;
  return when(nanos <= 0n, () => invalidField(field, size, 'must be greater than zero'));
}

/** What the volume is to be filled from. */
function sourceErrors(source: unknown, path: string, hadGroup: boolean): readonly FieldError[] {
  if (!isObject(source)) return [];
  const [group, kind, namespace] = ['apiGroup', 'kind', 'namespace'].map((name) =>
    stringOf(source[name]),
  ) as [string, string, string];
  const own = "must be 'PersistentVolumeClaim' when referencing the default apiGroup";
  return [
    ...requiredText(source, 'name', path),
    ...requiredText(source, 'kind', path),
    ...when(group === '' && kind !== claimKind, () => invalidField(path, kind, own)),
    ...(group === '' || hadGroup ? [] : formatErrors(`${path}.apiGroup`, group, dnsSubdomain)),
    ...(namespace === '' ? [] : formatErrors(`${path}.namespace`, namespace, dnsLabel)),
  ];
}

/** Both fields say the same, where both are there. kube-apiserver shows an inner value of its own for the field. */
function bothErrors({ dataSource: source, dataSourceRef: reference }: JsonObject): readonly FieldError[] {
  if (!isObject(source) || !isObject(reference)) return [];
  const isElsewhere = stringOf(reference['namespace']) !== '';
  const isSame = ['apiGroup', 'kind', 'name'].every((name) => equalJson(source[name], reference[name]));
  return [
    ...when(isElsewhere, () =>
      invalidField('spec', {}, 'may not be specified when dataSourceRef.namespace is specified'),
    ),
    ...when(!isElsewhere && !isSame, () => invalidField('spec', {}, 'must match dataSourceRef')),
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
