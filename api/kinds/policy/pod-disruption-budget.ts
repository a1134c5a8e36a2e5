import { invalidStruct } from '#api/errors/field-error.ts';
import { goStruct } from '#api/errors/go-struct.ts';
import { at, objectOf, typed } from '#api/wire/json.ts';
import { acted } from '#api/kinds/effect.ts';
import type { KindRules } from '#api/kinds/rules.ts';
import { disruptionBudgetCells } from '#api/table/workload.ts';
import { intOrPercentErrors, nonNegative, shareErrors } from '#api/validation/field.ts';
import { labelSelectorErrors } from '#api/validation/label-selector.ts';
import { conditionErrors } from '#api/validation/parts/conditions.ts';

const counts = ['disruptionsAllowed', 'currentHealthy', 'desiredHealthy', 'expectedPods'].map(
  (name) => `status.${name}`,
);

/** Rules of PodDisruptionBudgets. */
export const podDisruptionBudgetRules: KindRules = {
  effect: acted('control-plane/controllers/disruption/reconcile.ts'),
  updatesNameRevision: true,
  updateChecks: ['metadata', 'object'],
  validate: (budget) => {
    const { minAvailable, maxUnavailable } = objectOf(budget['spec']);
    return [
      ...(minAvailable !== undefined && maxUnavailable !== undefined
        ? [
            invalidStruct(
              'spec',
              goStruct('PodDisruptionBudgetSpec', budget['spec']),
              'minAvailable and maxUnavailable cannot be both set',
            ),
          ]
        : []),
      ...intOrPercentErrors(minAvailable, 'spec.minAvailable'),
      ...shareErrors(minAvailable, 'spec.minAvailable'),
      ...intOrPercentErrors(maxUnavailable, 'spec.maxUnavailable'),
      ...shareErrors(maxUnavailable, 'spec.maxUnavailable'),
      ...labelSelectorErrors(at(budget, 'spec.selector'), 'spec.selector'),
    ];
  },
  validateStatus: (budget) => [...conditionErrors(budget), ...nonNegative(budget, counts)],
  cells: (object, now) => disruptionBudgetCells(typed(object), now),
};
