import {
  forbiddenField,
  invalidField,
  notSupportedStruct,
  requiredField,
  type FieldError,
} from '#api/errors/field-error.ts';
import { goStruct } from '#api/errors/go-struct.ts';
import { at, numberOf, objectOf, typed } from '#api/wire/json.ts';
import { acted } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { deploymentCells } from '#api/table/workload.ts';
import { amountOf, immutable, intOrPercentErrors, nonNegative, shareErrors } from '#api/validation/field.ts';
import { selectorErrors, statusCountErrors } from '#api/validation/workload.ts';
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
  // Its ReplicaSets have them, too.
  generationCounts: ['metadata.annotations'],
  validate: (deployment) => [
    ...nonNegative(deployment, ['spec.replicas']),
    ...selectorErrors(deployment, 'deployment'),
    ...strategyErrors(deployment),
    ...nonNegative(deployment, ['spec.minReadySeconds', 'spec.revisionHistoryLimit']),
    ...deadlineErrors(deployment),
  ],
  validateUpdate: immutable('spec.selector', undefined, 'meta.v1.LabelSelector'),
  validateStatusUpdate: statusCountErrors({
    counts: [
      'observedGeneration',
      'replicas',
      'updatedReplicas',
      'readyReplicas',
      'availableReplicas',
      'unavailableReplicas',
      'terminatingReplicas',
      'collisionCount',
    ],
    parts: ['updatedReplicas', 'readyReplicas', 'availableReplicas'],
    ready: 'cannot be greater than readyReplicas',
  }),
  validatesAll: true,
  cells: (object, now) => deploymentCells(typed(object), now),
};

const strategies = ['Recreate', 'RollingUpdate'];

function strategyErrors(deployment: JsonObject): readonly FieldError[] {
  const strategy = objectOf(at(deployment, 'spec.strategy'));
  const { type, rollingUpdate: rolling } = strategy;
  const path = 'spec.strategy.rollingUpdate';
  if (type === 'Recreate') {
    const detail = "may not be specified when strategy `type` is 'Recreate'";
    return rolling === undefined ? [] : [forbiddenField(path, detail)];
  }
  if (type !== 'RollingUpdate') {
    const shown = goStruct('Strategy', strategy, { RollingUpdate: 'RollingUpdate' });
    return [notSupportedStruct('spec.strategy', shown, strategies)];
  }
  if (rolling === undefined) return [requiredField(path, 'this should be defaulted and never be nil')];
  const { maxUnavailable, maxSurge } = objectOf(rolling);
  return [
    ...intOrPercentErrors(maxUnavailable, `${path}.maxUnavailable`),
    ...intOrPercentErrors(maxSurge, `${path}.maxSurge`),
    ...(amountOf(maxUnavailable) === 0 && amountOf(maxSurge) === 0
      ? [invalidField(`${path}.maxUnavailable`, maxUnavailable ?? 0, 'may not be 0 when `maxSurge` is 0')]
      : []),
    ...shareErrors(maxUnavailable, `${path}.maxUnavailable`),
  ];
}

function deadlineErrors(deployment: JsonObject): readonly FieldError[] {
  const field = 'spec.progressDeadlineSeconds';
  const deadline = at(deployment, field);
  if (typeof deadline !== 'number') return [];
  const isLonger = deadline > numberOf(at(deployment, 'spec.minReadySeconds'));
  return [
    ...nonNegative(deployment, [field]),
    ...(isLonger ? [] : [invalidField(field, deadline, 'must be greater than minReadySeconds')]),
  ];
}
