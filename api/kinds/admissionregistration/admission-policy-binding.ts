import { matchRules } from '#api/defaults/match-rules.ts';
import { at, stringMapOf } from '#api/wire/json.ts';
import { policies } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
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
  const { namespace, name } = stringMapOf(at(binding, 'spec.paramRef'));
  const reference = name === undefined ? unset : namespace === undefined ? name : `${namespace}/${name}`;
  return [nameOf(binding), text(binding, 'spec.policyName', ''), reference, ageOfObject(binding, now)];
}
