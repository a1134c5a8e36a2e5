import { forbiddenField, requiredField, type FieldError } from '#api/errors/field-error.ts';
import { isObject, objectOf } from '#api/wire/json.ts';
import { annotationErrors, labelErrors } from '#api/validation/labels.ts';
import { claimSpecErrors } from '#api/validation/parts/claim-spec.ts';

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
