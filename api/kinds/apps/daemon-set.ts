import { invalidField, requiredField, type FieldError } from '#api/errors/field-error.ts';
import { at, equalJson, objectOf, typed, withPath } from '#api/wire/json.ts';
import { acted } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { daemonSetCells } from '#api/table/workload.ts';
import { immutable, intOrPercentErrors, nonNegative, shareErrors } from '#api/validation/field.ts';
import { selectorErrors } from '#api/validation/workload.ts';

/** Rules of DaemonSets: they count the changes of their template. */
export const daemonSetRules: KindRules = {
  effect: acted('control-plane/controllers/daemonset/reconcile.ts'),
  defaults: [
    ['spec.updateStrategy', {}],
    ['spec.updateStrategy.type', 'RollingUpdate'],
    [
      'spec.updateStrategy.rollingUpdate',
      (strategy) => (strategy['type'] === 'RollingUpdate' ? {} : undefined),
    ],
    ['spec.updateStrategy.rollingUpdate.maxUnavailable', 1],
    ['spec.updateStrategy.rollingUpdate.maxSurge', 0],
    ['spec.revisionHistoryLimit', 10],
  ],
  podSpec: { path: 'spec.template.spec', isTemplate: true },
  prepareCreate: (set) => withTemplateGeneration(set, 1),
  prepareUpdate: (old, set) => {
    const generation = Number(at(old, ['metadata', 'annotations', templateGenerationAnnotation]) ?? 0);
    const isSame = equalJson(at(old, 'spec.template'), at(set, 'spec.template'));
    return withTemplateGeneration(set, isSame ? generation : generation + 1);
  },
  validate: (set) => [
    ...selectorErrors(set, 'daemonset'),
    ...nonNegative(set, ['spec.minReadySeconds', 'spec.revisionHistoryLimit']),
    ...rollingErrors(set),
  ],
  validateUpdate: immutable('spec.selector'),
  cells: (object, now) => daemonSetCells(typed(object), now),
};

/** The DaemonSet's template generation, which lives in an annotation since apps/v1. */
const templateGenerationAnnotation = 'deprecated.daemonset.template.generation';

function withTemplateGeneration(set: JsonObject, generation: number): JsonObject {
  return withPath(set, ['metadata', 'annotations', templateGenerationAnnotation], String(generation));
}

/** Old pods go first, or new ones come first: one of the two, and not none. */
function rollingErrors(set: JsonObject): readonly FieldError[] {
  if (at(set, 'spec.updateStrategy.type') !== 'RollingUpdate') return [];
  const path = 'spec.updateStrategy.rollingUpdate';
  const { maxUnavailable, maxSurge } = objectOf(at(set, path));
  const some = (value: unknown): boolean => Number.parseInt(String(value ?? 0), 10) !== 0;
  const errors = [
    ...intOrPercentErrors(maxUnavailable, `${path}.maxUnavailable`),
    ...shareErrors(maxUnavailable, `${path}.maxUnavailable`),
    ...intOrPercentErrors(maxSurge, `${path}.maxSurge`),
    ...shareErrors(maxSurge, `${path}.maxSurge`),
  ];
  if (some(maxUnavailable) && some(maxSurge)) {
    const detail = 'may not be set when maxUnavailable is non-zero';
    return [...errors, invalidField(`${path}.maxSurge`, maxSurge, detail)];
  }
  return some(maxUnavailable) || some(maxSurge)
    ? errors
    : [...errors, requiredField(`${path}.maxUnavailable`, 'cannot be 0 when maxSurge is 0')];
}
