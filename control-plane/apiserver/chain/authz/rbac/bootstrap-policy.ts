import { readFileSync } from 'node:fs';
import type { AggregationRule, PolicyRule, RbacV1Subject, RoleRef } from '#api/generated/objects.ts';
import { equalJson } from '#api/wire/json.ts';
import type { Kind } from '#api/schema/kinds.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import { notHeld } from './policy-rule.ts';

/** A role or a binding that every cluster has, without what all of them have. */
export interface BootstrapObject {
  readonly name: string;
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly rules?: readonly PolicyRule[];
  readonly aggregationRule?: AggregationRule;
  readonly roleRef?: RoleRef;
  readonly subjects?: readonly RbacV1Subject[];
  /** Of one that Kubernetes does not have: what it is for, shown as its description. */
  readonly why?: string;
}

const resources = ['clusterroles', 'clusterrolebindings', 'roles', 'rolebindings'] as const;
type Policy = Readonly<Record<(typeof resources)[number], readonly BootstrapObject[]>>;

/** Facts of a 1.36 (plugin/pkg/auth/authorizer/rbac/bootstrappolicy). */
const policy = read('bootstrap-policy.json');
/** What our own parts need that have no like in Kubernetes, or do more than theirs. */
const ownPolicy = read('podwright-policy.json');

function read(file: string): Policy {
  return JSON.parse(readFileSync(new URL(file, import.meta.url), 'utf8')) as Policy;
}

const bootstrapping = { 'kubernetes.io/bootstrapping': 'rbac-defaults' };
const autoUpdate = 'rbac.authorization.kubernetes.io/autoupdate';
const description = 'kubernetes.io/description';

/** An object of the policy, as it is created. */
export interface Wanted extends BootstrapObject {
  readonly kind: Kind;
  readonly annotations: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
}

/** All of them, roles before what binds them. */
export function bootstrapPolicy(): readonly Wanted[] {
  return resources.flatMap((resource) => {
    const kind = builtIn('rbac.authorization.k8s.io', 'v1', resource);
    return [...policy[resource], ...ownPolicy[resource]].map(({ why, ...object }) => ({
      ...object,
      kind,
      labels: { ...bootstrapping, ...object.labels },
      annotations: { [autoUpdate]: 'true', ...(why === undefined ? {} : { [description]: why }) },
    }));
  });
}

/** The rules of a ClusterRole of the policy. */
export function bootstrapRules(clusterRole: string): readonly PolicyRule[] {
  return policy.clusterroles.find(({ name }) => name === clusterRole)?.rules ?? [];
}

/** The part of a stored role or binding that the policy has a say in. */
export interface Present {
  readonly metadata?: {
    readonly labels?: Readonly<Record<string, string>> | undefined;
    readonly annotations?: Readonly<Record<string, string>> | undefined;
  };
  readonly rules?: readonly PolicyRule[] | undefined;
  readonly aggregationRule?: AggregationRule | undefined;
  readonly roleRef?: RoleRef | undefined;
  readonly subjects?: readonly RbacV1Subject[] | undefined;
}

/** What is to be done about an object of the policy that is there: to leave it, to write it so, or to make it anew. */
export type Reconciled =
  | { readonly action: 'keep' }
  | { readonly action: 'recreate' }
  | { readonly action: 'update'; readonly object: Present };

/**
 * Gives a stored object what the policy has and it lacks; what somebody added stays. One whose annotation says so is left alone. The role
 * of a binding cannot be changed in place. (pkg/registry/rbac/reconciliation)
 */
export function reconcile(present: Present, wanted: Wanted): Reconciled {
  const { labels = {}, annotations = {} } = present.metadata ?? {};
  if (annotations[autoUpdate] !== 'true') return { action: 'keep' };
  if (wanted.roleRef !== undefined && !equalJson(present.roleRef, wanted.roleRef))
    return { action: 'recreate' };
  const next: Present = {
    ...present,
    metadata: { ...present.metadata, labels: { ...wanted.labels, ...labels } },
    ...(wanted.aggregationRule === undefined
      ? withRules(present.rules, wanted.rules)
      : { aggregationRule: withSelectors(present.aggregationRule, wanted.aggregationRule) }),
    ...withSubjects(present.subjects, wanted.subjects),
  };
  return equalJson(next, present) ? { action: 'keep' } : { action: 'update', object: next };
}

function withRules(present: readonly PolicyRule[] = [], wanted: readonly PolicyRule[] | undefined): Present {
  if (wanted === undefined) return {};
  const missing = wanted.filter((rule) => notHeld(present, [rule]).length > 0);
  return missing.length === 0 ? {} : { rules: [...present, ...missing] };
}

function withSelectors(present: AggregationRule | undefined, wanted: AggregationRule): AggregationRule {
  const own = present?.clusterRoleSelectors ?? [];
  const missing = (wanted.clusterRoleSelectors ?? []).filter(
    (selector) => !own.some((one) => equalJson(one, selector)),
  );
  return { clusterRoleSelectors: [...own, ...missing] };
}

function withSubjects(
  present: readonly RbacV1Subject[] = [],
  wanted: readonly RbacV1Subject[] | undefined,
): Present {
  const missing = (wanted ?? []).filter((subject) => !present.some((one) => equalJson(one, subject)));
  return missing.length === 0 ? {} : { subjects: [...present, ...missing] };
}
