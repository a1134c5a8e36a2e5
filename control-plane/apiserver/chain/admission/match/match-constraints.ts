import type { MatchResources, NamedRuleWithOperations } from '#api/generated/objects.ts';
import { labelSelectorFromObject, type LabelMatcher } from '#api/meta/selector.ts';

/** Which requests a webhook, a policy or a binding is about, read once. */
export interface MatchConstraints {
  /** One of them is enough; none matches nothing, but for `matchesAll`. */
  readonly rules: readonly NamedRuleWithOperations[];
  /** Of a binding without rules: whatever its policy is about. */
  readonly matchesAll: boolean;
  /** One of them is enough for it not to be. */
  readonly excluded: readonly NamedRuleWithOperations[];
  /** Whether a rule also means the same objects in other groups and versions. */
  readonly matchesEquivalents: boolean;
  /** Of those that a file brings: they are also about configurations of admission, which nobody in the API has a say in. */
  readonly isStatic: boolean;
  readonly namespaceSelector: LabelMatcher;
  readonly objectSelector: LabelMatcher;
}

const all: LabelMatcher = { requirements: [] };

/** The constraints of a webhook, which calls its rules `rules`, or of a policy or binding. An absent selector selects everything. */
export function matchConstraintsOf(
  match: MatchResources & { readonly rules?: readonly NamedRuleWithOperations[] | undefined },
  {
    matchesAll = false,
    isStatic = false,
  }: { readonly matchesAll?: boolean; readonly isStatic?: boolean } = {},
): MatchConstraints {
  const { namespaceSelector, objectSelector } = match;
  const rules = match.rules ?? match.resourceRules ?? [];
  return {
    rules,
    matchesAll: matchesAll && rules.length === 0,
    excluded: match.excludeResourceRules ?? [],
    isStatic,
    matchesEquivalents: match.matchPolicy !== 'Exact',
    namespaceSelector: namespaceSelector === undefined ? all : labelSelectorFromObject(namespaceSelector),
    objectSelector: objectSelector === undefined ? all : labelSelectorFromObject(objectSelector),
  };
}
