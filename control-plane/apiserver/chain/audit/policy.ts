import { notSupportedField, renderFieldError, requiredField, invalidField } from '#api/errors/field-error.ts';
import type { FieldError } from '#api/errors/field-error.ts';
import { dnsSubdomain } from '#api/validation/format.ts';
import { PodwrightError } from '#base/errors.ts';
import type { Attributes, ResourceAttributes } from '#control-plane/apiserver/chain/authz/authorizer.ts';
import { readConfiguration, type Shape } from '#control-plane/apiserver/configuration/read-configuration.ts';

/** How much is written of a request: nothing; who, what, when and with which code; the body that came; the answer, too. */
export type Level = 'None' | 'Metadata' | 'Request' | 'RequestResponse';
/** When it is written: before the request is done, when a long answer begins, at the end, instead of the end where the server failed. */
export type Stage = 'RequestReceived' | 'ResponseStarted' | 'ResponseComplete' | 'Panic';

export const levels: readonly Level[] = ['None', 'Metadata', 'Request', 'RequestResponse'];
const stages: readonly Stage[] = ['RequestReceived', 'ResponseStarted', 'ResponseComplete', 'Panic'];

/** audit.k8s.io/v1 Policy. The first rule that fits counts; where none does, nothing is written. */
export interface Policy {
  readonly rules: readonly PolicyRule[];
  readonly omitStages?: readonly Stage[];
  readonly omitManagedFields?: boolean;
}

export interface PolicyRule {
  /** undefined only before it is found missing. */
  readonly level: Level | undefined;
  readonly users?: readonly string[];
  readonly userGroups?: readonly string[];
  readonly verbs?: readonly string[];
  readonly resources?: readonly GroupResources[];
  readonly namespaces?: readonly string[];
  readonly nonResourceURLs?: readonly string[];
  readonly omitStages?: readonly Stage[];
  readonly omitManagedFields?: boolean;
}

export interface GroupResources {
  readonly group?: string;
  /** `pods`, `pods/log`, `pods/*`, `*\/scale`, `*`; all of the group without. */
  readonly resources?: readonly string[];
  readonly resourceNames?: readonly string[];
}

/** What a policy says of one request. */
export interface Ruling {
  readonly level: Level;
  readonly omitStages: ReadonlySet<Stage>;
  readonly omitManagedFields: boolean;
}

const texts: Shape = ['string'];
const fields: { readonly [field: string]: Shape } = {
  rules: [
    {
      level: 'string',
      users: texts,
      userGroups: texts,
      verbs: texts,
      resources: [{ group: 'string', resources: texts, resourceNames: texts }],
      namespaces: texts,
      nonResourceURLs: texts,
      omitStages: texts,
      omitManagedFields: 'boolean',
    },
  ],
  omitStages: texts,
  omitManagedFields: 'boolean',
};

/** Reads the text of an audit policy file. @throws {E_USAGE} */
export function parsePolicy(text: string): Policy {
  const document = readConfiguration(text, { kind: 'Policy', apiVersions: ['audit.k8s.io/v1'], fields });
  const policy = { rules: [], ...document } as Policy; // As `fields` says; what they hold is checked now.
  if (policy.rules.length === 0) throw new PodwrightError('E_USAGE', 'it has no rules');
  const errors = validatePolicy(policy);
  if (errors.length > 0) throw new PodwrightError('E_USAGE', errors.map(renderFault).join(', '));
  return policy;
}

function renderFault(error: FieldError): string {
  return `${error.field}: ${renderFieldError(error)}`;
}

/** What is wrong with a policy (apiserver/pkg/apis/audit/validation). Pure. */
export function validatePolicy({ rules, omitStages }: Policy): readonly FieldError[] {
  return [
    ...stageErrors('omitStages', omitStages),
    ...rules.flatMap((rule, index) => ruleErrors(rule, `rules[${index}]`)),
  ];
}

function ruleErrors(rule: PolicyRule, path: string): readonly FieldError[] {
  const { level, nonResourceURLs = [], resources = [], namespaces = [] } = rule;
  const errors: FieldError[] = [];
  if (level === undefined) errors.push(requiredField(`${path}.level`));
  else if (!levels.includes(level)) errors.push(notSupportedField(`${path}.level`, level, [...levels]));
  nonResourceURLs.forEach((url, index) =>
    errors.push(...urlErrors(url, `${path}.nonResourceURLs[${index}]`)),
  );
  resources.forEach((group, index) => errors.push(...groupErrors(group, `${path}.resources[${index}]`)));
  if (nonResourceURLs.length > 0 && resources.length + namespaces.length > 0) {
    const detail = 'rules cannot apply to both regular resources and non-resource URLs';
    errors.push(invalidField(`${path}.nonResourceURLs`, nonResourceURLs, detail));
  }
  return [...errors, ...stageErrors(`${path}.omitStages`, rule.omitStages)];
}

