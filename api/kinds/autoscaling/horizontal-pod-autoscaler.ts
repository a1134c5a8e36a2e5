import type { Draft } from '#api/json.ts';
import type { KindRules } from '#api/kinds/rules.ts';

/** Rules of HorizontalPodAutoscalers, of both versions. */
export const horizontalPodAutoscalerRules: KindRules = {
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
};

const cpuMetric = {
  type: 'Resource',
  resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } },
};

function isAutoscalingV1(object: Draft): boolean {
  return object['apiVersion'] === 'autoscaling/v1';
}
