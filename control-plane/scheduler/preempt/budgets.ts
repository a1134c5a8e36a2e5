import type { Pod, PodDisruptionBudget } from '#api/generated/objects.ts';
import { labelSelectorFromObject, matchesLabels, type LabelMatcher } from '#api/meta/selector.ts';

interface Budget {
  readonly namespace: string | undefined;
  readonly selector: LabelMatcher;
  /** Who goes already, and is counted. */
  readonly disrupted: Readonly<Record<string, unknown>>;
  left: number;
}

/** How many more pods of each budget may go: counted down as pods are asked about. */
export class Budgets {
  readonly #budgets: readonly Budget[];

  constructor(budgets: readonly PodDisruptionBudget[]) {
    this.#budgets = budgets.map(({ metadata, spec, status }) => ({
      namespace: metadata?.namespace,
      selector: labelSelectorFromObject(spec?.selector),
      disrupted: status?.disruptedPods ?? {},
      left: status?.disruptionsAllowed ?? 0,
    }));
  }

  /** Whether all budgets of the pod let it go; a budget that selects nothing by a label is none here. */
  allow({ metadata }: Pod): boolean {
    const { namespace, name = '', labels = {} } = metadata ?? {};
    if (Object.keys(labels).length === 0) return true;
    let isAllowed = true;
    for (const budget of this.#budgets) {
      if (budget.namespace !== namespace || budget.selector.requirements.length === 0) continue;
      if (!matchesLabels(budget.selector, labels) || Object.hasOwn(budget.disrupted, name)) continue;
      if (--budget.left < 0) isAllowed = false;
    }
    return isAllowed;
  }
}
