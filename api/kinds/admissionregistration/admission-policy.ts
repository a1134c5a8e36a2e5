import { matchRules } from '#api/defaults/match-rules.ts';
import type { DefaultRule } from '#api/defaults/rule.ts';
import { at, listOf, stringMapOf } from '#api/wire/json.ts';
import { policies } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { ageOfObject, nameOf } from '#api/table/object.ts';
import { unset } from '#api/table/text.ts';
import {
  validateMutatingPolicy,
  validatePolicyStatus,
  validateValidatingPolicy,
} from './policy-validation.ts';

/** Rules of ValidatingAdmissionPolicies. */
export const validatingPolicyRules: KindRules = {
  effect: policies,
  updatesNameRevision: true,
  defaults: policyRules('spec.matchConstraints'),
  takesAnyFinalizer: true,
  reset: { status: { fields: ['metadata', 'spec'] } },
  updateChecks: ['metadata', 'object'],
  validate: validateValidatingPolicy,
  validatesAll: true,
  validateStatus: validatePolicyStatus,
  cells: (policy, now) => policyCells(policy, 'validations', now),
};

/** Rules of MutatingAdmissionPolicies. */
export const mutatingPolicyRules: KindRules = {
  effect: policies,
  updatesNameRevision: true,
  defaults: policyRules('spec.matchConstraints'),
  takesAnyFinalizer: true,
  updateChecks: ['metadata', 'object'],
  validate: validateMutatingPolicy,
  validatesAll: true,
  cells: (policy, now) => policyCells(policy, 'mutations', now),
};

function policyRules(match: string): readonly DefaultRule[] {
  return [['spec.failurePolicy', 'Fail'], ...matchRules(match)];
}

function policyCells(policy: JsonObject, field: string, now: number): readonly unknown[] {
  const { apiVersion, kind } = stringMapOf(at(policy, 'spec.paramKind'));
  const paramKind = kind === undefined ? unset : `${apiVersion}/${kind}`;
  return [nameOf(policy), listOf(at(policy, ['spec', field])).length, paramKind, ageOfObject(policy, now)];
}
