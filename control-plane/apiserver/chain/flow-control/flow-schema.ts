import type {
  FlowSchema,
  Subject,
  NonResourcePolicyRule,
  PolicyRulesWithSubjects,
  ResourcePolicyRule,
} from '#api/generated/objects.ts';
import type { Attributes, ResourceAttributes } from '#control-plane/apiserver/chain/authz/authorizer.ts';
import type { User } from '#control-plane/apiserver/serve/request.ts';

/** A FlowSchema as requests are compared with it. */
export interface SchemaRules {
  readonly name: string;
  readonly uid: string;
  /** Name of its level. */
  readonly level: string;
  readonly precedence: number;
  readonly distinguisher: 'ByUser' | 'ByNamespace' | undefined;
  readonly rules: readonly SchemaRule[];
}

/** Whose requests, and which of them. */
export interface SchemaRule {
  readonly subjects: readonly Subject[];
  readonly requests: RequestRules;
}

export interface RequestRules {
  readonly resources: readonly ResourceRule[];
  readonly paths: readonly PathRule[];
}

/** undefined: all. */
type Names = ReadonlySet<string> | undefined;

interface ResourceRule {
  readonly verbs: Names;
  readonly groups: Names;
  /** `pods`, `pods/status`. */
  readonly resources: Names;
  readonly isOfCluster: boolean;
  readonly namespaces: Names;
}

interface PathRule {
  readonly verbs: Names;
  readonly paths: readonly string[];
}

/** Pure. */
export function readFlowSchema({ metadata, spec }: FlowSchema): SchemaRules {
  const method = spec?.distinguisherMethod?.type;
  return {
    name: metadata?.name ?? '',
    uid: metadata?.uid ?? '',
    level: spec?.priorityLevelConfiguration.name ?? '',
    precedence: spec?.matchingPrecedence ?? 0,
    distinguisher: method === 'ByUser' || method === 'ByNamespace' ? method : undefined,
    rules: (spec?.rules ?? []).map(readRule),
  };
}

function readRule({ subjects, resourceRules, nonResourceRules }: PolicyRulesWithSubjects): SchemaRule {
  return {
    subjects,
    requests: {
      resources: (resourceRules ?? []).map(readResourceRule),
      paths: (nonResourceRules ?? []).map(readPathRule),
    },
  };
}

function readResourceRule(rule: ResourcePolicyRule): ResourceRule {
  return {
    verbs: namesOf(rule.verbs),
    groups: namesOf(rule.apiGroups),
    resources: namesOf(rule.resources),
    isOfCluster: rule.clusterScope === true,
    namespaces: namesOf(rule.namespaces ?? []),
  };
}

function readPathRule({ verbs, nonResourceURLs }: NonResourcePolicyRule): PathRule {
  return { verbs: namesOf(verbs), paths: nonResourceURLs };
}

/** `*` stands alone where it stands: validation sees to that. */
function namesOf(names: readonly string[]): Names {
  return names.length === 1 && names[0] === '*' ? undefined : new Set(names);
}

/** Whether the user is one of the subjects. */
export function isSubject(subjects: readonly Subject[], { name, groups }: User): boolean {
  return subjects.some(({ kind, user, group, serviceAccount }) => {
    switch (kind) {
      case 'User':
        return user !== undefined && (user.name === '*' || user.name === name);
      case 'Group':
        return group !== undefined && (group.name === '*' || groups.includes(group.name));
      case 'ServiceAccount': {
        if (serviceAccount === undefined) return false;
        const all = `system:serviceaccount:${serviceAccount.namespace}:`;
        return serviceAccount.name === '*' ? name.startsWith(all) : name === `${all}${serviceAccount.name}`;
      }
      default:
        return false;
    }
  });
}

/** Whether what is asked is one of these requests. */
export function isRequestOf({ resources, paths }: RequestRules, attributes: Attributes): boolean {
  if (attributes.kind === 'resource') return resources.some((rule) => isResourceOf(rule, attributes));
  const { verb, path } = attributes;
  return paths.some((rule) => has(rule.verbs, verb) && rule.paths.some((url) => isPathOf(url, path)));
}

function isResourceOf(rule: ResourceRule, attributes: ResourceAttributes): boolean {
  const { verb, group, resource, subresource, namespace } = attributes;
  if (!has(rule.verbs, verb) || !has(rule.groups, group)) return false;
  if (
    rule.resources !== undefined &&
    !rule.resources.has(subresource === '' ? resource : `${resource}/${subresource}`)
  )
    return false;
  return namespace === '' ? rule.isOfCluster : has(rule.namespaces, namespace);
}

function has(names: Names, name: string): boolean {
  return names === undefined || names.has(name);
}

/** A path stands for all that is below it, too (kubernetes, matchPolicyRuleNonResourceURL). */
function isPathOf(url: string, path: string): boolean {
  if (url === '*' || url === path) return true;
  const start = url.endsWith('*') ? url.slice(0, -1) : url;
  return path.startsWith(start.endsWith('/') ? start : `${start}/`);
}
