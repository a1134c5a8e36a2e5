import type { Kind } from '#api/kinds.ts';

/** Where a real cluster's etcd has them, other than under their plural name (kubernetes pkg/registry, storage prefixes). */
const coreFolders: Readonly<Record<string, string>> = {
  services: 'services/specs',
  endpoints: 'services/endpoints',
  nodes: 'minions',
  replicationcontrollers: 'controllers',
};
const otherFolders: Readonly<Record<string, string>> = {
  'networking.k8s.io/ingresses': 'ingress',
  'apiregistration.k8s.io/apiservices': 'apiregistration.k8s.io/apiservices',
  'apiextensions.k8s.io/customresourcedefinitions': 'apiextensions.k8s.io/customresourcedefinitions',
};

function folderOf(kind: Kind): string {
  const known =
    kind.group === '' ? coreFolders[kind.resource] : otherFolders[`${kind.group}/${kind.resource}`];
  return known ?? kind.resource;
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
