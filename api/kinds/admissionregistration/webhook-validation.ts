import {
  duplicateField,
  invalidField,
  notSupportedField,
  requiredField,
  type FieldError,
} from '#api/errors/field-error.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { equalJson, listOf, objectOf, objectsOf, stringOf } from '#api/wire/json.ts';
import { givenChoiceErrors, when } from '#api/validation/field.ts';
import { dns1035Label, dnsSubdomain, formatErrors } from '#api/validation/format.ts';
import { labelSelectorErrors } from '#api/validation/label-selector.ts';
import { webhookClientErrors } from '#api/validation/parts/webhook-client.ts';
import { matchConditionErrors } from './match-condition-validation.ts';
import { compileCondition } from '#api/cel/admission/compile-policy.ts';
import { matchPolicyErrors, requestRuleErrors } from './request-rule-validation.ts';

const failurePolicies = ['Fail', 'Ignore'];
const reinvocationPolicies = ['IfNeeded', 'Never'];
const harmless = ['None', 'NoneOnDryRun'];
const sideEffectChoices = ['None', 'NoneOnDryRun', 'Some', 'Unknown'];
const reviewVersions = ['v1', 'v1beta1'];
const secondsMax = 30;

/** What an update may leave as it found it (validationOptions of kubernetes pkg/apis/admissionregistration/validation). */
interface Tolerance {
  readonly sideEffects: boolean;
  readonly reviewVersions: boolean;
  readonly repeatedNames: boolean;
  readonly selectors: boolean;
  readonly matchConditions: boolean;
}

/** Complaints about a configuration of webhooks. */
export function validateWebhookConfiguration(
  configuration: JsonObject,
  old?: JsonObject,
): readonly FieldError[] {
  const hooks = objectsOf(configuration['webhooks']);
  const tolerance = toleranceOf(objectsOf(old?.['webhooks']), hooks, old !== undefined);
  const names = new Set<string>();
  return hooks.flatMap((hook, index) => {
    const path = `webhooks[${index}]`;
    const name = stringOf(hook['name']);
    const isRepeated = name !== '' && names.has(name);
    names.add(name);
    return [
      ...hookErrors(hook, path, tolerance),
      ...versionErrors(
        listOf(hook['admissionReviewVersions']).map(stringOf),
        `${path}.admissionReviewVersions`,
        tolerance,
      ),
      ...when(isRepeated && !tolerance.repeatedNames, () => duplicateField(`${path}.name`, name)),
    ];
  });
}

function toleranceOf(
  before: readonly JsonObject[],
  after: readonly JsonObject[],
  isUpdate: boolean,
): Tolerance {
  const names = before.map(({ name }) => name);
  return {
    sideEffects: before.some(({ sideEffects }) => !harmless.includes(stringOf(sideEffects))),
    reviewVersions: before.some(
      ({ admissionReviewVersions: versions }) => !hasKnownVersion(listOf(versions)),
    ),
    repeatedNames: new Set(names).size < names.length,
    selectors: before.some((hook) => selectorErrors(hook, '').length > 0),
    matchConditions:
      isUpdate &&
      before.length === after.length &&
      before.every(({ matchConditions }, index) =>
        equalJson(matchConditions, after[index]?.['matchConditions']),
      ),
  };
}

function hookErrors(hook: JsonObject, path: string, tolerance: Tolerance): readonly FieldError[] {
  const { timeoutSeconds: seconds } = hook;
  const isTimed = typeof seconds !== 'number' || (seconds >= 1 && seconds <= secondsMax);
  return [
    ...hookNameErrors(stringOf(hook['name']), `${path}.name`),
    ...objectsOf(hook['rules']).flatMap((rule, index) => requestRuleErrors(rule, `${path}.rules[${index}]`)),
    ...givenChoiceErrors(`${path}.failurePolicy`, hook['failurePolicy'], failurePolicies),
    ...matchPolicyErrors(hook['matchPolicy'], path),
    ...sideEffectErrors(hook['sideEffects'], `${path}.sideEffects`, tolerance),
    ...when(!isTimed, () =>
      invalidField(
        `${path}.timeoutSeconds`,
        seconds,
        `the timeout value must be between 1 and ${secondsMax} seconds`,
      ),
    ),
    ...(tolerance.selectors ? [] : selectorErrors(hook, path)),
    ...givenChoiceErrors(`${path}.reinvocationPolicy`, hook['reinvocationPolicy'], reinvocationPolicies),
    ...webhookClientErrors(objectOf(hook['clientConfig']), `${path}.clientConfig`),
    ...(tolerance.matchConditions
      ? []
      : matchConditionErrors(
          hook['matchConditions'],
          `${path}.matchConditions`,
          (expression) => compileCondition(expression, {}).error,
        )),
  ];
}

/** A domain of three parts or more (IsFullyQualifiedName). */
function hookNameErrors(name: string, field: string): readonly FieldError[] {
  if (name === '') return [requiredField(field)];
  const texts = dnsSubdomain(name);
  if (texts.length > 0) return [invalidField(field, name, texts.join(','))];
  return when(name.split('.').length < 3, () =>
    invalidField(field, name, 'should be a domain with at least three segments separated by dots'),
  );
}

function sideEffectErrors(effects: unknown, field: string, tolerance: Tolerance): readonly FieldError[] {
  const choices = tolerance.sideEffects ? sideEffectChoices : harmless;
  if (effects === undefined) return [requiredField(field, `must specify one of ${choices.join(', ')}`)];
  return when(!choices.includes(stringOf(effects)), () => notSupportedField(field, effects, choices));
}

function selectorErrors(hook: JsonObject, path: string): readonly FieldError[] {
  return ['namespaceSelector', 'objectSelector'].flatMap((selector) =>
    labelSelectorErrors(hook[selector], `${path}.${selector}`),
  );
}

function versionErrors(
  versions: readonly string[],
  field: string,
  tolerance: Tolerance,
): readonly FieldError[] {
  const known = reviewVersions.join(', ');
  if (versions.length === 0) return [requiredField(field, `must specify one of ${known}`)];
  const seen = new Set<string>();
  const each = versions.flatMap((version, index) => {
    const place = `${field}[${index}]`;
    if (seen.has(version)) return [invalidField(place, version, 'duplicate version')];
    seen.add(version);
    return formatErrors(place, version, dns1035Label);
  });
  return [
    ...each,
    ...when(!tolerance.reviewVersions && !hasKnownVersion(versions), () =>
      invalidField(field, versions, `must include at least one of ${known}`),
    ),
  ];
}

function hasKnownVersion(versions: readonly unknown[]): boolean {
  return versions.length === 0 || versions.some((version) => reviewVersions.includes(stringOf(version)));
}
