import { invalidField } from '#api/errors/field-error.ts';
import { numberOf, typed } from '#api/wire/json.ts';
import { acted } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import { controllerRevisionCells } from '#api/table/workload.ts';
import { immutable } from '#api/validation/field.ts';

/** Rules of ControllerRevisions. */
export const controllerRevisionRules: KindRules = {
  effect: acted('control-plane/controllers/pods/revisions.ts'),
  tracksGeneration: false,
  validate: (revision) =>
    numberOf(revision['revision']) < 0
      ? [invalidField('revision', revision['revision'], 'must be greater than or equal to 0')]
      : [],
  validateUpdate: immutable('data'),
  cells: (object, now) => controllerRevisionCells(typed(object), now),
};
