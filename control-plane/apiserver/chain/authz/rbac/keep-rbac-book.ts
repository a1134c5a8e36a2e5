import type { ClusterRole, ClusterRoleBinding } from '#api/generated/objects.ts';
import { typed } from '#api/wire/json.ts';
import { builtIn } from '#control-plane/apiserver/built-in.ts';
import { mirrorAll, type MirrorParts, type MirrorSink } from '#control-plane/apiserver/objects/mirror.ts';
import type { RbacBook } from './rbac-book.ts';

const group = 'rbac.authorization.k8s.io';

/** Keeps a book of the roles and bindings that are stored. Resolves when it has all of them. */
export function keepRbacBook(parts: MirrorParts, book: RbacBook): Promise<Disposable> {
  const [roles, bindings] = [roleSink(book), bindingSink(book)];
  return mirrorAll(parts, [
    [builtIn(group, 'v1', 'roles'), roles],
    [builtIn(group, 'v1', 'clusterroles'), roles],
    [builtIn(group, 'v1', 'rolebindings'), bindings],
    [builtIn(group, 'v1', 'clusterrolebindings'), bindings],
  ]);
}

function roleSink(book: RbacBook): MirrorSink {
  const named = new Map<string, readonly [namespace: string, name: string]>();
  return {
    put: ({ key, object }) => {
      const { metadata: { namespace = '', name = '' } = {}, rules } = typed<ClusterRole>(object);
      named.set(key, [namespace, name]);
      book.putRole(namespace, name, rules);
    },
    remove: (key) => {
      const [namespace = '', name = ''] = named.get(key) ?? [];
      named.delete(key);
      book.removeRole(namespace, name);
    },
  };
}

function bindingSink(book: RbacBook): MirrorSink {
  const known = new Map<string, ClusterRoleBinding>();
  const forget = (key: string): void => {
    const before = known.get(key);
    if (before !== undefined) book.removeBinding(before);
    known.delete(key);
  };
  return {
    put: ({ key, object }) => {
      forget(key);
      const { metadata: { namespace, name } = {}, roleRef, subjects } = typed<ClusterRoleBinding>(object);
      const binding = { metadata: { namespace, name }, roleRef, subjects };
      known.set(key, binding);
      book.putBinding(binding);
    },
    remove: forget,
  };
}
