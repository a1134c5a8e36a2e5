import {
  duplicateField,
  forbiddenField,
  invalidField,
  requiredField,
  type FieldError,
} from '#api/errors/field-error.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { isObject, listOf, objectOf, stringOf } from '#api/wire/json.ts';
import { givenChoiceErrors, when } from '#api/validation/field.ts';
import { dnsSubdomain, formatErrors, pathSegment, requiredText } from '#api/validation/format.ts';
import { labelSelectorErrors } from '#api/validation/label-selector.ts';
import { matchResourcesErrors, mutableOperationErrors } from './request-rule-validation.ts';

const actionChoices = ['Audit', 'Deny', 'Warn'];
const notFoundActions = ['Deny', 'Allow'];

/** Complaints about a ValidatingAdmissionPolicyBinding (kubernetes pkg/apis/admissionregistration/validation). */
export function validateValidatingBinding(binding: JsonObject): readonly FieldError[] {
  const { validationActions } = objectOf(binding['spec']);
  return [
    ...commonErrors(binding),
    ...actionErrors(listOf(validationActions).map(stringOf), 'spec.validationActions'),
  ];
}

/** Complaints about a MutatingAdmissionPolicyBinding. */
export function validateMutatingBinding(binding: JsonObject): readonly FieldError[] {
  const { matchResources } = objectOf(binding['spec']);
  return [...commonErrors(binding), ...mutableOperationErrors(matchResources, 'spec.matchResources')];
}

function commonErrors(binding: JsonObject): readonly FieldError[] {
  const spec = objectOf(binding['spec']);
  const { paramRef } = spec;
  return [
    ...requiredText(spec, 'policyName', 'spec', dnsSubdomain),
    ...(isObject(paramRef) ? paramRefErrors(paramRef, 'spec.paramRef') : []),
    ...matchResourcesErrors(spec['matchResources'], 'spec.matchResources'),
  ];
}

function paramRefErrors(reference: JsonObject, path: string): readonly FieldError[] {
  const { selector, parameterNotFoundAction } = reference;
  const name = stringOf(reference['name']);
  const action = stringOf(parameterNotFoundAction);
  const isBoth = name !== '' && isObject(selector);
  const exclusive = 'name and selector are mutually exclusive';
  return [
    ...(name === '' ? [] : formatErrors(`${path}.name`, name, pathSegment)),
    ...when(isBoth, () => forbiddenField(`${path}.name`, exclusive)),
    ...labelSelectorErrors(selector, `${path}.selector`),
    ...when(isBoth, () => forbiddenField(`${path}.selector`, exclusive)),
    ...when(name === '' && !isObject(selector), () =>
      requiredField(path, 'one of name or selector must be specified'),
    ),
    ...(action === ''
      ? [requiredField(`${path}.parameterNotFoundAction`)]
      : givenChoiceErrors(`${path}.parameterNotFoundAction`, action, notFoundActions)),
  ];
}

function actionErrors(actions: readonly string[], field: string): readonly FieldError[] {
  const seen = new Set<string>();
  const twice =
    'must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)';
  return [
    ...actions.flatMap((action, index) => {
      const isRepeated = seen.has(action);
      seen.add(action);
      return [
        ...givenChoiceErrors(`${field}[${index}]`, action, actionChoices),
        ...when(isRepeated, () => duplicateField(`${field}[${index}]`, action)),
      ];
    }),
    ...when(seen.has('Deny') && seen.has('Warn'), () => invalidField(field, actions, twice)),
    ...when(seen.size === 0, () => requiredField(field, 'at least one validation action is required')),
  ];
}