function urlErrors(url: string, path: string): readonly FieldError[] {
  if (url === '*') return [];
  if (!url.startsWith('/')) {
    return [invalidField(path, url, "non-resource URL rules must begin with a '/' character")];
  }
  return url.slice(0, -1).includes('*')
    ? [invalidField(path, url, "non-resource URL wildcards '*' must be the final character of the rule")]
    : [];
}

function groupErrors(
  { group = '', resources = [], resourceNames = [] }: GroupResources,
  path: string,
): readonly FieldError[] {
  const errors: FieldError[] = [];
  if (group.includes('/')) {
    errors.push(
      invalidField(`${path}.group`, group, 'must be a group without its version, as apps or batch'),
    );
  } else if (group !== '') {
    const wrong = dnsSubdomain(group);
    if (wrong.length > 0) errors.push(invalidField(`${path}.group`, group, wrong.join(',')));
  }
  if (resourceNames.length > 0 && resources.length === 0) {
    const detail = 'using resourceNames requires at least one resource';
    errors.push(invalidField(`${path}.resourceNames`, resourceNames, detail));
  }
  return errors;
}

function stageErrors(path: string, given: readonly string[] = []): readonly FieldError[] {
  return given.flatMap((stage, index) =>
    stages.some((known) => known === stage)
      ? []
      : [notSupportedField(`${path}[${index}]`, stage, [...stages])],
  );
}

/** What the policy says, ready to be asked for every request. */
export function compilePolicy(policy: Policy): (asked: Attributes) => Ruling {
  const omitted = policy.omitStages ?? [];
  const nothing: Ruling = { level: 'None', omitStages: new Set(omitted), omitManagedFields: false };
  const rules = policy.rules.map((rule) => ({
    fits: compileRule(rule),
    ruling: {
      level: rule.level ?? 'None',
      omitStages: new Set([...omitted, ...(rule.omitStages ?? [])]),
      omitManagedFields: rule.omitManagedFields ?? policy.omitManagedFields ?? false,
    },
  }));
  return (asked) => rules.find(({ fits }) => fits(asked))?.ruling ?? nothing;
}

/** Lists that are empty ask nothing (apiserver/pkg/audit/policy, ruleMatches). */
function compileRule(rule: PolicyRule): (asked: Attributes) => boolean {
  const users = setOf(rule.users);
  const groups = setOf(rule.userGroups);
  const verbs = setOf(rule.verbs);
  const namespaces = setOf(rule.namespaces);
  const { resources = [], nonResourceURLs = [] } = rule;
  return (asked) => {
    if (users !== undefined && !users.has(asked.user.name)) return false;
    if (groups !== undefined && !asked.user.groups.some((group) => groups.has(group))) return false;
    if (verbs !== undefined && !verbs.has(asked.verb)) return false;
    if (namespaces !== undefined || resources.length > 0) {
      if (asked.kind !== 'resource') return false;
      if (namespaces !== undefined && !namespaces.has(asked.namespace)) return false;
      return resources.length === 0 || resources.some((one) => namesResource(one, asked));
    }
    if (nonResourceURLs.length === 0) return true;
    return asked.kind === 'path' && nonResourceURLs.some((url) => namesPath(url, asked.path));
  };
}

function setOf(given: readonly string[] = []): ReadonlySet<string> | undefined {
  return given.length === 0 ? undefined : new Set(given);
}

function namesResource(
  { group = '', resources = [], resourceNames = [] }: GroupResources,
  { group: ofGroup, resource, subresource, name }: ResourceAttributes,
): boolean {
  if (group !== ofGroup) return false;
  if (resources.length === 0) return true;
  if (resourceNames.length > 0 && !resourceNames.includes(name)) return false;
  const combined = subresource === '' ? resource : `${resource}/${subresource}`;
  return resources.some(
    (one) =>
      one === '*' ||
      one === combined ||
      one === `${resource}/*` ||
      (subresource !== '' && one === `*/${subresource}`),
  );
}

function namesPath(url: string, path: string): boolean {
  return url === '*' || url === path || (url.endsWith('*') && path.startsWith(url.slice(0, -1)));
}
