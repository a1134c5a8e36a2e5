import { matchRules } from '#api/defaults/match-rules.ts';
import { at, isObject, stringMapOf, typed } from '#api/wire/json.ts';
import { policies } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import { goSelector } from '#api/meta/go-selector.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { ageOfObject, nameOf, text } from '#api/table/object.ts';
import { unset } from '#api/table/text.ts';
import { validateMutatingBinding, validateValidatingBinding } from './policy-binding-validation.ts';

const policyBindingRules: KindRules = {
  effect: policies,
  updatesNameRevision: true,
  defaults: matchRules('spec.matchResources'),
  takesAnyFinalizer: true,
  updateChecks: ['metadata', 'object'],
  validatesAll: true,
  cells: policyBindingCells,
};

/** Rules of ValidatingAdmissionPolicyBindings. */
export const validatingBindingRules: KindRules = {
  ...policyBindingRules,
  validate: validateValidatingBinding,
};

/** Rules of MutatingAdmissionPolicyBindings. */
export const mutatingBindingRules: KindRules = {
  ...policyBindingRules,
  validate: validateMutatingBinding,
};

function policyBindingCells(binding: JsonObject, now: number): readonly unknown[] {
  const policy = text(binding, 'spec.policyName', '');
  return [nameOf(binding), policy, parameterText(binding), ageOfObject(binding, now)];
}

/** Whether parameters are in namespaces is not known here: one without is of any (printers/internalversion). */
function parameterText(binding: JsonObject): string {
  const { namespace = '*', name } = stringMapOf(at(binding, 'spec.paramRef'));
  if (name !== undefined) return `${namespace}/${name}`;
  const selector = at(binding, 'spec.paramRef.selector');
  return isObject(selector) ? goSelector(typed(selector)) : unset;
}
