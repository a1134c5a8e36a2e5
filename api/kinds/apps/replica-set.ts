import { typed } from '#api/wire/json.ts';
import { acted } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import { replicaSetCells } from '#api/table/workload.ts';
import { immutable, nonNegative } from '#api/validation/field.ts';
import { selectorErrors, statusCountErrors } from '#api/validation/workload.ts';
import { newNameWarnings } from '#api/warnings/name.ts';

/** Rules of ReplicaSets. */
export const replicaSetRules: KindRules = {
  effect: acted('control-plane/controllers/replicaset/reconcile.ts'),
  defaults: [['spec.replicas', 1]],
  podSpec: { path: 'spec.template.spec', isTemplate: true },
  warnings: newNameWarnings,
  validate: (set) => [
    ...nonNegative(set, ['spec.replicas', 'spec.minReadySeconds']),
    // Upstream calls both so.
    ...selectorErrors(set, 'deployment'),
  ],
  validateUpdate: immutable('spec.selector', undefined, 'meta.v1.LabelSelector'),
  validateStatusUpdate: statusCountErrors({
    counts: [
      'replicas',
      'fullyLabeledReplicas',
      'readyReplicas',
      'availableReplicas',
      'observedGeneration',
      'terminatingReplicas',
    ],
    parts: ['fullyLabeledReplicas', 'readyReplicas', 'availableReplicas'],
    ready: 'cannot be greater than readyReplicas',
  }),
  validatesAll: true,
  cells: (object, now) => replicaSetCells(typed(object), now),
};
