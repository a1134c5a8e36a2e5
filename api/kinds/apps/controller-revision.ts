import { invalidField, requiredField, type FieldError } from '#api/errors/field-error.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { isObject, numberOf, typed } from '#api/wire/json.ts';
import { acted } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import { controllerRevisionCells } from '#api/table/workload.ts';
import { immutable } from '#api/validation/field.ts';

/** Rules of ControllerRevisions. */
export const controllerRevisionRules: KindRules = {
  effect: acted('control-plane/controllers/pods/revisions.ts'),
  tracksGeneration: false,
  updateChecks: ['metadata changes', 'metadata', 'object', 'changes'],
  validate: (revision) =>
    numberOf(revision['revision']) < 0
      ? [invalidField('revision', revision['revision'], 'must be greater than or equal to 0')]
      : [],
  validateCreate: dataErrors,
  validateUpdate: immutable('data'),
  validatesAll: true,
  cells: (object, now) => controllerRevisionCells(typed(object), now),
};

/** A revision holds an object of some kind. */
function dataErrors({ data }: JsonObject): readonly FieldError[] {
  if (data === undefined || data === null) return [requiredField('data', 'data is mandatory')];
  return isObject(data) ? [] : [requiredField('data', 'data must be a valid JSON object')];
}
