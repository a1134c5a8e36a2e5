import { objectOf, typed, type Draft } from '#api/wire/json.ts';
import { acted } from '#api/kinds/effect.ts';
import { autoscalerFromV1, hasOtherMetrics } from './v1-view.ts';
import type { JsonObject } from '#api/meta/object.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import { autoscalerCells } from '#api/table/workload.ts';
import {
  autoscalerErrors,
  autoscalerStatusErrors,
  targetUpdateErrors,
  targetVersionErrors,
} from './autoscaler-validation.ts';

/** Rules of HorizontalPodAutoscalers, of both versions. */
export const horizontalPodAutoscalerRules: KindRules = {
  effect: acted('control-plane/controllers/horizontal-pod-autoscaler/reconcile.ts'),
  defaults: [
    ['spec.minReplicas', 1],
    [
      'spec.targetCPUUtilizationPercentage',
      (_spec, object) => (isAutoscalingV1(object) && !hasOtherMetrics(object) ? 80 : undefined),
    ],
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
  updateChecks: ['metadata changes', 'object', 'changes'],
  validate: (scaler) => autoscalerErrors(objectOf(scaler['spec'])),
  validateCreate: targetVersionErrors,
  validateUpdate: targetUpdateErrors,
  validateStatus: autoscalerStatusErrors,
  validatesAll: true,
  cells: (object, now) => {
    return autoscalerCells(typed(isAutoscalingV1(object) ? autoscalerFromV1(object) : object), now);
  },
};

const cpuMetric = {
  type: 'Resource',
  resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } },
};

function isAutoscalingV1(object: JsonObject | Draft): boolean {
  return object['apiVersion'] === 'autoscaling/v1';
}
