import type { NamedRuleWithOperations } from '#api/generated/objects.ts';
import type { Kind } from '#api/schema/kinds.ts';
import type { Operation } from '#control-plane/apiserver/chain/admission/operation.ts';

/** What a rule is asked about. Whether there is a namespace the kind says: a Namespace itself is cluster-scoped. */
export interface RuleQuestion {
  readonly operation: Operation;
  readonly kind: Pick<Kind, 'group' | 'version' | 'resource' | 'namespaced'>;
  /** '' for the object itself. */
  readonly subresource: string;
}

/** Whether the rule is about it, whatever the name (apiserver/pkg/admission/plugin/webhook/predicates/rules). */
export function matchesRule(rule: NamedRuleWithOperations, question: RuleQuestion): boolean {
  const { group, version } = question.kind;
  return (
    hasText(rule.operations, question.operation.toUpperCase()) &&
    hasText(rule.apiGroups, group) &&
    hasText(rule.apiVersions, version) &&
    (rule.resources ?? []).some((text) => matchesResource(text, question)) &&
    matchesScope(rule, question)
  );
}

function hasText(texts: readonly string[] | undefined, wanted: string): boolean {
  return texts?.some((text) => text === '*' || text === wanted) === true;
}

/** `pods`, `pods/log`, `pods/*`, `*` (no subresource), `*` + `/scale` or all: `*` + `/*`. */
function matchesResource(text: string, { kind, subresource }: RuleQuestion): boolean {
  const slash = text.indexOf('/');
  const resource = slash < 0 ? text : text.slice(0, slash);
  const sub = slash < 0 ? '' : text.slice(slash + 1);
  return (resource === '*' || resource === kind.resource) && (sub === '*' || sub === subresource);
}

function matchesScope({ scope = '*' }: NamedRuleWithOperations, { kind }: RuleQuestion): boolean {
  return scope === '*' || (scope === 'Namespaced') === kind.namespaced;
}
