import type { ClusterRoleBinding, PolicyRule, RbacV1Subject, RoleRef } from '#api/generated/objects.ts';
import type { Attributes } from '#control-plane/apiserver/chain/authz/authorizer.ts';
import type { User } from '#control-plane/apiserver/serve/request.ts';
import { allows } from './policy-rule.ts';

/** A binding, as one subject of it sees it. */
interface Grant {
  /** Where the binding is; '' for all of the cluster. */
  readonly namespace: string;
  readonly binding: string;
  readonly role: RoleRef;
  readonly subject: RbacV1Subject;
}

/** A rule that somebody has, and through what. */
export interface HeldRule {
  readonly rule: PolicyRule;
  readonly grant: Grant;
}

const userPrefix = 'u:';
const groupPrefix = 'g:';

/**
 * Roles and bindings as they are now, found by who asks: a request costs what its user and groups are bound to in the cluster and in one
 * namespace, however many bindings there are of others.
 */
export class RbacBook {
  /** By `namespace/name`; of ClusterRoles the namespace is ''. */
  readonly #roles = new Map<string, readonly PolicyRule[]>();
  /** By subject, then by the namespace of the binding, then by role (many bindings are of few), then by binding. */
  readonly #grants = new Map<string, Map<string, Map<string, Map<string, Grant>>>>();

  putRole(namespace: string, name: string, rules: readonly PolicyRule[] = []): void {
    this.#roles.set(`${namespace}/${name}`, rules);
  }

  removeRole(namespace: string, name: string): void {
    this.#roles.delete(`${namespace}/${name}`);
  }

  /** undefined: there is none. */
  rulesOfRole(namespace: string, roleRef: RoleRef): readonly PolicyRule[] | undefined {
    return this.#roles.get(roleKey(namespace, roleRef));
  }

  putBinding({
    metadata: { name = '', namespace = '' } = {},
    roleRef,
    subjects = [],
  }: ClusterRoleBinding): void {
    for (const subject of subjects) {
      const key = keyOf(subject, namespace);
      if (key === undefined) continue;
      const byNamespace = ensure(this.#grants, key, () => new Map<string, Map<string, Map<string, Grant>>>());
      const byRole = ensure(byNamespace, namespace, () => new Map<string, Map<string, Grant>>());
      const grants = ensure(byRole, roleKey(namespace, roleRef), () => new Map<string, Grant>());
      grants.set(name, { namespace, binding: name, role: roleRef, subject });
    }
  }

  removeBinding({
    metadata: { name = '', namespace = '' } = {},
    roleRef,
    subjects = [],
  }: ClusterRoleBinding): void {
    for (const subject of subjects) {
      const key = keyOf(subject, namespace);
      const byNamespace = key === undefined ? undefined : this.#grants.get(key);
      const byRole = byNamespace?.get(namespace);
      const role = roleKey(namespace, roleRef);
      const grants = byRole?.get(role);
      if (key === undefined || byNamespace === undefined || byRole === undefined || grants === undefined)
        continue;
      grants.delete(name);
      if (grants.size === 0) byRole.delete(role);
      if (byRole.size === 0) byNamespace.delete(namespace);
      if (byNamespace.size === 0) this.#grants.delete(key);
    }
  }

  /** The first rule that allows it; those of the whole cluster come first. */
  find(attributes: Attributes): HeldRule | undefined {
    const namespace = attributes.kind === 'path' ? '' : attributes.namespace;
    const keys = keysOfUser(attributes.user);
    return (
      this.#findIn('', keys, attributes) ??
      (namespace === '' ? undefined : this.#findIn(namespace, keys, attributes))
    );
  }

  /** All that a user may do in a namespace; '' for what they may everywhere. */
  held(user: User, namespace: string): readonly PolicyRule[] {
    return [...this.#grantsOf(user, namespace)].flatMap((grant) => this.#rulesOf(grant));
  }

  /** By a binding of this namespace. Every request asks: without a generator. */
  #findIn(namespace: string, keys: readonly string[], attributes: Attributes): HeldRule | undefined {
    for (const key of keys) {
      const byRole = this.#grants.get(key)?.get(namespace);
      if (byRole === undefined) continue;
      for (const grants of byRole.values()) {
        const [grant] = grants.values();
        if (grant === undefined) continue;
        for (const rule of this.#rulesOf(grant)) if (allows(rule, attributes)) return { rule, grant };
      }
    }
    return undefined;
  }

  /** One for each role. */
  *#grantsOf(user: User, namespace: string): Generator<Grant> {
    const keys = keysOfUser(user);
    for (const where of namespace === '' ? [''] : ['', namespace]) {
      for (const key of keys) {
        for (const grants of this.#grants.get(key)?.get(where)?.values() ?? []) {
          const [first] = grants.values();
          if (first !== undefined) yield first;
        }
      }
    }
  }

  #rulesOf({ namespace, role }: Grant): readonly PolicyRule[] {
    return this.rulesOfRole(namespace, role) ?? [];
  }
}

const keysOfUsers = new WeakMap<User, readonly string[]>();

function keysOfUser(user: User): readonly string[] {
  let keys = keysOfUsers.get(user);
  if (keys === undefined) {
    keys = [`${userPrefix}${user.name}`, ...user.groups.map((group) => `${groupPrefix}${group}`)];
    keysOfUsers.set(user, keys);
  }
  return keys;
}

/** Where the rules of a role are kept, that is named by a binding of a namespace. */
function roleKey(namespace: string, { kind, name }: RoleRef): string {
  return `${kind === 'Role' ? namespace : ''}/${name}`;
}

/** Whom a subject is; undefined for what nobody is. An account without a namespace is one of the binding's. */
function keyOf({ kind, name, namespace }: RbacV1Subject, own: string): string | undefined {
  if (kind === 'User') return `${userPrefix}${name}`;
  if (kind === 'Group') return `${groupPrefix}${name}`;
  if (kind !== 'ServiceAccount') return undefined;
  const where = namespace === undefined || namespace === '' ? own : namespace;
  return where === '' ? undefined : `${userPrefix}system:serviceaccount:${where}:${name}`;
}

/** `RoleBinding "viewer/acc" of ClusterRole "view" to ServiceAccount "viewer/acc"` (the words of a review). */
export function describeGrant({ namespace, binding, role, subject }: Grant): string {
  const who =
    subject.kind === 'ServiceAccount' ? `${subject.name}/${subject.namespace ?? namespace}` : subject.name;
  const what =
    namespace === ''
      ? `ClusterRoleBinding ${JSON.stringify(binding)}`
      : `RoleBinding ${JSON.stringify(`${binding}/${namespace}`)}`;
  return `${what} of ${role.kind} ${JSON.stringify(role.name)} to ${subject.kind} ${JSON.stringify(who)}`;
}

function ensure<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) map.set(key, (value = make()));
  return value;
}
