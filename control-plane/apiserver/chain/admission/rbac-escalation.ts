import type { ClusterRole, ClusterRoleBinding, PolicyRule } from '#api/generated/objects.ts';
import { forbidden, notFound } from '#api/errors/status.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { equalJson, objectOf, typed } from '#api/wire/json.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import { masters } from '#control-plane/apiserver/chain/authz/privileged.ts';
import {
  compactRules,
  describeRule,
  notHeld,
} from '#control-plane/apiserver/chain/authz/rbac/policy-rule.ts';
import type { User } from '#control-plane/apiserver/serve/request.ts';
import type { AdmissionContext, AdmissionPlugin, AdmissionRequest } from './admission.ts';

const group = 'rbac.authorization.k8s.io';
const roleKinds = ['roles', 'clusterroles'].map((resource) => builtIn(group, 'v1', resource));
const bindingKinds = ['rolebindings', 'clusterrolebindings'].map((resource) =>
  builtIn(group, 'v1', resource),
);
const everything: readonly PolicyRule[] = [
  { verbs: ['*'], apiGroups: ['*'], resources: ['*'] },
  { verbs: ['*'], nonResourceURLs: ['*'] },
];

/**
 * Nobody gives more than they have (pkg/registry/rbac, policybased storage): a role has no rule, and a binding no role, that who writes it
 * does not hold, unless they may `escalate`, or `bind`. Upstream has it in the storage of these kinds, for no option to leave it out.
 */
export const rbacEscalation: AdmissionPlugin = {
  name: 'RBACEscalation',
  handles: ({ operation, kind, subresource }) =>
    (operation === 'create' || operation === 'update') &&
    subresource === '' &&
    (roleKinds.includes(kind) || bindingKinds.includes(kind))
      ? 'mayWait'
      : 'no',
  validate: async (context, request) => {
    const { kind, user } = request.attributes;
    if (user.groups.includes(masters) || isForCollector(request)) return;
    await (roleKinds.includes(kind) ? checkRole(context, request) : checkBinding(context, request));
  },
};

/**
 * Whether an update changes only what the garbage collector writes (rbac, IsOnlyMutatingGCFields). Anything else is judged as if it were
 * new: by a label alone, all that a role has may become a part of another one.
 */
function isForCollector({ object, old }: AdmissionRequest): boolean {
  if (object === undefined || old === undefined) return false;
  return equalJson(withoutCollected(object), withoutCollected(old));
}

const collected: ReadonlySet<string> = new Set([
  ...['ownerReferences', 'finalizers', 'managedFields', 'resourceVersion'],
]);

function withoutCollected(object: JsonObject): JsonObject {
  const metadata = Object.entries(objectOf(object['metadata'])).filter(([name]) => !collected.has(name));
  return { ...object, metadata: Object.fromEntries(metadata) };
}

async function checkRole(context: AdmissionContext, request: AdmissionRequest): Promise<void> {
  const { kind, namespace, name } = request.attributes;
  const { rules, aggregationRule } = typed<ClusterRole>(request.object ?? {});
  const old = typed<ClusterRole>(request.old ?? {});
  if (await may(context, request, { verb: 'escalate', resource: kind.resource, namespace, name })) return;
  const asked = { context, request };
  refuse(asked, missing(asked, rules ?? [], namespace));
  if (aggregationRule !== undefined || old.aggregationRule !== undefined) {
    if (missing(asked, everything, '').length > 0) {
      throw forbidden(kind, name, 'must have cluster-admin privileges to use the aggregationRule');
    }
  }
}

async function checkBinding(context: AdmissionContext, request: AdmissionRequest): Promise<void> {
  const { kind, namespace } = request.attributes;
  const { roleRef } = typed<ClusterRoleBinding>(request.object ?? {});
  const resource = roleRef.kind === 'Role' ? 'roles' : 'clusterroles';
  if (await may(context, request, { verb: 'bind', resource, namespace, name: roleRef.name })) return;
  const rules = context.books.rbac.rulesOfRole(namespace, roleRef);
  if (rules === undefined) throw notFound(kind, roleRef.name);
  const asked = { context, request };
  refuse(asked, missing(asked, rules, namespace));
}

async function may(
  { authorizer }: AdmissionContext,
  { attributes: { user } }: AdmissionRequest,
  what: {
    readonly verb: string;
    readonly resource: string;
    readonly namespace: string;
    readonly name: string;
  },
): Promise<boolean> {
  const { decision } = await authorizer.decide({ kind: 'resource', user, group, subresource: '', ...what });
  return decision === 'allow';
}

interface Asked {
  readonly context: AdmissionContext;
  readonly request: AdmissionRequest;
}

function missing(
  { context, request }: Asked,
  rules: readonly PolicyRule[],
  namespace: string,
): readonly PolicyRule[] {
  return notHeld(context.books.rbac.held(request.attributes.user, namespace), rules);
}

/** @throws {E_API} 403 where something is missing */
function refuse({ request }: Asked, lacked: readonly PolicyRule[]): void {
  if (lacked.length === 0) return;
  const { kind, name, user } = request.attributes;
  throw forbidden(kind, name, describeEscalation(user, lacked));
}

function describeEscalation({ name, groups }: User, lacked: readonly PolicyRule[]): string {
  const listed = groups.map((one) => JSON.stringify(one)).join(' ');
  const rules = compactRules(lacked).map(describeRule).join('\n');
  return `user ${JSON.stringify(name)} (groups=[${listed}]) is attempting to grant RBAC permissions not currently held:\n${rules}`;
}
