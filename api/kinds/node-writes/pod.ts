import type { NodeLookUp, NodeWrite } from '#api/kinds/rules.ts';
import type { OwnerReference, Pod } from '#api/generated/objects.ts';
import { referencesOf, type ReferencedKind } from '#api/pod/references.ts';
import type { JsonObject } from '#api/meta/object.ts';
import { at, equalJson, objectsOf, stringOf, typed } from '#api/wire/json.ts';

/** Of a pod of the API that stands for one of a file on its node. */
export const mirror = 'kubernetes.io/config.mirror';

/** A node makes mirror pods of its own, and writes the status of pods that it runs (noderestriction, admitPod and admitPodStatus). */
export function refusePodWrite(write: NodeWrite): string | undefined {
  const { node, operation, subresource, old = {}, object = {} } = write;
  const quoted = JSON.stringify(node);
  const isOwn = stringOf(at(old, 'spec.nodeName')) === node;
  switch (subresource) {
    case '':
      if (operation === 'create') return refuseMirrorPod(node, typed<Pod>(object));
      if (operation === 'delete') {
        return isOwn ? undefined : `node ${quoted} can only delete pods with spec.nodeName set to itself`;
      }
      return `unexpected operation ${JSON.stringify(operation.toUpperCase())}, node ${quoted} can only create and delete mirror pods`;
    case 'status':
      if (!isOwn)
        return `node ${quoted} can only update pod status for pods with spec.nodeName set to itself`;
      if (!equalJson(at(old, 'metadata.labels') ?? {}, at(object, 'metadata.labels') ?? {}))
        return `node ${quoted} cannot update labels through pod status`;
      return refuseClaimStatus(quoted, old, object);
    case 'eviction':
      return undefined; // The pod is looked up: `refuseLate`.
    default:
      return `unexpected pod subresource ${JSON.stringify(subresource)}, only 'status' and 'eviction' are allowed`;
  }
}

/** Which claims a pod has been given is the control plane's to say: a node may read what they name. */
function refuseClaimStatus(quoted: string, old: JsonObject, object: JsonObject): string | undefined {
  const isSame = (path: string, none: unknown): boolean =>
    equalJson(at(old, path) ?? none, at(object, path) ?? none);
  if (!isSame('status.resourceClaimStatuses', []))
    return `node ${quoted} cannot update resource claim statues`;
  return isSame('status.extendedResourceClaimStatus', null)
    ? undefined
    : `node ${quoted} cannot update extended resource claim status`;
}

/** What takes a look at the pod that is evicted, or at the Node that a mirror pod says it belongs to. */
export async function refusePodLate(write: NodeWrite, lookUp: NodeLookUp): Promise<string | undefined> {
  const { node, subresource, name, object = {} } = write;
  if (subresource === 'eviction') {
    const evicted = await lookUp.pod(name === '' ? stringOf(at(object, 'metadata.name')) : name);
    return stringOf(at(evicted, 'spec.nodeName')) === node
      ? undefined
      : `node ${node} can only evict pods with spec.nodeName set to itself`;
  }
  if (subresource !== '') return undefined;
  const claimed = stringOf(objectsOf(at(object, 'metadata.ownerReferences'))[0]?.['uid']);
  const uid = stringOf(at(await lookUp.node(node), 'metadata.uid'));
  return claimed === uid ? undefined : `node ${node} UID mismatch: expected ${claimed} got ${uid}`;
}

function refuseMirrorPod(node: string, { metadata = {}, spec }: Pod): string | undefined {
  const quoted = JSON.stringify(node);
  if (metadata.annotations?.[mirror] === undefined) {
    return `pod does not have ${JSON.stringify(mirror)} annotation, node ${quoted} can only create mirror pods`;
  }
  if (spec?.nodeName !== node) return `node ${quoted} can only create pods with spec.nodeName set to itself`;
  const refused = refuseOwners(node, metadata.ownerReferences ?? []);
  if (refused !== undefined) return refused;
  const named = new Set([...referencesOf({ metadata, spec })].map((one) => one.split('/')[0]));
  const lacks = (kind: ReferencedKind, words: string): string | undefined =>
    named.has(kind) ? `node ${quoted} can not create pods that reference ${words}` : undefined;
  const usesBundle = (spec.volumes ?? []).some((volume) =>
    (volume.projected?.sources ?? []).some((source) => source.clusterTrustBundle !== undefined),
  );
  return (
    lacks('serviceaccounts', 'a service account') ??
    lacks('secrets', 'secrets') ??
    lacks('configmaps', 'configmaps') ??
    (usesBundle ? `node ${quoted} can not create pods that reference clustertrustbundles` : undefined) ??
    lacks('persistentvolumeclaims', 'persistentvolumeclaims') ??
    // CVE-2025-4563.
    ((spec.resourceClaims ?? []).length > 0
      ? `node ${quoted} can not create pods that reference resourceclaims`
      : undefined)
  );
}

function refuseOwners(node: string, owners: readonly OwnerReference[]): string | undefined {
  const quoted = JSON.stringify(node);
  if (owners.length > 1)
    return `node ${quoted} can only create pods with a single owner reference set to itself`;
  const [owner] = owners;
  if (owner?.apiVersion !== 'v1' || owner.kind !== 'Node' || owner.name !== node) {
    return `node ${quoted} can only create pods with an owner reference set to itself`;
  }
  if (owner.controller !== true) {
    return `node ${quoted} can only create pods with a controller owner reference set to itself`;
  }
  return owner.blockOwnerDeletion === true
    ? `node ${quoted} must not set blockOwnerDeletion on an owner reference`
    : undefined;
}
