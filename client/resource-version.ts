import type { KubeObject } from '#api/meta/object.ts';

/**
 * The resource version of an object as a number, 0 when it has none. Resource versions are one increasing sequence of
 * integers, comparable by clients since Kubernetes 1.35 (KEP-5504), and were integers of etcd always.
 */
export function versionOf(object: KubeObject): number {
  return parseVersion(object.metadata?.resourceVersion);
}

export function parseVersion(resourceVersion: string | undefined): number {
  const version = Number(resourceVersion ?? 0);
  return Number.isSafeInteger(version) ? version : 0;
}
