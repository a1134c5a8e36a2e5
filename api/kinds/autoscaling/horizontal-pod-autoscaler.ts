import { invalidField, type FieldError } from '#api/errors/field-error.ts';
import { numberOf, objectOf, typed, type Draft } from '#api/wire/json.ts';
import { unacted } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import { autoscalerCells } from '#api/table/workload.ts';

/** Rules of HorizontalPodAutoscalers, of both versions. */
export const horizontalPodAutoscalerRules: KindRules = {
  effect: unacted('nothing is scaled by it'),
  defaults: [
    ['spec.minReplicas', 1],
    ['spec.targetCPUUtilizationPercentage', (_spec, object) => (isAutoscalingV1(object) ? 80 : undefined)],
    ['spec.metrics', (_spec, object) => (isAutoscalingV1(object) ? undefined : [cpuMetric])],
    ['spec.behavior.scaleUp', {}],
    ['spec.behavior.scaleUp.stabilizationWindowSeconds', 0],
    ['spec.behavior.scaleUp.selectPolicy', 'Max'],
    [
      'spec.behavior.scaleUp.policies',
      [
        { type: 'Pods', value: 4, periodSeconds: 15 },
        { type: 'Percent', value: 100, periodSeconds: 15 },
      ],
    ],
    ['spec.behavior.scaleDown', {}],
    ['spec.behavior.scaleDown.selectPolicy', 'Max'],
    ['spec.behavior.scaleDown.policies', [{ type: 'Percent', value: 100, periodSeconds: 15 }]],
  ],
  tracksGeneration: false,
  validate: (hpa) => {
    const { minReplicas, maxReplicas } = objectOf(hpa['spec']);
    const errors: FieldError[] = [];
    if (typeof minReplicas === 'number' && minReplicas < 1) {
      errors.push(invalidField('spec.minReplicas', minReplicas, 'must be greater than or equal to 1'));
    }
    if (numberOf(maxReplicas) < 1)
      errors.push(invalidField('spec.maxReplicas', maxReplicas ?? 0, 'must be greater than 0'));
    else if (numberOf(maxReplicas) < numberOf(minReplicas)) {
      errors.push(
        invalidField('spec.maxReplicas', maxReplicas, 'must be greater than or equal to `minReplicas`'),
      );
    }
    return errors;
  },
  cells: (object, now) => autoscalerCells(typed(object), now),
};

const cpuMetric = {
  type: 'Resource',
  resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } },
};

function isAutoscalingV1(object: Draft): boolean {
  return object['apiVersion'] === 'autoscaling/v1';
}
