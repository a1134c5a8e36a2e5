import {
  invalidField,
  invalidStruct,
  notSupportedStruct,
  requiredField,
  type FieldError,
} from '#api/errors/field-error.ts';
import { goValue } from '#api/errors/go-value.ts';
import { goStruct } from '#api/errors/go-struct.ts';
import { at, equalJson, isObject, objectOf, stringOf, typed, withPath } from '#api/wire/json.ts';
import { acted } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { daemonSetCells } from '#api/table/workload.ts';
import { amountOf, immutable, intOrPercentErrors, nonNegative, shareErrors } from '#api/validation/field.ts';
import { labelSelectorErrors } from '#api/validation/label-selector.ts';
import {
  isEmptySelector,
  labelMatchErrors,
  labelMismatch,
  statusCountErrors,
  stayingErrors,
} from '#api/validation/workload.ts';

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
  podSpec: { path: 'spec.template.spec', isTemplate: true, toldWith: 'spec.template' },
  prepareCreate: (set) => withTemplateGeneration(set, Math.max(templateGenerationOf(set), 1)),
  prepareUpdate: (old, set) => {
    const generation = templateGenerationOf(old);
    const isSame = equalJson(at(old, 'spec.template'), at(set, 'spec.template'));
    return withTemplateGeneration(set, isSame ? generation : generation + 1);
  },
  // Upstream has it in the spec.
  prepareStatusUpdate: (old, set) =>
    templateGenerationOf(old) === 0 ? set : withTemplateGeneration(set, templateGenerationOf(old)),
  validate: (set) => [
    ...selectionErrors(set),
    ...nonNegative(set, ['spec.minReadySeconds']),
    ...strategyErrors(set),
    ...nonNegative(set, ['spec.revisionHistoryLimit']),
  ],
  validateUpdate: immutable('spec.selector', undefined, 'meta.v1.LabelSelector'),
  validateStatusUpdate: statusCountErrors({
    counts: [
      'currentNumberScheduled',
      'numberMisscheduled',
      'desiredNumberScheduled',
      'numberReady',
      'observedGeneration',
      'updatedNumberScheduled',
      'numberAvailable',
      'numberUnavailable',
      'collisionCount',
    ],
  }),
  validatesAll: true,
  cells: (object, now) => daemonSetCells(typed(object), now),
};

/** The DaemonSet's template generation, which lives in an annotation since apps/v1. */
const templateGenerationAnnotation = 'deprecated.daemonset.template.generation';

function templateGenerationOf(set: JsonObject): number {
  const text = stringOf(at(set, ['metadata', 'annotations', templateGenerationAnnotation]));
  return /^-?\d+$/.test(text) ? Number(text) : 0;
}

function withTemplateGeneration(set: JsonObject, generation: number): JsonObject {
  return withPath(set, ['metadata', 'annotations', templateGenerationAnnotation], String(generation));
}

/** The selector is looked at in another order than others' are, and what is missing is said of the labels that nothing selects. */
function selectionErrors(set: JsonObject): readonly FieldError[] {
  const selector = at(set, 'spec.selector');
  const template = objectOf(at(set, 'spec.template'));
  const wrong = labelSelectorErrors(selector, 'spec.selector');
  if (!isObject(selector)) return [labelMismatch(template), ...stayingErrors(template, 'daemonset')];
  return [
    ...wrong,
    ...(wrong.length > 0 ? [] : labelMatchErrors(selector, template)),
    ...(isEmptySelector(selector)
      ? [
          invalidStruct(
            'spec.selector',
            goValue('meta.v1.LabelSelector', selector),
            'empty selector is invalid for daemonset',
          ),
        ]
      : []),
    ...stayingErrors(template, 'daemonset'),
  ];
}

const strategies = ['RollingUpdate', 'OnDelete'];

/** Old pods go first, or new ones come first: one of the two, and not none. */
function strategyErrors(set: JsonObject): readonly FieldError[] {
  const strategy = objectOf(at(set, 'spec.updateStrategy'));
  const { type, rollingUpdate } = strategy;
  const path = 'spec.updateStrategy.rollingUpdate';
  if (type === 'OnDelete') return [];
  if (type !== 'RollingUpdate') {
    const shown = goStruct('Strategy', strategy, { RollingUpdate: 'RollingUpdate' });
    return [notSupportedStruct('spec.updateStrategy', shown, strategies)];
  }
  if (rollingUpdate === undefined) return [requiredField(path)];
  const { maxUnavailable, maxSurge } = objectOf(rollingUpdate);
  const [goes, comes] = [amountOf(maxUnavailable) !== 0, amountOf(maxSurge) !== 0];
  const both = 'may not be set when maxUnavailable is non-zero';
  return [
    ...intOrPercentErrors(maxUnavailable, `${path}.maxUnavailable`),
    ...intOrPercentErrors(maxSurge, `${path}.maxSurge`),
    ...shareErrors(maxUnavailable, `${path}.maxUnavailable`),
    ...shareErrors(maxSurge, `${path}.maxSurge`),
    ...(goes && comes ? [invalidField(`${path}.maxSurge`, maxSurge, both)] : []),
    ...(goes || comes ? [] : [requiredField(`${path}.maxUnavailable`, 'cannot be 0 when maxSurge is 0')]),
  ];
}
