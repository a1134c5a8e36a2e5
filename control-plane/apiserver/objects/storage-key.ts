import { findKind, kinds, optionalKinds, storedKind, type Kind } from '#api/schema/kinds.ts';
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

/** A resource by its group, as keys tell it. */
export interface KeyResource {
  readonly group: string;
  readonly resource: string;
}

const byFolder: ReadonlyMap<string, KeyResource> = new Map(
  [...kinds, ...optionalKinds]
    .filter((kind) => rulesOf(kind).isStored !== false)
    .map((kind) => [folderOf(storedKind(kind)), storedKind(kind)]),
);
/** Folders that hold folders. */
const outerFolders: ReadonlySet<string> = new Set(
  [...byFolder.keys()].flatMap((folder) => (folder.includes('/') ? [folder.split('/', 1)[0] ?? ''] : [])),
);

/**
 * Whose objects have keys like this, or keys under this prefix: a kind of Kubernetes, or one of a group with a dot. `none`: nobody's, what
 * the server keeps for itself. `several`: the prefix says too little.
 */
export function resourceOfKey(keyOrPrefix: string): KeyResource | 'none' | 'several' {
  const [, root = '', outer = '', inner = '', rest] = keyOrPrefix.split('/', 5);
  if (root !== 'registry') return '/registry/'.startsWith(keyOrPrefix) ? 'several' : 'none';
  const isOuter = outer.includes('.') || outerFolders.has(outer);
  const isWhole = keyOrPrefix.length > `/registry/${outer}`.length;
  if (!isWhole) return 'several';
  if (!isOuter) return byFolder.get(outer) ?? 'none';
  if (rest === undefined) return 'several';
  const known = byFolder.get(`${outer}/${inner}`);
  return known ?? (outer.includes('.') ? { group: outer, resource: inner } : 'none');
}
