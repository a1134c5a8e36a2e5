import { at, listOf, objectsOf, stringOf } from '#api/wire/json.ts';
import type { Kind } from '#api/schema/kinds.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { qosClass } from '#api/pod/qos.ts';

/** Whether the quota counts the object: all of its namespace, or with scopes the pods that every one of them takes in. */
export function isInScope(
  quota: JsonObject,
  { group, resource }: Pick<Kind, 'group' | 'resource'>,
  object: JsonObject,
): boolean {
  const selectors = selectorsOf(quota);
  if (selectors.length === 0) return true;
  return group === '' && resource === 'pods' && selectors.every((selector) => takesIn(selector, object));
}

interface ScopeSelector {
  readonly scope: string;
  readonly operator: string;
  readonly values: readonly unknown[];
}

function selectorsOf(quota: JsonObject): readonly ScopeSelector[] {
  const plain = listOf(at(quota, 'spec.scopes')).map((scope) => ({
    scope: stringOf(scope),
    operator: 'Exists',
    values: [],
  }));
  const selected = objectsOf(at(quota, 'spec.scopeSelector.matchExpressions')).map((one) => ({
    scope: stringOf(one['scopeName']),
    operator: stringOf(one['operator']),
    values: listOf(one['values']),
  }));
  return [...plain, ...selected];
}

function takesIn({ scope, operator, values }: ScopeSelector, pod: JsonObject): boolean {
  if (scope !== 'PriorityClass') return scopes[scope]?.(pod) === true;
  const name = stringOf(at(pod, 'spec.priorityClassName'));
  switch (operator) {
    case 'In':
      return values.includes(name);
    case 'NotIn':
      return !values.includes(name);
    case 'DoesNotExist':
      return name === '';
    default:
      return name !== '';
  }
}

const scopes: Readonly<Record<string, (pod: JsonObject) => boolean>> = {
  Terminating: (pod) => at(pod, 'spec.activeDeadlineSeconds') !== undefined,
  NotTerminating: (pod) => at(pod, 'spec.activeDeadlineSeconds') === undefined,
  BestEffort: (pod) => qosClass(pod) === 'BestEffort',
  NotBestEffort: (pod) => qosClass(pod) !== 'BestEffort',
  CrossNamespacePodAffinity: (pod) =>
    ['podAffinity', 'podAntiAffinity'].some((affinity) =>
      reachesOut(at(pod, ['spec', 'affinity', affinity])),
    ),
};

function reachesOut(affinity: unknown): boolean {
  const preferred = objectsOf(at(affinity, 'preferredDuringSchedulingIgnoredDuringExecution'));
  const terms = [
    ...objectsOf(at(affinity, 'requiredDuringSchedulingIgnoredDuringExecution')),
    ...preferred.map((one) => at(one, 'podAffinityTerm')),
  ];
  return terms.some(
    (term) => listOf(at(term, 'namespaces')).length > 0 || at(term, 'namespaceSelector') !== undefined,
  );
}
