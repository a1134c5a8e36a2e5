import type { PolicyRule } from '#api/generated/objects.ts';
import type { Attributes } from '#control-plane/apiserver/chain/authz/authorizer.ts';

/** Whether a rule of a role allows this (pkg/apis/rbac/v1, evaluation helpers). */
export function allows(rule: PolicyRule, attributes: Attributes): boolean {
  if (!matches(rule.verbs, attributes.verb)) return false;
  if (attributes.kind === 'path') return allowsPath(rule.nonResourceURLs, attributes.path);
  const { group, resource, subresource, name } = attributes;
  return (
    matches(rule.apiGroups, group) &&
    allowsResource(rule.resources, resource, subresource) &&
    allowsName(rule.resourceNames, name)
  );
}

function matches(values: readonly string[] = [], value: string): boolean {
  return values.includes(value) || values.includes('*');
}

function allowsPath(urls: readonly string[] = [], path: string): boolean {
  return urls.some(
    (url) => url === '*' || url === path || (url.endsWith('*') && path.startsWith(url.slice(0, -1))),
  );
}

function allowsResource(resources: readonly string[] = [], resource: string, subresource: string): boolean {
  if (subresource === '') return matches(resources, resource);
  return matches(resources, `${resource}/${subresource}`) || resources.includes(`*/${subresource}`);
}

/** Without names: all of them. */
function allowsName(names: readonly string[] = [], name: string): boolean {
  return names.length === 0 || names.includes(name);
}

/**
 * Of the rules that are to be given, the smallest parts that who gives them does not hold: one group, one resource, one name, with the verbs
 * (pkg/registry/rbac/validation, Covers and BreakdownRule).
 */
export function notHeld(held: readonly PolicyRule[], given: readonly PolicyRule[]): readonly PolicyRule[] {
  return given.flatMap(partsOf).filter((part) => !held.some((rule) => covers(rule, part)));
}

/** Each combination of what a rule lists, one verb each. */
function partsOf(rule: PolicyRule): readonly PolicyRule[] {
  const { apiGroups = [], resources = [], resourceNames = [], nonResourceURLs = [], verbs } = rule;
  const ofResources = apiGroups.flatMap((group) =>
    resources.flatMap((resource) =>
      verbs.flatMap((verb): readonly PolicyRule[] => {
        const part = { verbs: [verb], apiGroups: [group], resources: [resource] };
        return resourceNames.length === 0
          ? [part]
          : resourceNames.map((name) => ({ ...part, resourceNames: [name] }));
      }),
    ),
  );
  const ofPaths = nonResourceURLs.flatMap((url) =>
    verbs.map((verb): PolicyRule => ({ verbs: [verb], nonResourceURLs: [url] })),
  );
  return [...ofResources, ...ofPaths];
}

/** Whether a rule holds all of a part. */
function covers(rule: PolicyRule, part: PolicyRule): boolean {
  const { verbs, apiGroups = [], resources = [], resourceNames = [], nonResourceURLs = [] } = part;
  if (!verbs.every((verb) => matches(rule.verbs, verb))) return false;
  if (nonResourceURLs.length > 0) {
    return nonResourceURLs.every((url) => (rule.nonResourceURLs ?? []).some((own) => coversUrl(own, url)));
  }
  const { resourceNames: ownNames = [] } = rule;
  return (
    apiGroups.every((group) => matches(rule.apiGroups, group)) &&
    resources.every((resource) => coversResource(rule.resources ?? [], resource)) &&
    (ownNames.length === 0 ||
      (resourceNames.length > 0 && resourceNames.every((name) => ownNames.includes(name))))
  );
}

function coversUrl(own: string, url: string): boolean {
  return own === url || (own.endsWith('*') && url.startsWith(own.slice(0, -1)));
}

function coversResource(own: readonly string[], resource: string): boolean {
  if (matches(own, resource)) return true;
  const slash = resource.indexOf('/');
  return slash >= 0 && own.includes(`*${resource.slice(slash)}`);
}

/** Rules that differ in nothing but their verbs as one each, in order (CompactRules, then sorted as upstream prints them). */
export function compactRules(rules: readonly PolicyRule[]): readonly PolicyRule[] {
  const byRest = new Map<string, { rule: PolicyRule; verbs: string[] }>();
  for (const rule of rules) {
    const { verbs, ...rest } = rule;
    const key = JSON.stringify(rest);
    const known = byRest.get(key);
    if (known === undefined) byRest.set(key, { rule, verbs: [...verbs] });
    else known.verbs.push(...verbs.filter((verb) => !known.verbs.includes(verb)));
  }
  return [...byRest.values()]
    .map(({ rule, verbs }) => ({ ...rule, verbs }))
    .toSorted((a, b) => (describeRule(a) < describeRule(b) ? -1 : 1));
}

/** `{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}` (rbac.PolicyRule.CompactString). */
export function describeRule(rule: PolicyRule): string {
  const part = (name: string, values: readonly string[] = []): readonly string[] =>
    values.length === 0 ? [] : [`${name}:[${values.map((value) => JSON.stringify(value)).join(' ')}]`];
  return `{${[
    ...part('APIGroups', rule.apiGroups),
    ...part('Resources', rule.resources),
    ...part('NonResourceURLs', rule.nonResourceURLs),
    ...part('ResourceNames', rule.resourceNames),
    ...part('Verbs', rule.verbs),
  ].join(', ')}}`;
}
