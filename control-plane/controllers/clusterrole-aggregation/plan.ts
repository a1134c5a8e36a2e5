import type { ClusterRole, PolicyRule } from '#api/generated/objects.ts';
import { equalJson } from '#api/wire/json.ts';
import { labelSelectorFromObject, matchesLabels } from '#api/meta/selector.ts';

/**
 * The rules of a role that is made of others: those of every role that one of its selectors takes, in the order of their names, each once.
 * undefined: the role is made of no others. (pkg/controller/clusterroleaggregation)
 */
export function aggregatedRules(
  role: ClusterRole,
  all: readonly ClusterRole[],
): readonly PolicyRule[] | undefined {
  const { aggregationRule, metadata } = role;
  if (aggregationRule === undefined) return undefined;
  const matchers = (aggregationRule.clusterRoleSelectors ?? []).map(labelSelectorFromObject);
  const rules: PolicyRule[] = [];
  for (const other of all.toSorted((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1))) {
    if (nameOf(other) === (metadata?.name ?? '')) continue;
    if (!matchers.some((matcher) => matchesLabels(matcher, other.metadata?.labels ?? {}))) continue;
    rules.push(...(other.rules ?? []).filter((rule) => !rules.some((known) => equalJson(known, rule))));
  }
  return rules;
}

function nameOf({ metadata }: ClusterRole): string {
  return metadata?.name ?? '';
}
