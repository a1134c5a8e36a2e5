import { at, listOf, objectsOf, stringOf } from '#api/wire/json.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { qosClass } from '#api/pod/qos.ts';
import { attributesClassesOf } from './claim-usage.ts';
import { endsByItself } from './pod-usage.ts';
import type { KindName } from './usage.ts';

/** What a quota, or a limit of a server's configuration, says of the objects that it is about. */
export interface ScopeSelector {
  readonly scope: string;
  /** In, NotIn, Exists or DoesNotExist. */
  readonly operator: string;
  readonly values: readonly string[];
}

/** Whether the quota counts the object: all of its namespace, or with scopes what every one of them takes in. */
export function isInScope(quota: JsonObject, kind: KindName, object: JsonObject): boolean {
  return selectorsOf(quota).every((selector) => takesIn(selector, kind, object));
}

/** The scopes of a quota, those of the older field first. */
export function selectorsOf(quota: JsonObject): readonly ScopeSelector[] {
  const plain = listOf(at(quota, 'spec.scopes')).map((scope) => ({
    ...{ scope: stringOf(scope), operator: 'Exists', values: [] },
  }));
  return [...plain, ...objectsOf(at(quota, 'spec.scopeSelector.matchExpressions')).map(selectorOf)];
}

/** Of a core/v1 ScopedResourceSelectorRequirement. */
export function selectorOf(requirement: JsonObject): ScopeSelector {
  return {
    scope: stringOf(requirement['scopeName']),
    operator: stringOf(requirement['operator']),
    values: listOf(requirement['values']).map(stringOf),
  };
}

/** Whether the scope takes the object in. Pods have scopes, and claims of volumes; no scope takes in anything else. */
export function takesIn(selector: ScopeSelector, { group, resource }: KindName, object: JsonObject): boolean {
  const { scope } = selector;
  switch (`${group}/${resource}`) {
    case '/pods':
      return scope === 'PriorityClass'
        ? namesOne(selector, [stringOf(at(object, 'spec.priorityClassName'))].filter(Boolean))
        : scopes[scope]?.(object) === true;
    case '/persistentvolumeclaims':
      return scope === 'VolumeAttributesClass' && namesOne(selector, attributesClassesOf(object));
    default:
      return false;
  }
}

/** As a label selector judges each of the names, or a label that is not there. */
function namesOne({ operator, values }: ScopeSelector, names: readonly string[]): boolean {
  switch (operator) {
    case 'In':
      return names.some((name) => values.includes(name));
    case 'NotIn':
      return names.length === 0 || names.some((name) => !values.includes(name));
    case 'DoesNotExist':
      return names.length === 0;
    default:
      return names.length > 0;
  }
}

const scopes: Readonly<Record<string, (pod: JsonObject) => boolean>> = {
  Terminating: endsByItself,
  NotTerminating: (pod) => !endsByItself(pod),
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
