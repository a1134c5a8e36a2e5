import { findKind, type Kind } from '#api/schema/kinds.ts';
import { rulesOf } from '#api/kinds/rules-of.ts';

const folders = new WeakMap<Kind, string>();

function folderOf(kind: Kind): string {
  let folder = folders.get(kind);
  if (folder === undefined) folders.set(kind, (folder = rulesOf(kind).storageFolder ?? plainFolderOf(kind)));
  return folder;
}

/** A custom kind has its group before it, so that a plural which Kubernetes has too is another one. */
function plainFolderOf({ group, version, resource }: Kind): string {
  return findKind(group, version, resource) === undefined ? `${group}/${resource}` : resource;
}

/** The prefix of all objects of a kind (in a namespace, unless that is ''). */
export function keyPrefix(kind: Kind, namespace: string): string {
  const prefix = `/registry/${folderOf(kind)}/`;
  return kind.namespaced && namespace !== '' ? `${prefix}${namespace}/` : prefix;
}

/** The key of one object. */
export function storageKey(kind: Kind, namespace: string, name: string): string {
  return `${keyPrefix(kind, namespace)}${name}`;
}

/** The name of the object with this key. */
export function nameInKey(key: string): string {
  return key.slice(key.lastIndexOf('/') + 1);
}

/** The namespace of the object with this key, of a kind that has one. */
export function namespaceInKey(key: string): string {
  const end = key.lastIndexOf('/');
  return key.slice(key.lastIndexOf('/', end - 1) + 1, end);
}
