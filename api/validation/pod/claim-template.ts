import {
  forbiddenField,
  invalidField,
  notSupportedField,
  requiredField,
  type FieldError,
} from '#api/errors/field-error.ts';
import { at, isObject, listOf, objectOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { formatQuantity, tryParseQuantity } from '#api/meta/quantity.ts';
import { givenChoiceErrors } from '#api/validation/field.ts';
import { dnsSubdomain, formatErrors } from '#api/validation/format.ts';
import { labelSelectorErrors } from '#api/validation/label-selector.ts';
import { annotationErrors, labelErrors } from '#api/validation/labels.ts';

/** Complaints about the claim that a pod brings for one of its volumes (ValidatePersistentVolumeClaimTemplate). */
export function claimTemplateErrors(template: unknown, path: string): readonly FieldError[] {
  if (!isObject(template)) return [requiredField(path)];
  const metadata = objectOf(template['metadata']);
  return [
    ...annotationErrors(metadata['annotations'], `${path}.metadata.annotations`),
    ...labelErrors(metadata['labels'], `${path}.metadata.labels`),
    ...Object.keys(metadata)
      .filter((name) => name !== 'annotations' && name !== 'labels')
      .map((name) => forbiddenField(`${path}.metadata.${name}`, 'cannot be set')),
    ...claimSpecErrors(objectOf(template['spec']), `${path}.spec`),
  ];
}

const modes = ['ReadOnlyMany', 'ReadWriteMany', 'ReadWriteOnce', 'ReadWriteOncePod'];

/** What a claim asks for, in a pod and in a StatefulSet (ValidatePersistentVolumeClaimSpec). */
export function claimSpecErrors(spec: JsonObject, path: string): readonly FieldError[] {
  const given = listOf(spec['accessModes']).map(stringOf);
  const field = `${path}.accessModes`;
  const isMixed = given.includes('ReadWriteOncePod') && given.some((mode) => mode !== 'ReadWriteOncePod');
  const className = stringOf(spec['storageClassName']);
  return [
    ...(given.length === 0 ? [requiredField(field, 'at least 1 access mode is required')] : []),
    ...labelSelectorErrors(spec['selector'], `${path}.selector`),
    ...given.flatMap((mode) => (modes.includes(mode) ? [] : [notSupportedField(field, mode, modes)])),
    ...(isMixed ? [forbiddenField(field, 'may not use ReadWriteOncePod with other access modes')] : []),
    ...sizeErrors(at(spec, 'resources.requests.storage'), `${path}.resources[storage]`),
    ...(className === '' ? [] : formatErrors(`${path}.storageClassName`, className, dnsSubdomain)),
    ...givenChoiceErrors(`${path}.volumeMode`, spec['volumeMode'], ['Block', 'Filesystem']),
  ];
}

function sizeErrors(size: unknown, field: string): readonly FieldError[] {
  const amount = tryParseQuantity(size);
  if (amount === undefined) return [requiredField(field)];
  return amount.nanos > 0n ? [] : [invalidField(field, formatQuantity(amount), 'must be greater than zero')];
}
