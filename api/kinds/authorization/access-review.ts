import { forbiddenField, invalidField, requiredField, type FieldError } from '#api/errors/field-error.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { at, isObject, listOf, objectOf, objectsOf, stringOf } from '#api/wire/json.ts';
import { answeredRules } from '#api/kinds/answered.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import { when } from '#api/validation/field.ts';
import { formatErrors, labelValue, qualifiedName } from '#api/validation/format.ts';

/** Rules of SubjectAccessReviews. */
export const subjectAccessReviewRules: KindRules = {
  ...answeredRules,
  validate: (review) => [...subjectErrors(review), ...metadataErrors(review)],
};

/** Rules of LocalSubjectAccessReviews, which are about the namespace that they are in. */
export const localSubjectAccessReviewRules: KindRules = {
  ...answeredRules,
  validate: (review) => [...subjectErrors(review), ...metadataErrors(review), ...localErrors(review)],
};

/** Rules of SelfSubjectAccessReviews. */
export const selfSubjectAccessReviewRules: KindRules = {
  ...answeredRules,
  validate: (review) => [...attributeErrors(review), ...selectorErrors(review), ...metadataErrors(review)],
};

/** Of whom, and what, is asked (kubernetes pkg/apis/authorization/validation). */
function subjectErrors(review: JsonObject): readonly FieldError[] {
  const spec = objectOf(review['spec']);
  const isNobody = stringOf(spec['user']) === '' && listOf(spec['groups']).length === 0;
  return [
    ...attributeErrors(review),
    ...when(isNobody, () => invalidField('spec.user', '', 'at least one of user or group must be specified')),
    ...selectorErrors(review),
  ];
}

function attributeErrors(review: JsonObject): readonly FieldError[] {
  const { resourceAttributes: resource, nonResourceAttributes: path } = objectOf(review['spec']);
  if (isObject(resource) !== isObject(path)) return [];
  return isObject(path)
    ? [
        invalidField(
          'spec.nonResourceAttributes',
          shownPath(path),
          'cannot be specified in combination with resourceAttributes',
        ),
      ]
    : [
        invalidField(
          'spec.resourceAttributes',
          null,
          'exactly one of nonResourceAttributes or resourceAttributes must be specified',
        ),
      ];
}

/** As kube-apiserver shows it: under the names of its own code. */
function shownPath(path: JsonObject): JsonObject {
  return { Path: stringOf(path['path']), Verb: stringOf(path['verb']) };
}

function metadataErrors(review: JsonObject): readonly FieldError[] {
  const { namespace: _namespace, managedFields: _fields, ...rest } = objectOf(review['metadata']);
  const isBare = Object.values(rest).every((value) => value === undefined || value === null || value === '');
  const kept =
    review['kind'] === 'LocalSubjectAccessReview' ? 'must be empty except for namespace' : 'must be empty';
  return when(!isBare, () => invalidField('metadata', review['metadata'], kept));
}

function localErrors(review: JsonObject): readonly FieldError[] {
  const { resourceAttributes: resource, nonResourceAttributes: path } = objectOf(review['spec']);
  const namespace = stringOf(at(resource, 'namespace'));
  return [
    ...when(isObject(resource) && namespace !== stringOf(at(review, 'metadata.namespace')), () =>
      invalidField('spec.resourceAttributes.namespace', namespace, 'must match metadata.namespace'),
    ),
    ...when(isObject(path), () =>
      invalidField(
        'spec.nonResourceAttributes',
        shownPath(objectOf(path)),
        'disallowed on this kind of request',
      ),
    ),
  ];
}

function selectorErrors(review: JsonObject): readonly FieldError[] {
  const resource = objectOf(at(review, 'spec.resourceAttributes'));
  return ['fieldSelector', 'labelSelector'].flatMap((name) => {
    const selector = resource[name];
    return isObject(selector)
      ? oneSelectorErrors(selector, `spec.resourceAttributes.${name}`, name === 'labelSelector')
      : [];
  });
}

/** As text or in parts, of which newer clients may have others. */
function oneSelectorErrors(selector: JsonObject, path: string, isLabels: boolean): readonly FieldError[] {
  const raw = stringOf(selector['rawSelector']);
  const requirements = objectsOf(selector['requirements']);
  return [
    ...when(raw !== '' && requirements.length > 0, () =>
      invalidField(`${path}.rawSelector`, raw, 'may not specified at the same time as requirements'),
    ),
    ...when(raw === '' && requirements.length === 0, () =>
      requiredField(
        `${path}.requirements`,
        `when ${path} is specified, requirements or rawSelector is required`,
      ),
    ),
    ...requirements.flatMap((requirement, index) =>
      requirementErrors(requirement, `${path}.requirements[${index}]`, isLabels),
    ),
  ];
}

function requirementErrors(requirement: JsonObject, path: string, isLabels: boolean): readonly FieldError[] {
  const [key, operator] = [stringOf(requirement['key']), stringOf(requirement['operator'])];
  const values = listOf(requirement['values']).map(stringOf);
  const field = `${path}.values`;
  const isOneOf = operator === 'In' || operator === 'NotIn';
  const isThere = operator === 'Exists' || operator === 'DoesNotExist';
  const valueErrors = [
    ...when(isOneOf && values.length === 0, () =>
      requiredField(field, "must be specified when `operator` is 'In' or 'NotIn'"),
    ),
    ...when(isThere && values.length > 0, () =>
      forbiddenField(field, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"),
    ),
  ];
  if (!isLabels) {
    return [...when(key === '', () => requiredField(`${path}.key`, 'must be specified')), ...valueErrors];
  }
  return [
    ...valueErrors,
    ...formatErrors(`${path}.key`, key, qualifiedName),
    ...values.flatMap((value, index) => formatErrors(`${field}[${index}]`, value, labelValue)),
  ];
}
