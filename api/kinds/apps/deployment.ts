import { forbiddenField, invalidField, type FieldError } from '#api/errors/field-error.ts';
import { at, numberOf, objectOf, typed } from '#api/wire/json.ts';
import { acted } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { deploymentCells } from '#api/table/workload.ts';
import { immutable, intOrPercentErrors, shareErrors, nonNegative } from '#api/validation/field.ts';
import { selectorErrors } from '#api/validation/workload.ts';
import { newNameWarnings } from '#api/warnings/name.ts';

/** Rules of Deployments. */
export const deploymentRules: KindRules = {
  effect: acted('control-plane/controllers/deployment/reconcile.ts'),
  defaults: [
    ['spec.replicas', 1],
    ['spec.strategy', {}],
    ['spec.strategy.type', 'RollingUpdate'],
    ['spec.strategy.rollingUpdate', (strategy) => (strategy['type'] === 'RollingUpdate' ? {} : undefined)],
    ['spec.strategy.rollingUpdate.maxUnavailable', '25%'],
    ['spec.strategy.rollingUpdate.maxSurge', '25%'],
    ['spec.revisionHistoryLimit', 10],
    ['spec.progressDeadlineSeconds', 600],
  ],
  podSpec: { path: 'spec.template.spec', isTemplate: true },
  warnings: newNameWarnings,
  keepsLabelsOnStatus: true,
  validate: (deployment) => [
    ...nonNegative(deployment, ['spec.replicas']),
    ...selectorErrors(deployment, 'deployment'),
    ...strategyErrors(deployment),
    ...nonNegative(deployment, ['spec.minReadySeconds', 'spec.revisionHistoryLimit']),
    ...deadlineErrors(deployment),
  ],
  validateUpdate: immutable('spec.selector'),
  cells: (object, now) => deploymentCells(typed(object), now),
};

function strategyErrors(deployment: JsonObject): readonly FieldError[] {
  const strategy = objectOf(at(deployment, 'spec.strategy'));
  const rolling = strategy['rollingUpdate'];
  if (strategy['type'] === 'Recreate') {
    const detail = "may not be specified when strategy `type` is 'Recreate'";
    return rolling === undefined ? [] : [forbiddenField('spec.strategy.rollingUpdate', detail)];
  }
  const isZero = (value: unknown): boolean => value === 0 || value === '0%';
  const { maxUnavailable, maxSurge } = objectOf(rolling);
  const path = 'spec.strategy.rollingUpdate';
  return [
    ...intOrPercentErrors(maxUnavailable, `${path}.maxUnavailable`),
    ...intOrPercentErrors(maxSurge, `${path}.maxSurge`),
    ...(isZero(maxUnavailable) && isZero(maxSurge)
      ? [invalidField(`${path}.maxUnavailable`, maxUnavailable, 'may not be 0 when `maxSurge` is 0')]
      : []),
    ...shareErrors(maxUnavailable, `${path}.maxUnavailable`),
  ];
}

function deadlineErrors(deployment: JsonObject): readonly FieldError[] {
  const deadline = at(deployment, 'spec.progressDeadlineSeconds');
  if (typeof deadline !== 'number') return [];
  if (deadline < 0) return nonNegative(deployment, ['spec.progressDeadlineSeconds']);
  return deadline > numberOf(at(deployment, 'spec.minReadySeconds'))
    ? []
    : [invalidField('spec.progressDeadlineSeconds', deadline, 'must be greater than minReadySeconds')];
}
